"""Extension types of values, for types that msgpack lacks. The codes are part of the format and never change."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import IntEnum
from typing import Any, Final, TypeAlias, cast

import msgpack  # type: ignore[import-untyped]
from msgpack import ExtType

from aimstore.encoding.payloads import unpack_payload
from aimstore.encoding.tensors import scalar_of
from aimstore.errors import CorruptionError, EncodingError


class Code(IntEnum):
    """Codes of the extension types, with their payloads."""

    INT = 1
    """An int beyond msgpack's 64 bits: big-endian two's complement."""
    TUPLE = 2
    """A tuple: the list of its elements, as a value."""
    DATETIME = 3
    """ISO 8601 text to the microsecond, with the offset if there is one; likewise DATE and TIME."""
    DATE = 4
    TIME = 5
    TIMEDELTA = 6
    """msgpack `[days, seconds, microseconds]`."""
    COMPLEX = 7
    """Real and imaginary part, little-endian doubles."""
    SCALAR = 8
    """A NumPy scalar, see `arrays.py`; likewise ARRAY."""
    ARRAY = 9
    OBJECT = 10
    """msgpack `[type name, bytes]`: an object of a registered type."""


@dataclass(frozen=True)
class Opaque:
    """The stored form of an object: the name of its registered type, and the bytes from its encoder.

    An object of an unknown type reads back as its `Opaque`, so that it can be written again unchanged.
    """

    type_name: str
    data: bytes


ToObject: TypeAlias = Callable[[Any], Opaque | None]
"""Encodes an object of a registered type; returns None for every other value."""

FromObject: TypeAlias = Callable[[Opaque], Any]
"""Decodes an object; returns the `Opaque` itself for an unknown type."""

CONTAINER: Final = object()
"""The result of `encode_leaf` for dicts, lists and tuples."""

_COMPLEX: Final = struct.Struct("<dd")


def encode_leaf(value: Any, to_object: ToObject | None) -> Any:
    """Return an object that msgpack can pack in place of `value`, or `CONTAINER`.

    Raises:
        EncodingError: there is none; the message does not name the path.
    """
    kind = type(value)
    if exact := _EXACT.get(kind):
        return exact(value)
    if to_object is not None and (found := _encode_object(value, to_object)) is not None:
        return found
    if hasattr(kind, "__array__"):
        return _encode_array(value, to_object)
    if isinstance(value, (dict, list, tuple)):
        return CONTAINER
    for base, encode in _BASES:
        if isinstance(value, base):
            return encode(value)
    raise EncodingError(
        f"a value of type {kind.__module__}.{kind.__qualname__} cannot be stored; store numbers, text, bytes, dates,"
        " arrays, lists, tuples and dicts of them, or register an object type"
    )


def _encode_array(value: Any, to_object: ToObject | None) -> Any:
    scalar = scalar_of(value)
    if scalar is not None and scalar is not value:
        return encode_leaf(scalar, to_object)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.generic):
        from aimstore.encoding.arrays import scalar_payload

        return ExtType(Code.SCALAR, scalar_payload(value))
    from aimstore.encoding.arrays import array_payload

    return ExtType(Code.ARRAY, array_payload(value))


def decode_leaf(code: int, payload: bytes, from_object: FromObject | None) -> Any:
    """Return the value of an extension, except for tuples. Raises `CorruptionError`, or any error of a parser."""
    if code in (Code.SCALAR, Code.ARRAY):
        from aimstore.encoding.arrays import load_array, load_scalar

        return load_scalar(payload) if code == Code.SCALAR else load_array(payload)
    if code == Code.OBJECT:
        found = Opaque(*parts_of(payload, str, bytes))
        return found if from_object is None else from_object(found)
    if decode := _DECODERS.get(code):
        return decode(payload)
    raise CorruptionError(f"extension code {code}, which no version up to this one writes")


def parts_of(payload: bytes, *kinds: type) -> list[Any]:
    """The elements of a payload that is a msgpack array with one element of each of these types.

    Raises:
        CorruptionError: the payload is not such an array.
        ValueError: the payload is not msgpack.
    """
    parts = unpack_payload(payload)
    if type(parts) is not list or tuple(map(type, parts)) != kinds:
        raise CorruptionError(f"the payload of an extension has other parts: {parts!r:.80}")
    return parts


def _encode_object(value: Any, to_object: ToObject) -> Any:
    try:
        found = to_object(value)
    except EncodingError:
        raise
    except Exception as error:  # the object type may raise any error
        raise EncodingError(f"the encoder of {type(value).__name__} failed: {error!r}") from error
    return None if found is None else _opaque(found)


def _opaque(value: Opaque) -> ExtType:
    if type(value.type_name) is not str or type(value.data) is not bytes:
        raise EncodingError("an Opaque needs a type name (str) and data (bytes)")
    return ExtType(Code.OBJECT, cast(bytes, msgpack.packb([value.type_name, value.data])))


def _int(value: int) -> int | ExtType:
    if -(1 << 63) <= value < 1 << 64:
        return value
    return ExtType(Code.INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise EncodingError("text with a lone surrogate, which UTF-8 cannot hold") from None
    return value


def _iso(code: Code, base: type[datetime] | type[date] | type[time]) -> Callable[[Any], ExtType]:
    def encode(value: Any) -> ExtType:
        text = value.isoformat()
        try:
            exact = base.fromisoformat(text).isoformat() == text
        except ValueError:
            exact = False
        if not exact:  # pandas has times with nanoseconds and NaT; Python loses offsets below a second
            raise EncodingError(f"a {type(value).__qualname__} that is no exact {base.__name__}: {text:.40}")
        return ExtType(code, text.encode("ascii"))

    return encode


def _timedelta(value: timedelta) -> ExtType:
    if getattr(value, "nanoseconds", 0):
        raise EncodingError(f"a {type(value).__qualname__} that is no exact timedelta: {value}")
    return ExtType(Code.TIMEDELTA, cast(bytes, msgpack.packb([value.days, value.seconds, value.microseconds])))


def _complex(value: complex) -> ExtType:
    return ExtType(Code.COMPLEX, _COMPLEX.pack(value.real, value.imag))


_BASES: Final[list[tuple[type, Callable[[Any], Any]]]] = [
    (int, lambda value: _int(int.__int__(value))),
    (float, float.__float__),
    (str, lambda value: _text(str.__str__(value))),
    (bytes, lambda value: bytes(memoryview(value))),
    (bytearray, lambda value: bytes(memoryview(value))),
    (memoryview, bytes),
    (datetime, _iso(Code.DATETIME, datetime)),
    (date, _iso(Code.DATE, date)),
    (time, _iso(Code.TIME, time)),
    (timedelta, _timedelta),
    (complex, _complex),
    (Opaque, _opaque),
]
"""The order matters: a datetime is a date too."""

_EXACT: Final[dict[type, Callable[[Any], Any]]] = {
    **dict(_BASES),
    **{kind: lambda value: value for kind in (bool, float, bytes, type(None))},
    **{kind: lambda value: CONTAINER for kind in (dict, list, tuple)},
    int: _int,
    str: _text,
}

KEY_TYPES: Final = frozenset({bool, int, float, complex, str, bytes, type(None), datetime, date, time, timedelta})
"""Types of dict keys, besides NumPy's scalars and tuples of all of these."""

_DECODERS: Final[dict[int, Callable[[bytes], Any]]] = {
    Code.INT: lambda payload: int.from_bytes(payload, "big", signed=True),
    Code.DATETIME: lambda payload: datetime.fromisoformat(payload.decode("ascii")),
    Code.DATE: lambda payload: date.fromisoformat(payload.decode("ascii")),
    Code.TIME: lambda payload: time.fromisoformat(payload.decode("ascii")),
    Code.TIMEDELTA: lambda payload: timedelta(*parts_of(payload, int, int, int)),
    Code.COMPLEX: lambda payload: complex(*_COMPLEX.unpack(payload)),
}
