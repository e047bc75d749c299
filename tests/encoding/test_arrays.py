"""Arrays and NumPy scalars in values: every dtype with a portable form, exact, and writable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aimstore.encoding.values import decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError

dtypes = hnp.scalar_dtypes() | hnp.nested_dtypes(hnp.scalar_dtypes(), max_leaves=4)
plain = hnp.arrays(dtypes, hnp.array_shapes(min_dims=1, min_side=0, max_side=3))


@given(plain)
@example(np.zeros((0, 3), "<f2"))
@example(np.arange(24.0).reshape(2, 3, 4)[:, ::-2, 1:].T)
@example(np.asfortranarray(np.arange(6).reshape(2, 3)))
@example(np.arange(3, dtype=">i4"))
@example(np.array([1 + 2j], "G"))
@example(np.array([1.5], "g"))
@example(np.array(["NaT", "2024-01-01T00:00:00.000000001"], "M8[ns]"))
@example(np.array([1], "M8[25s]"))
@example(np.array([3], "m8"))
@example(np.array([b"a\0b", b""], "S5"))
@example(np.array(["é\0x", "日本"]))
@example(np.array([b"abc"], "V3"))
@example(np.zeros(2, np.dtype([("a", "<f4"), ("b", [("c", "S2"), ("d", ">u2", (2, 2))])], align=True)))
@example(np.zeros(1, np.dtype([(("title", "name"), "i4")])))
@example(np.zeros(2, "V0"))
def test_an_array_comes_back(same: Callable[[Any, Any], bool], array: np.ndarray[Any, Any]) -> None:
    back = decode_value(encode_value({"x": [array]}))["x"][0]
    assert type(back) is np.ndarray
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()
    assert back.flags.c_contiguous
    assert back.flags.writeable
    assert back.flags.owndata or back.base is not None


@given(hnp.arrays(hnp.scalar_dtypes(), ()).map(lambda array: array[()]))
@example(np.float64(-0.0))
@example(np.float64("nan"))
@example(np.bool_(True))
@example(np.str_("a\0"))
@example(np.bytes_(b"a\0"))
@example(np.str_(""))
@example(np.datetime64("NaT"))
@example(np.timedelta64(5, "D"))
@example(np.longdouble(1) / 3)
@example(np.array((1, 2.5), "i4,f8")[()])
def test_a_scalar_keeps_its_type(same: Callable[[Any, Any], bool], scalar: np.generic) -> None:
    back = decode_value(encode_value((scalar, {"x": scalar})))
    assert same(back, (scalar, {"x": scalar}))


def test_scalars_may_be_keys() -> None:
    value = {np.float32(0.1): 1, np.int8(3): 2, np.datetime64("2024-01-01"): 3}
    back = decode_value(encode_value(value))
    assert back == value
    assert [type(key) for key in back] == [np.float32, np.int8, np.datetime64]


def test_what_has_the_array_method_is_stored_as_an_array() -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> Any:
            return np.arange(3, dtype=np.int16)

    for value in (Tensor(), pd.Series([0, 1, 2], dtype="int16")):
        back = decode_value(encode_value([value]))[0]
        assert back.dtype == np.int16
        assert back.tolist() == [0, 1, 2]


def test_subclasses_of_arrays_come_back_as_arrays() -> None:
    values = np.rec.fromarrays([[1, 2], [0.5, 1.5]], names="a,b")
    back = decode_value(encode_value(values))
    assert type(back) is np.ndarray
    assert back["b"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.array([("a", None)], "U1,O"),
        np.ma.masked_array([1, 2], [True, False]),
        np.ma.masked,
        *(np.array(["a"], kind()) for kind in [getattr(np.dtypes, "StringDType", None)] if kind),  # from NumPy 2 on
        np.zeros(1, np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [2, 0]})),
        pd.NaT,
        pd.Timestamp(1, unit="ns"),
        pd.Timedelta(1, unit="ns"),
        pd.DataFrame({"a": [1], "b": ["x"]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_portable_form_is_refused(value: Any) -> None:
    with pytest.raises(EncodingError, match=r"^run\.x\[0\]: "):
        encode_value([value], ("run", "x"))


def test_exact_timestamps_of_pandas_are_datetimes() -> None:
    stamp = pd.Timestamp("2024-05-01T12:00:00.000001", tz="Europe/Paris")
    assert decode_value(encode_value(stamp)) == stamp.to_pydatetime()


@pytest.mark.parametrize("code", [8, 9])
@given(
    descr=st.sampled_from(
        ["|O", "|O8", "<f8", "a5", "f8,f8", "(2,2)i4", "|T16", "", "<f0", "<M8[xx]", "|S999999999", "<U0", "<f3"]
    )
    | st.just([["a", "<f8"], ["a", "<f8"]])
    | st.just([["a", "<f8", [-1]], ["b", "|O"]])
    | st.just([["a"]])
    | st.just([1])
    | st.just([["a", "<f8", [2**40, 2**40]]])
    | st.integers(0, 9),
    shape=st.lists(st.integers(-1, 2) | st.sampled_from([2**31, 2**62, None, "x", 1.0]), max_size=70),
    data=st.binary(max_size=16),
)
def test_broken_payloads_are_an_array_or_corruption(code: int, descr: Any, shape: Any, data: bytes) -> None:
    payload = msgpack.packb([descr, shape, data] if code == 9 else [descr, data])
    try:
        back = decode_value(msgpack.packb(msgpack.ExtType(code, payload)))
    except CorruptionError:
        return
    assert not back.dtype.hasobject
