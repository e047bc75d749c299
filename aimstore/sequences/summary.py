"""The summary of a sequence: known without reading the points, updated while writing, recomputed if unreliable."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from aimstore.abc import Container
from aimstore.encoding.chunks import Columns
from aimstore.encoding.columns import Floats, Ints
from aimstore.sequences.columns import NAN, in_step_order, increasing, numbers
from aimstore.sequences.pending import Pending, Points
from aimstore.sequences.reader import read_points
from aimstore.storage.layout import Summary


def recompute_summary(seqs: Container, sequence: int, *, is_numeric: bool, points: int = 0) -> Summary | None:
    """The exact summary of a stored sequence; None if it has no points.

    Args:
        seqs: the run's sequence container.
        is_numeric: the sequence holds numbers.
        points: approximate number of points; if it is known, reading is faster.

    Raises:
        CorruptionError: a chunk is damaged or missing.
    """
    columns = read_points(seqs, sequence, points=points)
    return None if columns is None else summarize(columns, is_numeric=is_numeric)


def summarize(columns: Columns, *, is_numeric: bool) -> Summary:
    """The exact summary of all points of a sequence; there must be at least one."""
    kept = in_step_order(columns)
    summary = _summary_of_columns(kept, is_numeric)
    return summary._replace(
        points=len(columns.steps), ordered=len(kept.steps) == len(columns.steps) and kept is columns
    )


def extend(before: Summary | None, points: Points, *, is_numeric: bool) -> Summary:
    """The summary after adding `points`, at least one. `steps` is an upper bound unless `ordered`."""
    added = (
        _summary_of_lists(points, is_numeric)
        if isinstance(points, Pending)
        else _summary_of_columns(points, is_numeric)
    )
    if before is None:
        return added
    last = NAN if is_numeric and before.last is None else before.last  # so far all values were None
    return Summary(
        before.points + added.points,
        before.steps + added.steps,
        before.ordered and added.ordered and added.first_step > before.last_step,
        min(before.first_step, added.first_step),
        max(before.last_step, added.last_step),
        added.last if added.last_step >= before.last_step else last,
        _least(before.min, added.min),
        _greatest(before.max, added.max),
    )


def _summary_of_lists(points: Pending, is_numeric: bool) -> Summary:
    steps = points.steps
    count = len(steps)
    if isinstance(steps, range):
        ordered, low, high = True, steps[0], steps[-1]
    else:
        ordered, low, high = all(a < b for a, b in pairwise(steps)), min(steps), max(steps)
    if not is_numeric:
        return Summary(count, count, ordered, low, high, None, None, None)
    values = numbers(points.values)
    at = count - 1 if ordered else max(i for i, step in enumerate(steps) if step == high)
    return Summary(count, count, ordered, low, high, values[at], *_extremes(values))


def _summary_of_columns(columns: Columns, is_numeric: bool) -> Summary:
    steps, values = columns.steps, columns.values
    count, ordered, low, high = len(steps), increasing(steps), int(steps.min()), int(steps.max())
    if not is_numeric:
        return Summary(count, count, ordered, low, high, None, None, None)
    at = count - 1 if ordered else int(np.flatnonzero(steps == high)[-1])
    if isinstance(values, list):
        values = numbers(values)
        return Summary(count, count, ordered, low, high, values[at], *_extremes(values))
    return Summary(count, count, ordered, low, high, values[at].item(), *_extremes_of_array(values))


def _extremes(values: list[Any]) -> tuple[Any, Any]:
    """The least and the greatest number that is not NaN; NaN if all are NaN."""
    real = values if all(value == value for value in values) else [value for value in values if value == value]
    nan = float("nan")
    return min(real, default=nan), max(real, default=nan)


def _extremes_of_array(values: Floats | Ints) -> tuple[Any, Any]:
    if values.dtype == np.float64:
        return float(np.fmin.reduce(values)), float(np.fmax.reduce(values))  # these skip NaN
    return int(values.min()), int(values.max())


def _least(a: Any, b: Any) -> Any:
    return b if a is None or a != a else a if b is None or b != b else min(a, b)


def _greatest(a: Any, b: Any) -> Any:
    return b if a is None or a != a else a if b is None or b != b else max(a, b)
