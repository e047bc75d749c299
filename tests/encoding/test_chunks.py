"""Chunks: what was recorded comes back exactly, and a damaged chunk is always told from a whole one."""

from __future__ import annotations

import struct
from array import array
from itertools import pairwise
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aimstore.encoding.chunks import (
    MAX_COUNT,
    NO_EPOCH,
    Columns,
    Kind,
    decode_chunk,
    encode_chunk,
    encode_scalars,
    read_header,
)
from aimstore.encoding.columns import Form
from aimstore.errors import CorruptionError, EncodingError

int64 = st.integers(-(2**63), 2**63 - 1)
epochs = st.none() | st.integers(-(2**63) + 1, 2**63 - 1)
mixed = st.floats() | st.integers() | st.booleans() | st.none() | st.text("ab") | st.tuples(st.integers(0, 3))


@st.composite
def points(draw: st.DrawFn) -> tuple[list[int], list[int], list[int | None] | None, list[Any]]:
    count = draw(st.integers(1, 8) | st.sampled_from([64, 128, 129, 200]))
    values = draw(st.sampled_from([st.floats(), int64, st.integers(), mixed]))
    first = draw(st.integers(-(2**63), 2**63 - 300))
    some = st.lists(int64, min_size=1, max_size=4).map(lambda steps: (steps * count)[:count])
    steps = draw(st.just(list(range(first, first + count))) | some)
    chosen = draw(st.none() | st.lists(epochs, min_size=1, max_size=3).map(lambda some: (some * count)[:count]))
    found = draw(st.lists(values, min_size=1, max_size=5))
    return steps, draw(some), chosen, (found * count)[:count]


def exactly(values: Any) -> list[Any]:
    return [(type(value), struct.pack("<d", value) if type(value) is float else value) for value in values]


def check(data: bytes, steps: list[int], times: list[int], epochs: list[int | None] | None, values: list[Any]) -> None:
    back = decode_chunk(data)
    assert back.steps.dtype == back.times.dtype == np.int64
    assert back.steps.tolist() == steps
    assert back.times.tolist() == times
    if epochs is None or epochs == [None] * len(epochs):
        assert back.epochs is None
    else:
        assert back.epochs is not None
        assert back.epochs.dtype == np.int64
        assert [None if epoch == NO_EPOCH else epoch for epoch in back.epochs.tolist()] == epochs
    plain = back.values if isinstance(back.values, list) else back.values.tolist()
    assert exactly(plain) == exactly(values)
    header = read_header(data)
    assert header.count == len(steps)
    assert (header.min_step, header.max_step) == (min(steps), max(steps))
    assert header.ordered == all(one < other for one, other in pairwise(steps))
    kinds = {type(value) for value in values}
    assert header.kind == (Kind.FLOAT if kinds == {float} else header.kind)
    assert (header.kind == Kind.INT) == (kinds == {int} and isinstance(back.values, np.ndarray))


@given(points())
@example(([3, 3, 2], [0, 0, 0], [None, 4, None], [1.0, float("nan"), -0.0]))
@example(([0], [0], None, [2**63]))
@example(([0, 1], [0, 0], None, [True, 1]))
def test_scalars_come_back(given_points: Any) -> None:
    check(encode_scalars(*given_points), *given_points)


@given(points())
def test_columns_come_back(given_points: Any) -> None:
    steps, times, epochs, values = given_points
    some = None if epochs is None else np.array([NO_EPOCH if epoch is None else epoch for epoch in epochs], np.int64)
    numbers = np.array(values) if {type(value) for value in values} == {float} else values
    back = decode_chunk(encode_chunk(Columns(np.array(steps), np.array(times), some, numbers)))
    assert back.steps.tolist() == steps
    assert back.times.tolist() == times
    assert (back.epochs is None) == (some is None)
    assert some is None or np.array_equal(back.epochs, some)  # type: ignore[arg-type]
    assert exactly(list(back.values) if isinstance(numbers, list) else back.values.tolist()) == exactly(values)


def test_few_and_many_scalars_are_one_format() -> None:
    rng = np.random.default_rng(3)
    for count in (127, 128, 129, 130, 4096):
        steps, times = list(range(count)), list(range(0, 7 * count, 7))
        values = rng.random(count).tolist()
        check(encode_scalars(steps, times, [1] * count, values), steps, times, [1] * count, values)
        arrays = encode_scalars(array("q", steps), array("q", times), array("q", [1] * count), array("d", values))
        assert arrays == encode_scalars(steps, times, [1] * count, values)


def test_whole_floats_stay_floats_and_integers_stay_integers() -> None:
    for count in (3, 300):
        floats = encode_scalars(range(count), range(count), None, [float(n) for n in range(count)])
        integers = encode_scalars(range(count), range(count), None, list(range(count)))
        assert decode_chunk(floats).values.dtype == np.float64  # type: ignore[union-attr]
        assert decode_chunk(integers).values.dtype == np.int64  # type: ignore[union-attr]


