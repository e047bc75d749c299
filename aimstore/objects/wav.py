"""WAV files: reads their header, and their samples as arrays. Python's `wave`, which writes them, reads neither floats
nor all headers.

A file is `RIFF`, u32 size, `WAVE`, then chunks: four letters, u32 size, the bytes, and a padding byte if the size is
odd. `fmt ` is u16 format, u16 channels, u32 rate, u32 bytes per second, u16 bytes per frame, u16 bits per sample; if
the format is 0xFFFE, the real format is the u16 at byte 24. `data` holds the frames. The sizes come from the writer of
the file, so they are not trusted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import numpy.typing as npt

PCM: Final = 1
FLOAT: Final = 3
_EXTENSIBLE: Final = 0xFFFE

_CHUNK: Final = struct.Struct("<4sI")
_FORMAT: Final = struct.Struct("<HHIIHH")
_SUBFORMAT: Final = struct.Struct("<24xH")
_TYPES: Final = {(PCM, 1): "u1", (PCM, 2): "<i2", (PCM, 4): "<i4", (FLOAT, 4): "<f4", (FLOAT, 8): "<f8"}


class Header(NamedTuple):
    """The format of the samples; `code` is `PCM`, `FLOAT` or another format, `width` is bytes per sample."""

    code: int
    channels: int
    rate: int
    width: int


def fits(data: bytes) -> bool:
    """Whether `data` begins like a WAV file."""
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def header(data: bytes) -> Header:
    """Read the header. Raises `ValueError` if there is none."""
    return _read(data)[0]


def samples(data: bytes) -> npt.NDArray[Any]:
    """The samples as (n,) or (n, channels); of a file that was cut short, the samples that exist.

    Raises:
        ValueError: the samples are compressed, or there is no header.
    """
    import numpy as np

    (code, channels, _, width), frames = _read(data)
    frame = channels * width
    frames = frames[: len(frames) // frame * frame] if frame else b""
    if (code, width) == (PCM, 3):
        padded = np.zeros((len(frames) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(frames, np.uint8).reshape(-1, 3)
        found: npt.NDArray[Any] = padded.view("<i4")[:, 0] >> 8
    elif frame and (code, width) in _TYPES:
        found = np.frombuffer(frames, _TYPES[code, width]).copy()
    else:
        raise ValueError(f"unknown format: {code}, {channels} channels of {8 * width} bits")
    return found if channels == 1 else found.reshape(-1, channels)


def _read(data: bytes) -> tuple[Header, bytes]:
    described = None
    for name, body in _chunks(data):
        if name == b"fmt " and len(body) >= _FORMAT.size:
            code, channels, rate, _, _, bits = _FORMAT.unpack_from(body)
            if code == _EXTENSIBLE and len(body) >= _SUBFORMAT.size:
                (code,) = _SUBFORMAT.unpack_from(body)
            described = Header(code, channels, rate, (bits + 7) // 8)
        elif name == b"data" and described is not None:
            return described, body
    if described is None:
        raise ValueError("no header")
    return described, b""


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 12 if fits(data) else len(data)
    while position + _CHUNK.size <= len(data):
        name, size = _CHUNK.unpack_from(data, position)
        position += _CHUNK.size
        yield name, data[position : position + size]
        position += size + size % 2
