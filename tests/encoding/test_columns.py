"""Columns: exact for every input, each in the form that it is meant for."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aimstore.encoding.columns import Form, column_size, decode_floats, decode_ints, encode_floats, encode_ints
from aimstore.errors import CorruptionError

RNG = np.random.default_rng(7)
TOP, BOTTOM = 2**63 - 1, -(2**63)

edge_ints = st.integers(BOTTOM, TOP) | st.sampled_from([TOP, TOP - 1, BOTTOM, BOTTOM + 1, 0, 1, -1])
int_columns = hnp.arrays(np.int64, st.integers(1, 40), elements=edge_ints) | hnp.arrays(
    np.int64, st.integers(1, 40), elements=st.integers(-3, 3) | st.sampled_from([300, -300, TOP])
)
edge_floats = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 2.0**53, 2.0**63, -(2.0**63), 1e300, 0.1, np.inf, -np.inf])
patterns = st.integers(0, 2**64 - 1) | st.sampled_from([0x7FF0000000000001, 0xFFF8000000000001, 0x7FF8000020000000])
float_columns = hnp.arrays(np.float64, st.integers(1, 40), elements=edge_floats) | hnp.arrays(
    np.uint64, st.integers(1, 40), elements=patterns
).map(lambda column: column.view(np.float64))


def ints(*values: int) -> Any:
    return np.array(values, np.int64)


def hot_times(count: int) -> Any:
    """A loop of a microsecond, interrupted now and then, and once by a clock set back."""
    deltas = RNG.integers(0, 3, count)
    deltas[RNG.integers(0, count, count // 100)] += RNG.integers(100, 9000, count // 100)
    deltas[count // 2] = -5000
    return 1_700_000_000_000_000 + np.cumsum(deltas)


INT_COLUMNS = {
    "one": (ints(5), Form.CONSTANT),
    "equal": (ints(BOTTOM, BOTTOM, BOTTOM), Form.CONSTANT),
    "steps": (np.arange(1000), Form.RANGE),
    "down": (np.arange(0, -500, -5), Form.RANGE),
    "range that wraps": (ints(TOP - 1, TOP, BOTTOM, BOTTOM + 1), Form.RANGE),
    "range to the end": (ints(TOP - 2, TOP - 1, TOP), Form.RANGE),
    "1 bit": (np.cumsum(RNG.integers(0, 2, 999)), Form.DELTA),
    "2 bits": (np.cumsum(RNG.integers(7, 11, 999)), Form.DELTA),
    "4 bits": (np.cumsum(RNG.integers(-8, 8, 999)), Form.DELTA),
    "8 bits": (np.cumsum(RNG.integers(1000, 1256, 999)), Form.DELTA),
    "16 bits": (np.cumsum(RNG.integers(0, 1 << 16, 999)), Form.DELTA),
    "32 bits": (np.cumsum(RNG.integers(0, 1 << 32, 999)), Form.DELTA),
    "deltas that wrap": (TOP - 500 + np.cumsum(RNG.integers(0, 3, 999)), Form.DELTA),
    "hot times": (hot_times(4096), Form.PATCHED),
    "long hot times": (hot_times(65_536), Form.PATCHED),
    "epochs": (np.arange(4096) // 1000, Form.PATCHED),
    "few without epoch": (np.where(np.arange(999) % 400, 3, BOTTOM), Form.PATCHED),
    "random": (RNG.integers(BOTTOM, TOP, 999), Form.RAW),
    "extremes": (ints(TOP, BOTTOM, TOP, BOTTOM, 0), Form.RAW),
}

LOSSES = 2 + np.cumsum(RNG.standard_normal(4096)) / 1000
FLOAT_COLUMNS = {
    "nan": (np.full(9, np.nan), Form.CONSTANT),
    "zeros": (np.zeros(9), Form.CONSTANT),
    "zeros of both signs": (np.array([0.0, -0.0] * 9), Form.FLOAT32),
    "whole": (np.arange(100.0), Form.RANGE),
    "whole and near": (np.cumsum(RNG.integers(0, 3, 999)).astype(float), Form.DELTA),
    "whole with one step": (np.repeat([1.0, 2.0], 500), Form.PATCHED),
    "few": (LOSSES[:20], Form.RAW),
    "losses": (LOSSES, Form.PLANES),
    "rounded": (LOSSES.round(3), Form.RAW),
    "float32 losses": (LOSSES.astype(np.float32).astype(float), Form.FLOAT32_PLANES),
    "few float32": (np.array([0.5, np.nan, np.inf, -0.0, 2.0**-149]), Form.FLOAT32),
    "float32 recurring": (RNG.integers(0, 9, 4096) / 8 + 1e30, Form.CONSTANT),
    "eighths": (RNG.integers(0, 9, 4096) / 8, Form.FLOAT32),
    "too large for integers": (np.array([1e300, 2.5e299, 1e19]), Form.RAW),
    "too small for float32": (np.array([5e-324, 1e-320]), Form.RAW),
}


def check_ints(column: Any) -> int:
    form, data = encode_ints(column)
    back = decode_ints(form, b"12345678" + data + b"junk", 8, len(column))
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, column)
    assert column_size(form, data, 0, len(column)) == len(data)
    assert len(data) <= 8 * len(column) + (8 if form == Form.RANGE and len(column) == 1 else 0)
    return form


def check_floats(column: Any) -> int:
    form, data = encode_floats(column)
    back = decode_floats(form, b"12345678" + data + b"junk", 8, len(column))
    assert back.dtype == np.float64
    assert back.tobytes() == column.tobytes()
    assert column_size(form, data, 0, len(column)) == len(data)
    assert len(data) <= 8 * len(column)
    return form


@given(int_columns)
@example(ints(0, TOP, BOTTOM, -1))
@example(ints(BOTTOM, TOP))
def test_every_column_of_integers_comes_back(column: Any) -> None:
    check_ints(column)


@given(float_columns)
@example(np.array([2.0**63, 2.0**63 - 1024, 0.0]))
@example(np.array([1.0, 2.0, -0.0]))
def test_every_column_of_floats_comes_back_to_the_bit(column: Any) -> None:
    check_floats(column)


@given(st.integers(2, 600), st.sampled_from([1, 2, 4, 8, 16, 32, 64]), st.integers(0, 5), st.integers(0, 2**32))
def test_integers_of_every_width_come_back(count: int, bits: int, outliers: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    deltas = rng.integers(0, 1 << bits, count, np.uint64, endpoint=False) if bits < 64 else rng.bytes(8 * count)
    column = np.cumsum(np.frombuffer(bytes(deltas), np.int64))
    column[rng.integers(0, count, outliers)] = rng.integers(BOTTOM, TOP, outliers)
    check_ints(column)


@pytest.mark.parametrize("name", INT_COLUMNS)
def test_integers_take_their_form(name: str) -> None:
    column, form = INT_COLUMNS[name]
    assert check_ints(column) == form


@pytest.mark.parametrize("name", FLOAT_COLUMNS)
def test_floats_take_their_form(name: str) -> None:
    column, form = FLOAT_COLUMNS[name]
    assert check_floats(column) == form


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16, 32])
def test_differences_take_the_fewest_bits(bits: int) -> None:
    name = f"{bits} bit{'s' * (bits > 1)}"
    _, data = encode_ints(INT_COLUMNS[name][0])
    assert len(data) == 24 + (998 * bits + 7) // 8


def test_times_of_a_hot_loop_take_a_third_of_a_byte() -> None:
    assert len(encode_ints(hot_times(4096))[1]) < 4096 * 0.4


@example(Form.RANGE, bytes(16), 5)
@example(Form.DELTA, bytes(16) + b"\x03\0\0\0" + bytes(60), 5)
@given(st.sampled_from(list(Form)), st.binary(max_size=60), st.integers(1, 300))
def test_junk_raises_nothing_unforeseen(form: Form, data: bytes, count: int) -> None:
    for decode in (decode_ints, decode_floats, column_size):
        with contextlib.suppress(CorruptionError, ValueError, TypeError, LookupError, ArithmeticError, struct.error):
            decode(form, data, 0, count)
