"""Chunks: consecutive points of one sequence, column by column.

A chunk is a header of 32 bytes, little-endian, then four columns (steps, times, epochs, values), each in the form that
the header names (see `columns.py`) and at a multiple of 8 bytes:

    0  u8   format, 1            8  i64  least step           24  4 x u8  forms of the columns
    1  u8   flags                16 i64  greatest step        28  u32     CRC-32 of all other bytes
    2  u8   kind of the values
    4  u32  count

Flag 1: the steps are strictly increasing.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from operator import lt
from typing import Any, Final, NamedTuple, TypeAlias
from zlib import crc32

import numpy as np

from aimstore.encoding.columns import (
    Floats,
    Form,
    Ints,
    column_size,
    decode_floats,
    decode_ints,
    encode_floats,
    encode_ints,
)
from aimstore.encoding.values import decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError

NO_EPOCH: Final = -(2**63)
"""Stands for a missing epoch in a column in which other points have an epoch."""

MAX_COUNT: Final = 1 << 16
"""Maximum number of points in a chunk: with constant columns they take 56 bytes, and at most 2 MB when read."""

COLUMNS: Final = ("steps", "times", "epochs", "values")

Values: TypeAlias = Floats | Ints | list[Any]


class Kind(IntEnum):
    """The kind of the values of a chunk. The codes are part of the format on disk."""

    FLOAT = 0
    INT = 1
    VALUES = 2
    """Any values that a point can have: objects, or numbers of several types."""


class Header(NamedTuple):
    """The facts about a chunk that are known without decoding its columns.

    Attributes:
        count: number of points.
        min_step: least step.
        max_step: greatest step.
        ordered: the steps are strictly increasing.
        kind: the kind of the values.
        forms: code of each column's `Form`.
    """

    count: int  # type: ignore[assignment]  # hides tuple.count
    min_step: int
    max_step: int
    ordered: bool
    kind: Kind
    forms: bytes


@dataclass(frozen=True, eq=False)
class Columns:
    """Points of one sequence.

    Attributes:
        steps: int64[n].
        times: int64[n], microseconds since the epoch, UTC.
        epochs: int64[n], with `NO_EPOCH` for a point without epoch; None if no point has an epoch.
        values: float64[n], int64[n], or a list of n values of any types, which are preserved.
    """

    steps: Ints
    times: Ints
    epochs: Ints | None
    values: Values


_FORMAT: Final = 1
_ORDERED: Final = 1
_HEAD: Final = struct.Struct("<BBBxIqq4s")
_CRC: Final = struct.Struct("<I")
_START: Final = _HEAD.size + _CRC.size
_ABSENT: Final = np.empty(0, np.int64)

# Plain objects for the fast path: packing an enum member takes three times as long as packing an int.
_FLOATS: Final = {float}
_INTS: Final = {int}
_KIND_CODES: Final = {"d": int(Kind.FLOAT), "q": int(Kind.INT)}
_STEPS_RANGE: Final = bytes((Form.RANGE, Form.RAW))
_STEPS_RAW: Final = bytes((Form.RAW, Form.RAW))
_EPOCHS_NONE: Final = bytes((Form.NONE, Form.RAW))
_EPOCHS_CONSTANT: Final = bytes((Form.CONSTANT, Form.RAW))
_EPOCHS_RAW: Final = bytes((Form.RAW, Form.RAW))


def encode_chunk(columns: Columns) -> bytes:
    """Encode points as a chunk.

    Raises:
        ValueError: there are no points, more than `MAX_COUNT`, or the columns differ in length.
        EncodingError: a value of a list cannot be stored; the message names its index.
    """
    steps = _int64(columns.steps)
    values = columns.values
    _check_lengths(len(steps), columns.times, columns.epochs, values)
    kind, form, encoded = _encode_values(values)
    ordered = bool((steps[1:] > steps[:-1]).all())
    integers = [
        encode_ints(steps),
        encode_ints(_int64(columns.times)),
        (Form.NONE, b"") if columns.epochs is None else encode_ints(_int64(columns.epochs)),
    ]
    forms = bytes((*(form for form, _ in integers), form))
    head = _HEAD.pack(_FORMAT, ordered * _ORDERED, kind, len(steps), int(steps.min()), int(steps.max()), forms)
    return _seal(head, *(column + bytes(-len(column) % 8) for _, column in integers), encoded)


def encode_scalars(
    steps: Sequence[int], times: Sequence[int], epochs: Sequence[int | None] | None, values: Sequence[Any]
) -> bytes:
    """Encode points given as lists as a chunk. Numbers are packed as they are: for about a hundred points this takes a
    quarter of NumPy's time. For more points, `encode_chunk` makes chunks of half the size.

    Args:
        steps: int64.
        times: microseconds since the epoch, UTC.
        epochs: int64 or None for each point; None if no point has an epoch.
        values: one value for each point; a chunk of only float, or only int, reads back as a NumPy column.

    Raises:
        ValueError, EncodingError: as for `encode_chunk`; also if a step, time or epoch does not fit into 64 bits.
    """
    count = len(steps)
    code = type_code(values)
    given = None
    if epochs is not None and (None not in epochs or epochs.count(None) < count):
        given = [NO_EPOCH if epoch is None else epoch for epoch in epochs]
    try:
        if code:
            _check_lengths(count, times, given, values)
            return _encode_small(steps, times, given, values, code)
        return encode_chunk(
            Columns(
                np.array(steps, np.int64),
                np.array(times, np.int64),
                None if given is None else np.array(given, np.int64),
                list(values),
            )
        )
    except (struct.error, OverflowError) as error:
        raise EncodingError(f"steps, times and epochs are integers of 64 bits: {error}") from error


def read_header(data: bytes) -> Header:
    """Read the header of a chunk, and nothing else.

    Raises:
        CorruptionError: the data is too short for a chunk, or has another format.
    """
    if len(data) <= _START or data[0] != _FORMAT:
        raise CorruptionError(f"not a chunk: {bytes(data[:8])!r}, {len(data)} bytes")
    _, flags, kind, count, min_step, max_step, forms = _HEAD.unpack_from(data)
    if kind not in _KINDS or not 0 < count <= MAX_COUNT:
        raise CorruptionError(f"not a chunk: {count} points of kind {kind}")
    return Header(count, min_step, max_step, bool(flags & _ORDERED), _KINDS[kind], forms)


def decode_chunk(data: bytes, columns: Collection[str] = COLUMNS) -> Columns:
    """Decode the points of a chunk; arrays may be read-only views of `data`.

    Args:
        data: a result of `encode_chunk`.
        columns: names of the columns to decode; the others are left empty (`epochs`: None).

    Raises:
        CorruptionError: `data` is not a chunk.
    """
    header = read_header(data)
    if crc32(memoryview(data)[_START:], crc32(data[: _HEAD.size])) != _CRC.unpack_from(data, _HEAD.size)[0]:
        raise CorruptionError("a stored chunk is damaged: its checksum differs")
    try:
        return _decode(data, header, columns)
    except (ValueError, LookupError, TypeError, ArithmeticError, struct.error) as error:
        raise CorruptionError(f"a stored chunk cannot be read: {error}") from error


_KINDS: Final = {kind.value: kind for kind in Kind}


def _decode(data: bytes, header: Header, columns: Collection[str]) -> Columns:
    found: dict[str, Any] = dict.fromkeys(COLUMNS, _ABSENT) | {"epochs": None}
    offset = _START
    for name, form in zip(COLUMNS[:3], header.forms, strict=False):
        if form == Form.NONE and name != "epochs":
            raise CorruptionError(f"a stored chunk has no {name}")
        if name in columns and form != Form.NONE:
            found[name] = decode_ints(form, data, offset, header.count)
        size = column_size(form, data, offset, header.count)
        offset += size + -size % 8
    if "values" in columns:
        found["values"] = _decode_values(data, offset, header)
    return Columns(**found)


def _decode_values(data: bytes, offset: int, header: Header) -> Values:
    if header.kind is Kind.FLOAT:
        return decode_floats(header.forms[3], data, offset, header.count)
    if header.kind is Kind.INT:
        return decode_ints(header.forms[3], data, offset, header.count)
    values = decode_value(data[offset:])
    if type(values) is not list or len(values) != header.count:
        raise CorruptionError("a stored chunk holds another number of values than of points")
    return values


def _encode_values(values: Values) -> tuple[Kind, Form, bytes]:
    if isinstance(values, list):
        return Kind.VALUES, Form.VALUES, encode_value(values)
    if values.dtype == np.float64:
        return Kind.FLOAT, *encode_floats(np.ascontiguousarray(values, np.float64))
    if values.dtype == np.int64:
        return Kind.INT, *encode_ints(_int64(values))
    raise TypeError(f"the values of a chunk are float64, int64 or a list, not {values.dtype}")


def type_code(values: Sequence[Any]) -> str:
    """Type code of the column that holds `values` exactly: "d" for floats, "q" for ints of 64 bits, "" for others."""
    kinds = set(map(type, values))
    if kinds == _FLOATS:
        return "d"
    return "q" if kinds == _INTS and min(values) >= -(1 << 63) and max(values) < 1 << 63 else ""


def _encode_small(
    steps: Sequence[int], times: Sequence[int], epochs: list[int] | None, values: Sequence[float], code: str
) -> bytes:
    """`encode_chunk` with only those forms that need no look at each element in Python."""
    count, least, greatest = len(steps), steps[0], steps[-1]
    if greatest - least == count - 1 and list(steps) == list(range(least, greatest + 1)):
        forms, ordered, integers = _STEPS_RANGE, _ORDERED, [least, 1, *times]
    else:
        forms, ordered, integers = _STEPS_RAW, all(map(lt, steps, steps[1:])) * _ORDERED, [*steps, *times]
        least, greatest = min(steps), max(steps)
    if epochs is None:
        forms += _EPOCHS_NONE
    elif epochs.count(epochs[0]) == count:
        forms += _EPOCHS_CONSTANT
        integers.append(epochs[0])
    else:
        forms += _EPOCHS_RAW
        integers += epochs
    head = _HEAD.pack(_FORMAT, ordered, _KIND_CODES[code], count, least, greatest, forms)
    body = _body(len(integers), count, code).pack(*integers, *values)
    return head + _CRC.pack(crc32(body, crc32(head))) + body


@lru_cache(maxsize=1024)
def _body(integers: int, values: int, code: str) -> struct.Struct:
    return struct.Struct(f"<{integers}q{values}{code}")


def _seal(head: bytes, *body: bytes) -> bytes:
    checksum = crc32(head)
    for part in body:
        checksum = crc32(part, checksum)
    return b"".join((head, _CRC.pack(checksum), *body))


def _int64(column: Any) -> Ints:
    return np.ascontiguousarray(column, np.int64)


def _check_lengths(count: int, times: Sequence[int] | Ints, epochs: Sequence[int] | Ints | None, values: Any) -> None:
    if not 0 < count <= MAX_COUNT:
        raise ValueError(f"a chunk has 1 to {MAX_COUNT} points, not {count}")
    if not count == len(times) == len(values) or (epochs is not None and len(epochs) != count):
        raise ValueError("the columns of a chunk differ in length")
