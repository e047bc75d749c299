"""Bytes that somebody wrote to do harm: `CorruptionError`, before they take more than their size."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgpack
import numpy as np
import pytest

from aimstore.encoding.chunks import MAX_COUNT, Columns, decode_chunk, encode_chunk
from aimstore.encoding.extensions import Code
from aimstore.encoding.leaves import fold, unfold
from aimstore.encoding.outlines import STRETCH, Outline, decode_outline, encode_outline
from aimstore.encoding.reading import MAX_SAME_HASH
from aimstore.encoding.values import MAX_DEPTH, Opaque, decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError

MODULUS = 2**61 - 1
"""Of Python's hash of numbers."""


@contextmanager
def memory_below(nbytes: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < nbytes
    finally:
        tracemalloc.stop()


def extension(code: int, *parts: Any) -> bytes:
    packed: bytes = msgpack.packb(msgpack.ExtType(code, msgpack.packb(list(parts))))
    return packed


def a_map(keys: list[bytes]) -> bytes:
    return b"\xdf" + len(keys).to_bytes(4, "big") + b"".join(key + b"\xc0" for key in keys)


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("c70c0993a37c53319101d25f5e1000"),
        extension(Code.ARRAY, "|S1", [1], 200_000_000),
        extension(Code.SCALAR, "|S1", 200_000_000),
        extension(Code.SCALAR, "|V1", "x"),
        extension(Code.ARRAY, "|V0", [10**18], b""),
        extension(Code.ARRAY, "|S0", [2, 10**17], b""),
        extension(Code.ARRAY, "<f8", [10**18, 0], b""),
        extension(Code.ARRAY, [["a", "<f8", [0]]], [10**18], b""),
        extension(Code.ARRAY, "<f8", "", bytes(8)),
    ],
    ids=lambda data: data.hex()[:40],
)
def test_an_array_that_is_none_takes_no_memory(data: bytes) -> None:
    with memory_below(1_000_000), pytest.raises(CorruptionError):
        decode_value(data)


def test_arrays_without_bytes_are_refused_when_they_are_given() -> None:
    for array in (np.zeros(5000, "V0"), np.zeros((5000, 0))):
        with pytest.raises(EncodingError, match="without any bytes; 4096 rows at most"):
            encode_value(array)
    assert decode_value(encode_value(np.zeros((0, 10**9)))).shape == (0, 10**9)


