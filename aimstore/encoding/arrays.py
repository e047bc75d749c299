"""Payloads of NumPy arrays and scalars. The only module for values that imports NumPy; it is loaded if an array occurs.

A payload is msgpack `[dtype, shape, data]` for an array, `[dtype, data]` for a scalar. The dtype has the form of the
`.npy` format (`numpy.lib.format.dtype_to_descr`): `"<f8"`, or a list of fields `[name, dtype]`, `[name, dtype, shape]`.
Data are the elements in C order. A payload never contains Python objects, so reading runs no code.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from typing import Any, Final, cast

import msgpack  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt

from aimstore.encoding.payloads import unpack_payload
from aimstore.encoding.tensors import holds_masked, on_this_side
from aimstore.errors import CorruptionError, EncodingError

_KINDS: Final = "biufcmMSUV"
_DTYPE: Final = re.compile(rf"[<>|][{_KINDS}][0-9]{{1,9}}(\[[0-9]*[A-Za-z]{{1,7}}\])?")
MAX_EMPTY_ROWS: Final = 4096
"""Maximum rows or elements of an array without bytes, so that no loop over them exceeds what was stored."""

_TEXT: Final = "|U"
_BYTES: Final = "|S"


def array_payload(value: Any) -> bytes:
    """Return the payload of an array, or of an object whose `__array__` returns one.

    Raises:
        EncodingError: the array is masked, has elements that are objects, or cannot be converted.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise EncodingError("a masked array; store its data and its mask")
    value = as_array(value)
    if not value.nbytes and _rows(value.shape) > MAX_EMPTY_ROWS:
        raise EncodingError(f"an array of shape {value.shape!r:.80} without any bytes; {MAX_EMPTY_ROWS} rows at most")
    return cast(bytes, msgpack.packb([_descr(value.dtype), value.shape, value.tobytes()]))


def as_array(value: Any) -> npt.NDArray[Any]:
    """Return `value` as a NumPy array. Of a tensor that needs its gradient only the numbers are taken; bfloat16 and the
    float types of 8 bits, which NumPy lacks, become float32.

    Raises:
        EncodingError: `value` cannot be converted, or has masked elements.
    """
    if holds_masked(value):
        raise EncodingError(
            "an array with masked elements; fill them: array.filled(0), or leave them out: array.compressed()"
        )
    if not isinstance(value, np.ndarray):
        try:
            value = np.asarray(on_this_side(value))
        except Exception as error:  # the other library may raise any error
            raise EncodingError(f"its conversion to a NumPy array failed: {error}") from error
    if value.dtype.kind == "V" and value.dtype.name.startswith(("bfloat", "float")):  # types of the package ml_dtypes
        value = value.astype(np.float32)
    return cast("npt.NDArray[Any]", value)


def scalar_payload(value: np.generic) -> bytes:
    """Return the payload of a NumPy scalar. Raises `EncodingError` if its dtype cannot be stored."""
    if isinstance(value, np.str_):  # as an array element the string would lose trailing zeros
        return cast(bytes, msgpack.packb([_TEXT, str.__str__(value)]))
    if isinstance(value, np.bytes_):
        return cast(bytes, msgpack.packb([_BYTES, bytes(value)]))
    return cast(bytes, msgpack.packb([_descr(value.dtype), value.tobytes()]))


def load_array(payload: bytes) -> npt.NDArray[Any]:
    """The array of a payload: C order, writable, own memory. Raises `CorruptionError`, or any error of a parser."""
    descr, shape, data = _unpacked(payload, 3)
    if type(shape) is not list:
        raise CorruptionError(f"not the shape of an array: {shape!r:.80}")
    return _array(descr, tuple(shape), data, bytearray)


def load_scalar(payload: bytes) -> np.generic:
    """Return the scalar of a payload, of the type that was stored. Raises the same errors as `load_array`."""
    descr, data = _unpacked(payload, 2)
    if descr == _TEXT and isinstance(data, str):
        return np.str_(data)
    if descr == _BYTES and isinstance(data, bytes):
        return np.bytes_(data)
    return cast(np.generic, _array(descr, (), data, bytes)[()])  # read-only, so that the value can be hashed


def _unpacked(payload: bytes, count: int) -> list[Any]:
    parts = unpack_payload(payload)
    if type(parts) is not list or len(parts) != count:
        raise CorruptionError(f"not the {count} parts of an array or scalar: {parts!r:.80}")
    return parts


def _descr(dtype: np.dtype[Any]) -> Any:
    descr: Any = dtype.str
    if dtype.names is not None:
        with contextlib.suppress(ValueError):  # fields overlap or are out of order: the comparison below detects it
            descr = dtype.descr
    if dtype.hasobject or dtype.kind not in _KINDS or np.lib.format.descr_to_dtype(descr) != dtype:
        raise EncodingError(f"a NumPy dtype that has no portable form ({dtype}); convert the array first")
    return descr


def _array(descr: Any, shape: tuple[Any, ...], data: Any, kind: type[bytes | bytearray]) -> npt.NDArray[Any]:
    if type(data) is not bytes:
        raise CorruptionError(f"the data of an array are no bytes: {data!r:.80}")
    dtype = np.lib.format.descr_to_dtype(_checked(descr))
    if not all(type(size) is int and size >= 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(data):
        raise CorruptionError(f"{len(data)} bytes are not an array of {dtype!s:.80} with shape {shape!r:.80}")
    if not data and _rows(shape) > MAX_EMPTY_ROWS:
        raise CorruptionError(f"an array of shape {shape!r:.80} without any bytes")
    return np.ndarray(shape, dtype, kind(data))


def _rows(shape: tuple[int, ...]) -> int:
    """The number of rows or elements of an array that has no bytes."""
    return math.prod(itertools.takewhile(bool, shape))


def _checked(descr: Any) -> Any:
    """`descr` with lists turned back into the tuples that msgpack cannot express; accepts only what `_descr` writes."""
    if isinstance(descr, str) and _DTYPE.fullmatch(descr):
        return descr
    if isinstance(descr, list):
        return [_field(*field) for field in descr]
    raise CorruptionError(f"not a NumPy dtype: {descr!r:.80}")


def _field(name: Any, descr: Any, shape: Any = None) -> tuple[Any, ...]:
    name = tuple(name) if isinstance(name, list) else name
    return (name, _checked(descr)) if shape is None else (name, _checked(descr), tuple(shape))
