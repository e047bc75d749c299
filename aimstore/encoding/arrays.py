"""Payloads of NumPy arrays and scalars. The only module of records that imports NumPy; loaded where an array is met.

A payload is msgpack `[dtype, shape, data]` for an array, `[dtype, data]` for a scalar. The dtype is in the form of the
`.npy` format (`numpy.lib.format.dtype_to_descr`): `"<f8"`, or a list of fields `[name, dtype]`, `[name, dtype, shape]`.
Data are the elements in C order. There is never an object in it, so that reading runs no code.
"""

from __future__ import annotations

import contextlib
import math
import re
from typing import Any, Final, cast

import msgpack  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from aimstore.errors import CorruptionError, EncodingError

_KINDS: Final = "biufcmMSUV"
_DTYPE: Final = re.compile(rf"[<>|][{_KINDS}][0-9]{{1,9}}(\[[0-9]*[A-Za-z]{{1,7}}\])?")
_TEXT: Final = "|U"
_BYTES: Final = "|S"


def array_payload(value: Any) -> bytes:
    """The payload of an array, or of anything that gives one through `__array__`.

    Raises:
        EncodingError: it is a masked array, has elements that are objects, or does not convert.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise EncodingError("a masked array; store its data and its mask")
    if not isinstance(value, np.ndarray):
        try:
            value = np.asarray(value)
        except Exception as error:  # the other library's own, whatever it is
            raise EncodingError(f"its conversion to a NumPy array failed: {error}") from error
    return cast(bytes, msgpack.packb([_descr(value.dtype), value.shape, value.tobytes()]))


def scalar_payload(value: np.generic) -> bytes:
    """The payload of a NumPy scalar. Raises `EncodingError` where its dtype cannot be stored."""
    if isinstance(value, np.str_):  # as an array element it would lose trailing zeros
        return cast(bytes, msgpack.packb([_TEXT, str.__str__(value)]))
    if isinstance(value, np.bytes_):
        return cast(bytes, msgpack.packb([_BYTES, bytes(value)]))
    return cast(bytes, msgpack.packb([_descr(value.dtype), value.tobytes()]))


def load_array(payload: bytes) -> npt.NDArray[Any]:
    """The array of a payload: C order, writable, its own memory. Raises `CorruptionError`, or what a parser raises."""
    descr, shape, data = msgpack.unpackb(payload)
    return _array(descr, tuple(shape), bytearray(data))


def load_scalar(payload: bytes) -> np.generic:
    """The scalar of a payload, of the type that was stored. Raises as `load_array`."""
    descr, data = msgpack.unpackb(payload)
    if descr == _TEXT and isinstance(data, str):
        return np.str_(data)
    if descr == _BYTES and isinstance(data, bytes):
        return np.bytes_(data)
    return cast(np.generic, _array(descr, (), bytes(data))[()])  # read-only, so that a record hashes


def _descr(dtype: np.dtype[Any]) -> Any:
    descr: Any = dtype.str
    if dtype.names is not None:
        with contextlib.suppress(ValueError):  # fields that overlap or are out of order; the comparison below tells
            descr = dtype.descr
    if dtype.hasobject or dtype.kind not in _KINDS or np.lib.format.descr_to_dtype(descr) != dtype:
        raise EncodingError(f"a NumPy dtype that has no portable form ({dtype}); convert the array first")
    return descr


def _array(descr: Any, shape: tuple[Any, ...], data: bytes | bytearray) -> npt.NDArray[Any]:
    dtype = np.lib.format.descr_to_dtype(_checked(descr))
    if not all(type(size) is int and size >= 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise CorruptionError(f"{len(data)} bytes are not an array of {dtype} with shape {shape!r:.80}")
    return np.ndarray(shape, dtype, data)


def _checked(descr: Any) -> Any:
    """`descr` with the tuples that msgpack turned into lists; only what `_descr` writes passes."""
    if isinstance(descr, str) and _DTYPE.fullmatch(descr):
        return descr
    if isinstance(descr, list):
        return [_field(*field) for field in descr]
    raise CorruptionError(f"not a NumPy dtype: {descr!r:.80}")


def _field(name: Any, descr: Any, shape: Any = None) -> tuple[Any, ...]:
    name = tuple(name) if isinstance(name, list) else name
    return (name, _checked(descr)) if shape is None else (name, _checked(descr), tuple(shape))