@pytest.mark.parametrize(
    "key",
    [
        lambda i: msgpack.packb(msgpack.ExtType(Code.INT, (1 + (i + 20) * MODULUS).to_bytes(12, "big"))),
        lambda i: extension(Code.TUPLE, *([-1 - (i >> bit & 1) for bit in range(12)])),
        lambda i: extension(Code.TUPLE, float(2.0 ** (61 * (i % 16))), float(2.0 ** (61 * (i // 16)))),
    ],
    ids=["ints", "tuples", "tuples of floats"],
)
@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: b"\x91" + data])
def test_keys_of_one_hash_are_refused(key: Callable[[int], bytes], wrap: Callable[[bytes], bytes]) -> None:
    with pytest.raises(CorruptionError, match=f"more than {MAX_SAME_HASH} keys of one hash"):
        decode_value(wrap(a_map([key(i) for i in range(200)])))


def test_a_dict_with_keys_of_one_hash_is_refused_when_it_is_given() -> None:
    few = dict.fromkeys(itertools.product((-1, -2), repeat=6), 0)
    assert decode_value(encode_value(few)) == few
    for many in (
        dict.fromkeys(itertools.product((-1, -2), repeat=7), 0),
        {1 + i * MODULUS * 2**64: 0 for i in range(100)},
    ):
        with pytest.raises(EncodingError, match=r"^a: a dict with more than 64 keys of one hash"):
            encode_value({"a": many})


def test_many_keys_of_all_types_come_back() -> None:
    value = {
        key: 0 for i in range(300) for key in ((i, -1), 2**70 + i, complex(i, 1), np.int8(i % 100), float(i), str(i))
    }
    assert decode_value(encode_value([value, (value, [value])])) == [value, (value, [value])]


@pytest.mark.parametrize("wrap", [b"", b"\x91", b"\x81\xa1a", b"\x81"])
@pytest.mark.parametrize(
    "data", ["d6ff00000001", "d7ff0000000100000000", "c70cff000000000000000000000001", "c704ff00000001"]
)
def test_the_timestamps_of_msgpack_are_refused(wrap: bytes, data: str) -> None:
    whole = wrap + bytes.fromhex(data) + (b"\xc0" if wrap == b"\x81" else b"")
    for each in (whole, msgpack.packb(msgpack.ExtType(Code.TUPLE, b"\x91" + whole))):
        with pytest.raises(CorruptionError, match=r"extension -1|an object as a key"):
            decode_value(each)


def test_bytes_that_only_look_like_a_timestamp_are_kept() -> None:
    value = [b"\xd6\xff\0\0\0\1", {"a": ("\x08", -1, b"\x0c\xff")}, Opaque("x", b"\xd7\xff")]
    assert decode_value(encode_value(value)) == value


@pytest.mark.parametrize("parts", [["a"], ["a", "b"], [1, b""], {"a": b""}, "ab", ["a", b"", b""]])
def test_an_object_of_other_parts_is_refused(parts: Any) -> None:
    with pytest.raises(CorruptionError):
        decode_value(msgpack.packb(msgpack.ExtType(Code.OBJECT, msgpack.packb(parts))))


def test_an_object_is_no_key() -> None:
    with pytest.raises(CorruptionError, match="object as a key"):
        decode_value(a_map([extension(Code.OBJECT, "name", b"")]))
    with pytest.raises(CorruptionError, match="object as a key"):
        decode_value(a_map([msgpack.packb(msgpack.ExtType(2, b"\x91" + extension(Code.OBJECT, "name", b"")))]))


def test_durations_are_three_ints() -> None:
    for parts in ([1.5, 0, 0], [1, 2], [1, 2, 3, 4], "abc"):
        with pytest.raises(CorruptionError):
            decode_value(msgpack.packb(msgpack.ExtType(Code.TIMEDELTA, msgpack.packb(parts))))


@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a", b"\x92\xc0"])
def test_what_is_nested_too_deeply_is_refused(opening: bytes) -> None:
    for depth in (MAX_DEPTH + 9, 1000):
        with pytest.raises(CorruptionError, match="nested too deeply"):
            decode_value(opening * depth + b"\xc0")
    decode_value(opening * MAX_DEPTH + b"\xc0")


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"a": v}], ids=["lists", "dicts"])
def test_there_is_one_limit_of_nesting(wrap: Callable[[Any], Any]) -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH - 1):
        value = wrap(value)
    path = ("parameters",)
    leaves = unfold(value, path)
    assert fold(leaves) == {"parameters": value}
    for too_deep in (wrap(value), wrap(wrap(value)), [[value]], {"a": [value]}):
        with pytest.raises(EncodingError, match=f"nested more than {MAX_DEPTH} deep"):
            unfold(too_deep, path)
    with pytest.raises(EncodingError, match=f"nested more than {MAX_DEPTH} deep"):
        unfold(1, ("a",) * (MAX_DEPTH + 1))


def test_a_stored_path_that_is_too_long_is_refused() -> None:
    with pytest.raises(CorruptionError, match="a path of 30000 parts"):
        fold([(("a",) * 30_000, encode_value(1))])


def test_a_chunk_of_few_bytes_has_few_values() -> None:
    chunk = encode_chunk(Columns(np.arange(1000), np.ones(1000, np.int64), None, np.full(1000, 0.5)))
    assert len(chunk) == 64
    more = chunk[:4] + (MAX_COUNT + 1).to_bytes(4, "little") + chunk[8:]
    with pytest.raises(CorruptionError, match="points of kind"):
        decode_chunk(more)
    assert MAX_COUNT == 65_536


def test_an_outline_counts_its_stretches() -> None:
    for counts in ((2, 2), (-1, 4), (0, 3), (2**62, 2**62)):
        stretches = np.zeros(2, STRETCH)
        stretches["count"] = counts
        with pytest.raises(CorruptionError, match="has stretches of"):
            decode_outline(encode_outline(Outline(3, 0, 0.0, 1, 0.0, stretches)))
