from __future__ import annotations

import struct
from zlib import crc32

import numpy as np
import pytest

from aimstore.encoding.outlines import STRETCH, Outline, decode_outline, encode_outline
from aimstore.errors import CorruptionError


def outline() -> Outline:
    stretches = np.array([(2, 3, -1.5, 4, np.inf), (1, 2**63 - 1, np.nan, 2**63 - 1, np.nan)], STRETCH)
    return Outline(3, -(2**63), 1.0, 2**63 - 1, np.nan, stretches)


def test_an_outline_comes_back() -> None:
    sent = outline()
    found = decode_outline(encode_outline(sent))
    assert (found.count, found.first_step, found.first, found.last_step) == (3, -(2**63), 1.0, 2**63 - 1)
    assert np.isnan(found.last)
    assert found.stretches.tobytes() == sent.stretches.tobytes()


def test_the_bytes_are_as_documented() -> None:
    rest = struct.pack("<Qqdqd", 3, -(2**63), 1.0, 2**63 - 1, np.nan)
    rest += struct.pack("<qqdqd", 2, 3, -1.5, 4, np.inf) + struct.pack(
        "<qqdqd", 1, 2**63 - 1, np.nan, 2**63 - 1, np.nan
    )
    assert encode_outline(outline()) == b"\1\0\0\0" + struct.pack("<I", crc32(b"\1\0\0\0" + rest)) + rest


def test_any_damaged_bit_is_found() -> None:
    data = encode_outline(outline())
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises(CorruptionError):
            decode_outline(bytes(damaged))


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 127])
def test_what_is_cut_short_is_refused(size: int) -> None:
    with pytest.raises(CorruptionError, match="not an outline"):
        decode_outline(encode_outline(outline())[:size])
