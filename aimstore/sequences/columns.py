"""Columns put together, cut, and brought into step order."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np

from aimstore.encoding.chunks import NO_EPOCH, Columns, Kind, decode_chunk, read_header

_DTYPES: Final = {Kind.FLOAT: np.float64, Kind.INT: np.int64}


def as_arrays(columns: Columns) -> Columns:
    """The same columns as NumPy arrays; values stay a list where they are mixed or objects."""
    values: Any = columns.values
    if isinstance(values, list):
        code = exact_code(values)
        values = values if code == "list" else np.array(values, np.float64 if code == "d" else np.int64)
    epochs = None if columns.epochs is None else np.asarray(columns.epochs, np.int64)
    return Columns(np.asarray(columns.steps, np.int64), np.asarray(columns.times, np.int64), epochs, values)


def cut(columns: Columns, piece: slice) -> Columns:
    """Some of the records."""
    epochs = None if columns.epochs is None else columns.epochs[piece]
    times = columns.times[piece] if len(columns.times) else columns.times  # not read
    return Columns(columns.steps[piece], times, epochs, columns.values[piece])


def exact_code(values: Any) -> str:
    """Type code of the array that holds `values` exactly, or "list"."""
    if isinstance(values, np.ndarray):
        return "d" if values.dtype == np.float64 else "q"
    kinds = set(map(type, values))
    if kinds == {float}:
        return "d"
    if kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return "q"
    return "list"


def plain(values: Any) -> list[Any]:
    """Values as a list of Python objects."""
    return values if isinstance(values, list) else list(values.tolist())


def decode_all(chunks: list[bytes], wanted: Collection[str]) -> Columns:
    """The records of several chunks, in their order.

    Each column is decoded chunk by chunk into its place: the memory of a long one is touched once.
    """
    headers = [read_header(chunk) for chunk in chunks]
    kinds = {header.kind for header in headers}
    if len(kinds) > 1 or not kinds <= _DTYPES.keys():
        return concatenate([decode_chunk(chunk, wanted) for chunk in chunks])
    count = sum(header.count for header in headers)
    steps, times = (np.empty(count if name in wanted else 0, np.int64) for name in ("steps", "times"))
    values = np.empty(count if "values" in wanted else 0, _DTYPES[kinds.pop()])
    epochs = None
    at = 0
    for chunk, header in zip(chunks, headers, strict=True):
        part = decode_chunk(chunk, wanted)
        place = slice(at, at + header.count)
        for whole, piece in ((steps, part.steps), (times, part.times), (values, part.values)):
            if len(whole):
                whole[place] = piece
        if part.epochs is not None:
            epochs = np.full(count, NO_EPOCH) if epochs is None else epochs
            epochs[place] = part.epochs
        at += header.count
    return Columns(steps, times, epochs, values)


def concatenate(parts: list[Columns]) -> Columns:
    """The records of several parts, in their order; numbers of different types become a list that keeps each type."""
    if len(parts) == 1:
        return parts[0]
    epochs = None
    if any(part.epochs is not None for part in parts):
        epochs = np.concatenate(
            [np.full(len(part.steps), NO_EPOCH) if part.epochs is None else part.epochs for part in parts]
        )
    kinds = {part.values.dtype if isinstance(part.values, np.ndarray) else None for part in parts}
    values: Any
    if len(kinds) == 1 and None not in kinds:
        values = np.concatenate([part.values for part in parts])
    else:
        values = [value for part in parts for value in plain(part.values)]
    steps = np.concatenate([part.steps for part in parts])
    return Columns(steps, np.concatenate([part.times for part in parts]), epochs, values)


def increasing(steps: Any) -> bool:
    """Whether int64[n] `steps` are strictly increasing."""
    return bool((steps[1:] > steps[:-1]).all())


def last_of_each_step(steps: Any) -> Any:
    """Positions int64[m] that bring `steps` int64[n] into increasing order; of equal steps only the last."""
    order = np.argsort(steps, kind="stable")
    ranked = steps[order]
    last = np.ones(len(ranked), bool)
    last[:-1] = ranked[1:] != ranked[:-1]
    return order[last]


def take(columns: Columns, positions: Any) -> Columns:
    """The records at int64[m] `positions`."""
    values = columns.values
    return Columns(
        columns.steps[positions],
        columns.times[positions] if len(columns.times) else columns.times,  # not read
        None if columns.epochs is None else columns.epochs[positions],
        [values[i] for i in positions.tolist()] if isinstance(values, list) else values[positions],
    )


def in_step_order(columns: Columns) -> Columns:
    """The records in increasing order of their steps; of several with one step only the last."""
    return columns if increasing(columns.steps) else take(columns, last_of_each_step(columns.steps))


def floats(values: Any) -> Any:
    """Numbers as float64[n]; ints past its range are infinite."""
    if isinstance(values, np.ndarray):
        return values.astype(np.float64, copy=False)
    try:
        return np.array(values, np.float64)
    except OverflowError:
        greatest = int(np.finfo(np.float64).max)
        return np.array([np.inf if v > greatest else -np.inf if v < -greatest else v for v in values], np.float64)
