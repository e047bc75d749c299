"""What is known of a sequence without reading it: kept while writing, recomputed where it cannot be trusted."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from aimstore.encoding.chunks import Columns
from aimstore.sequences.columns import NAN, in_step_order, increasing, numbers
from aimstore.storage.layout import Summary


def extend(before: Summary | None, columns: Columns, *, number: bool) -> Summary:
    """The summary after the records of `columns` (lists or NumPy arrays, at least one record) were added."""
    steps = columns.steps
    count = len(steps)
    if isinstance(steps, np.ndarray):
        ordered, low, high = increasing(steps), int(steps.min()), int(steps.max())
    elif isinstance(steps, range):
        ordered, low, high = True, steps[0], steps[-1]
    else:
        ordered = all(a < b for a, b in pairwise(steps))
        low, high = min(steps), max(steps)
    newest = before is None or high >= before.last_step
    last, least, greatest = _figures(columns, ordered, high) if number else (None, None, None)
    if before is None:
        return Summary(count, count, ordered, low, high, last, least, greatest)
    return Summary(
        before.records + count,
        before.steps + count,
        before.ordered and ordered and low > before.last_step,
        min(before.first_step, low),
        max(before.last_step, high),
        last if newest else NAN if number and before.last is None else before.last,
        _least(before.min, least),
        _greatest(before.max, greatest),
    )


def summarize(columns: Columns, *, number: bool) -> Summary:
    """The exact summary of all records of a sequence, as NumPy columns."""
    kept = in_step_order(columns)
    summary = extend(None, kept, number=number)
    return summary._replace(
        records=len(columns.steps), ordered=len(kept.steps) == len(columns.steps) and kept is columns
    )


def _figures(columns: Columns, ordered: bool, high: int) -> tuple[Any, Any, Any]:
    values = columns.values
    if isinstance(values, np.ndarray):
        at = len(values) - 1 if ordered else int(np.flatnonzero(columns.steps == high)[-1])
        if values.dtype == np.float64:  # fmin and fmax pass over NaN
            return float(values[at]), float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
        return int(values[at]), int(values.min()), int(values.max())
    steps: Any = columns.steps
    values = numbers(values)
    at = len(values) - 1 if ordered else max(i for i, step in enumerate(steps) if step == high)
    real = values if all(value == value for value in values) else [value for value in values if value == value]
    nan = float("nan")
    return values[at], min(real, default=nan), max(real, default=nan)


def _least(a: Any, b: Any) -> Any:
    return b if a is None or a != a else a if b is None or b != b else min(a, b)


def _greatest(a: Any, b: Any) -> Any:
    return b if a is None or a != a else a if b is None or b != b else max(a, b)
