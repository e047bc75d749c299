"""Points between `track` and their chunk: in lists if there are few, in NumPy columns if there are many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

import numpy as np

from aimstore.encoding.chunks import NO_EPOCH, Columns, Values, encode_chunk, encode_scalars, type_code
from aimstore.sequences.values import STEP_MAX

ENTRIES_PER_POINT: Final = 4
"""Items that `track` appends for each point: value, step or None, epoch or None, time in seconds since the epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """Points in lists: a few points are encoded much faster from lists than from NumPy columns.

    Attributes:
        steps: n ints of 64 bits; a range if no step was given.
        times: n ints, microseconds since the epoch, UTC.
        epochs: n ints, with `NO_EPOCH` for a point without epoch; None if no point has an epoch.
        values: n numbers of any type; for objects their bytes, or their size if they are stored under their own key.
    """

    steps: Sequence[int]
    times: list[int]
    epochs: list[int] | None
    values: list[Any]

    def to_columns(self) -> Columns:
        """The same points in NumPy columns."""
        return Columns(
            np.asarray(self.steps, np.int64),
            np.array(self.times, np.int64),
            None if self.epochs is None else np.array(self.epochs, np.int64),
            _column(self.values, type_code(self.values)),
        )


Points: TypeAlias = Pending | Columns


def encode_points(points: Points) -> bytes:
    """Encode these points as a chunk."""
    if isinstance(points, Pending):
        return encode_scalars(points.steps, points.times, points.epochs, points.values)
    return encode_chunk(points)


def lists_of(values: list[Any], entries: list[Any], last_step: int | None) -> Pending:
    """A few points, in lists.

    Args:
        values: the stored form of each value.
        entries: `ENTRIES_PER_POINT` items for each point, as tracked.
        last_step: greatest step so far; None for the first points of a sequence.
    """
    steps, epochs, times = _tracked(entries)
    return Pending(fill_steps(steps, last_step), [int(time * 1e6) for time in times], _fill_epochs(epochs), values)


def columns_of(values: list[Any], entries: list[Any], last_step: int | None, *, code: str) -> Columns:
    """Many points, in NumPy columns.

    Args:
        values, entries, last_step: as for `lists_of`.
        code: type code of the values, see `type_code`; "" keeps them in a list.
    """
    steps, epochs, times = _tracked(entries)
    given = _fill_epochs(epochs)
    return Columns(
        np.asarray(fill_steps(steps, last_step), np.int64),
        (np.array(times) * 1e6).astype(np.int64),
        None if given is None else np.array(given, np.int64),
        _column(values, code),
    )


def _column(values: list[Any], code: str) -> Values:
    if code == "d":
        return np.array(values, np.float64)
    return np.array(values, np.int64) if code == "q" else values


def _tracked(entries: list[Any]) -> tuple[list[int | None], list[int | None], list[float]]:
    """Steps, epochs and times."""
    return entries[1::ENTRIES_PER_POINT], entries[2::ENTRIES_PER_POINT], entries[3::ENTRIES_PER_POINT]


def _fill_epochs(epochs: list[int | None]) -> list[int] | None:
    if epochs.count(None) == len(epochs):
        return None
    return [NO_EPOCH if epoch is None else epoch for epoch in epochs]


def fill_steps(steps: list[int | None], last_step: int | None) -> Sequence[int]:
    """The steps with missing steps filled in: each is one above the greatest step before it.

    Args:
        last_step: greatest step so far; None for the first points of a sequence.
    """
    greatest = -1 if last_step is None else last_step
    missing = steps.count(None)
    if not missing:
        return cast("list[int]", steps)
    if missing == len(steps) and greatest < STEP_MAX - missing:
        return range(greatest + 1, greatest + 1 + missing)
    filled: list[int] = []
    for step in steps:
        # `track` refuses points after the last step, unless another thread reaches that step at the same moment
        filled.append(min(greatest + 1, STEP_MAX) if step is None else step)
        is_first = last_step is None and len(filled) == 1
        greatest = filled[-1] if is_first else max(greatest, filled[-1])
    return filled
