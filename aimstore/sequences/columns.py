"""Joins, cuts and sorts the NumPy columns of points."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aimstore.encoding.chunks import COLUMNS, NO_EPOCH, Columns, Values, decode_chunk
from aimstore.encoding.columns import Floats, Ints

NAN = float("nan")

MAX_GUESS = 1 << 22
"""Maximum number of points to reserve memory for before reading: a stored count may exceed the number of points."""


def cut(columns: Columns, piece: slice) -> Columns:
    """The points of a slice."""
    epochs = None if columns.epochs is None else columns.epochs[piece]
    times = columns.times[piece] if len(columns.times) else columns.times  # the times were not read
    return Columns(columns.steps[piece], times, epochs, columns.values[piece])


def plain(values: Values) -> list[Any]:
    """The values as a list of Python objects."""
    return values if isinstance(values, list) else list(values.tolist())


def decode_all(chunks: Iterable[bytes], count: int, wanted: Collection[str]) -> Columns | None:
    """The points of several chunks, in their order; None if there are no chunks.

    Each chunk is decoded into its part of the columns and then dropped: touching new memory takes longer than decoding.

    Args:
        count: approximate number of points. If there are more, the columns are copied.
        wanted: the columns to decode; "steps" must be among them.
    """
    whole: Columns | None = None
    filled, count = 0, min(count, MAX_GUESS)
    rest: list[Columns] = []
    for chunk in chunks:
        part = decode_chunk(chunk, wanted)
        stop = filled + len(part.steps)
        if rest or isinstance(part.values, list):
            rest.append(part)
            continue
        if whole is None:
            count = max(count, stop)
            whole = _room(part, count)
        if stop > count or part.values.dtype != whole.values.dtype:  # type: ignore[union-attr]  # `_room` makes no list
            rest.append(part)
            continue
        if part.epochs is not None and whole.epochs is None:
            whole = replace(whole, epochs=np.full(count, NO_EPOCH))
        for name in COLUMNS:
            column, piece = getattr(whole, name), getattr(part, name)
            if piece is not None and len(piece):
                column[filled:stop] = piece
        filled = stop
    if whole is not None:
        rest.insert(0, cut(whole, slice(0, filled)))
    return concatenate(rest) if rest else None


def _room(part: Columns, count: int) -> Columns:
    """Arrays for `count` points, like those of `part`. Columns that are empty in `part` stay empty."""
    assert isinstance(part.values, np.ndarray)
    arrays: list[npt.NDArray[Any]] = [part.steps, part.times, part.values]
    steps, times, values = (np.empty(count if len(each) else 0, each.dtype) for each in arrays)
    return Columns(steps, times, None, values)


def concatenate(parts: list[Columns]) -> Columns:
    """The points of several parts, in their order. Numbers of different types become a list, which keeps each type."""
    if len(parts) == 1:
        return parts[0]
    epochs = None
    if any(part.epochs is not None for part in parts):
        epochs = np.concatenate(
            [np.full(len(part.steps), NO_EPOCH) if part.epochs is None else part.epochs for part in parts]
        )
    kinds = {part.values.dtype if isinstance(part.values, np.ndarray) else None for part in parts}
    values: Values
    if len(kinds) == 1 and None not in kinds:
        values = np.concatenate([part.values for part in parts])
    else:
        values = [value for part in parts for value in plain(part.values)]
    steps = np.concatenate([part.steps for part in parts])
    return Columns(steps, np.concatenate([part.times for part in parts]), epochs, values)


def increasing(steps: Ints) -> bool:
    """Whether int64[n] `steps` are strictly increasing."""
    return bool((steps[1:] > steps[:-1]).all())


def last_of_each_step(steps: Ints) -> Ints:
    """Positions int64[m] that bring `steps` int64[n] into increasing order. Of equal steps only the last is kept."""
    order = np.argsort(steps, kind="stable")
    ranked = steps[order]
    last = np.ones(len(ranked), bool)
    last[:-1] = ranked[1:] != ranked[:-1]
    return order[last]


def take(columns: Columns, positions: Ints) -> Columns:
    """The points at int64[m] `positions`."""
    values = columns.values
    return Columns(
        columns.steps[positions],
        columns.times[positions] if len(columns.times) else columns.times,  # the times were not read
        None if columns.epochs is None else columns.epochs[positions],
        [values[i] for i in positions.tolist()] if isinstance(values, list) else values[positions],
    )


def in_step_order(columns: Columns) -> Columns:
    """The points in increasing order of their steps. Of points with the same step only the last is kept."""
    return columns if increasing(columns.steps) else take(columns, last_of_each_step(columns.steps))


def numbers(values: list[Any]) -> list[Any]:
    """The values of a sequence of numbers; each None that was tracked before the first number becomes NaN."""
    return [NAN if type(value) is bytes else value for value in values] if bytes in map(type, values) else values


def floats(values: Values) -> Floats:
    """Numbers as float64[n]. Ints beyond the range of float64 become infinite."""
    if isinstance(values, np.ndarray):
        return values.astype(np.float64, copy=False)
    values = numbers(values)
    try:
        return np.array(values, np.float64)
    except OverflowError:
        greatest = int(np.finfo(np.float64).max)
        return np.array([np.inf if v > greatest else -np.inf if v < -greatest else v for v in values], np.float64)
