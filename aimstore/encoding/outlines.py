"""Outlines: the shape of consecutive points of a metric, stretch by stretch, for drawing the metric without reading its
points.

An outline is a header of 48 bytes, little-endian, then 40 bytes for each stretch (see `STRETCH`):

    0  u8   format, 1                    16 i64  least step       32 i64  greatest step
    4  u32  CRC-32 of all other bytes    24 f64  value at it      40 f64  value at it
    8  u64  number of points
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from aimstore.errors import CorruptionError

STRETCH: Final = np.dtype(
    [("count", "<i8"), ("low_step", "<i8"), ("low", "<f8"), ("high_step", "<i8"), ("high", "<f8")]
)
"""A stretch: the number of its points, then its least and its greatest value that is not NaN, each at its first
occurrence. If all values are NaN, both are the first point."""

_FORMAT: Final = 1
_HEAD: Final = struct.Struct("<B3x")
_CRC: Final = struct.Struct("<I")
_ENDS: Final = struct.Struct("<Qqdqd")
_START: Final = _HEAD.size + _CRC.size + _ENDS.size


@dataclass(frozen=True, eq=False)
class Outline:
    """Consecutive points whose steps are strictly increasing.

    Attributes:
        count: number of points.
        first_step, first: step and value of the first point.
        last_step, last: step and value of the last point.
        stretches: `STRETCH`[n], at least one.
    """

    count: int
    first_step: int
    first: float
    last_step: int
    last: float
    stretches: npt.NDArray[Any]


def encode_outline(outline: Outline) -> bytes:
    """Encode an outline as bytes."""
    head = _HEAD.pack(_FORMAT)
    ends = _ENDS.pack(outline.count, outline.first_step, outline.first, outline.last_step, outline.last)
    body = ends + outline.stretches.tobytes()
    return head + _CRC.pack(crc32(body, crc32(head))) + body


def decode_outline(data: bytes) -> Outline:
    """Decode the bytes from `encode_outline`.

    Raises:
        CorruptionError: the bytes are not an outline.
    """
    if len(data) <= _START or (len(data) - _START) % STRETCH.itemsize or data[0] != _FORMAT:
        raise CorruptionError(f"not an outline: {bytes(data[:8])!r}, {len(data)} bytes")
    checked = _HEAD.size + _CRC.size
    if crc32(memoryview(data)[checked:], crc32(data[: _HEAD.size])) != _CRC.unpack_from(data, _HEAD.size)[0]:
        raise CorruptionError("a stored outline is damaged: its checksum differs")
    count, first_step, first, last_step, last = _ENDS.unpack_from(data, checked)
    stretches = np.frombuffer(data, STRETCH, offset=_START)
    counts = stretches["count"].tolist()
    if min(counts) < 1 or sum(counts) != count or first_step > last_step:
        raise CorruptionError(f"a stored outline of {count} points has stretches of {sum(counts)}")
    return Outline(count, first_step, first, last_step, last, stretches)