def test_bools_and_mixed_numbers_keep_their_types() -> None:
    values = [True, 1, 1.0, False, 2**70, np.float32(0.5)]
    back = decode_chunk(encode_scalars(range(6), range(6), None, values)).values
    assert isinstance(back, list)
    assert [type(value) for value in back] == [bool, int, float, bool, int, np.float32]
    assert back == values


def test_a_sealed_chunk_of_a_hot_loop_is_small() -> None:
    rng = np.random.default_rng(1)
    count = 4096
    deltas = rng.integers(0, 3, count)
    deltas[rng.integers(0, count, 30)] = 4000
    times = 1_700_000_000_000_000 + np.cumsum(deltas)
    data = encode_chunk(Columns(np.arange(count), times, None, rng.standard_normal(count)))
    assert len(data) <= 8.6 * count
    assert list(read_header(data).forms) == [Form.RANGE, Form.PATCHED, Form.NONE, Form.PLANES]


def test_only_the_wanted_columns_are_decoded() -> None:
    data = encode_scalars(range(300), range(300), [2] * 300, [0.1] * 300)
    back = decode_chunk(data, ("steps", "values"))
    assert len(back.steps) == len(back.values) == 300
    assert len(back.times) == 0
    assert back.epochs is None
    assert decode_chunk(data, ("epochs",)).epochs.tolist() == [2] * 300  # type: ignore[union-attr]


def test_an_empty_or_uneven_chunk_is_refused() -> None:
    none: Any = np.empty(0)
    with pytest.raises(ValueError, match="1 to"):
        encode_chunk(Columns(none, none, None, none))
    with pytest.raises(ValueError, match="1 to"):
        encode_scalars([], [], None, [])
    with pytest.raises(ValueError, match="1 to"):
        encode_chunk(Columns(*[np.zeros(MAX_COUNT + 1, np.int64)] * 4))
    for lengths in ((2, 1, 2, 2), (2, 2, 1, 2), (2, 2, 2, 1), (200, 1, 200, 200)):
        columns = [[1] * length for length in lengths]
        with pytest.raises(ValueError, match="differ in length"):
            encode_scalars(*columns)


def test_what_does_not_fit_is_refused() -> None:
    for count in (1, 200):
        with pytest.raises(EncodingError, match="64 bits"):
            encode_scalars([2**63] * count, [0] * count, None, [0.5] * count)
    with pytest.raises(EncodingError, match=r"^\[1\]: "):
        encode_scalars([0, 1], [0, 0], None, [0, object()])
    with pytest.raises(TypeError, match="float32"):
        encode_chunk(Columns(*[np.zeros(1, np.int64)] * 3, np.zeros(1, np.float32)))  # type: ignore[arg-type]


CHUNKS = {
    "small": encode_scalars([0, 1, 2], [5, 6, 9], [1, 1, None], [0.5, 1.5, 2.5]),
    "large": encode_chunk(Columns(np.arange(300), np.arange(300) ** 2, np.arange(300) // 90, np.arange(300) / 7)),
    "objects": encode_scalars([0, 5], [1, 2], None, ["text", (1, 2.0)]),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_every_flipped_bit_is_noticed(name: str) -> None:
    data = bytearray(CHUNKS[name])
    for bit in range(0, len(data) * 8, 1 if len(data) < 300 else 7):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptionError):
            decode_chunk(bytes(data))
        data[bit // 8] ^= 1 << bit % 8
    decode_chunk(bytes(data))


@pytest.mark.parametrize("name", CHUNKS)
def test_every_cut_and_every_addition_is_noticed(name: str) -> None:
    data = CHUNKS[name]
    for size in range(0, len(data), 1 if len(data) < 300 else 11):
        with pytest.raises(CorruptionError):
            decode_chunk(data[:size])
    with pytest.raises(CorruptionError):
        decode_chunk(data + b"\0")


@given(st.binary(max_size=80))
def test_random_bytes_are_noticed(data: bytes) -> None:
    for junk in (data, b"\x01" + data):
        with pytest.raises(CorruptionError):
            decode_chunk(junk)


@given(
    st.sampled_from(list(CHUNKS)),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=4),
    st.integers(0, 80),
)
def test_nonsense_with_a_right_checksum_is_corruption_or_columns(name: str, changes: Any, cut: int) -> None:
    data = bytearray(CHUNKS[name])
    for place, byte in changes:
        data[place % len(data)] = byte
    del data[max(33, len(data) - cut) :]
    data[28:32] = struct.pack("<I", crc32(data[32:], crc32(data[:28])))
    try:
        back = decode_chunk(bytes(data))
    except CorruptionError:
        return
    assert len(back.steps) == len(back.times) == len(back.values)
