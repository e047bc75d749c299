"""Values as msgpack, with extension types for types that msgpack lacks. Never pickle; every type is preserved.

For an instance of a subclass the base type is stored (an `IntEnum` as int, an `OrderedDict` as dict, a named tuple as
tuple), except that NumPy's scalars keep their type. `bytearray` and `memoryview` read back as bytes.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import msgpack  # type: ignore[import-untyped]
from msgpack import ExtType

from aimstore.encoding.extensions import CONTAINER, Code, FromObject, Opaque, ToObject, encode_leaf
from aimstore.encoding.keys import format_path
from aimstore.encoding.nesting import MAX_DEPTH, MAX_TUPLE_DEPTH, WRAPPED_DEPTH, is_deeper, too_deep
from aimstore.encoding.reading import HASHED, MAX_SAME_HASH, ValueReader, has_same_hashes
from aimstore.errors import EncodingError
from aimstore.types import TreePath

__all__ = [
    "MAX_DEPTH",
    "MAX_TUPLE_DEPTH",
    "WRAPPED_DEPTH",
    "FromObject",
    "Opaque",
    "ToObject",
    "decode_value",
    "encode_value",
]


def encode_value(
    value: Any, path: TreePath = (), to_object: ToObject | None = None, *, deepest: int = MAX_DEPTH
) -> bytes:
    """Encode one value.

    Args:
        value: None, bool, int, float, complex, str, bytes, date, time, datetime, timedelta, NumPy scalar or array, an
            object with `__array__`, `Opaque`, and dicts, lists and tuples of these. Dict keys: any of these that can be
            hashed, except objects of registered types.
        path: the path of the value, for error messages. Its parts count as levels of nesting.
        to_object: encodes objects of registered types.
        deepest: maximum levels of nesting; `WRAPPED_DEPTH` for a value that contains stored values.

    Raises:
        EncodingError: the value, or a part of it, cannot be stored; the message names its path.
    """
    try:
        data = cast(bytes, _pack(value, default=_Simple(to_object)))
    except (TypeError, ValueError, OverflowError, BufferError, RuntimeError):
        # only a walk through the value in Python can store it, or find the path of the fault
        return _Walk(path, to_object, deepest).encode(value)
    levels = deepest - len(path)
    if len(data) > levels and is_deeper(value, levels):
        raise EncodingError(f"{format_path(path)}: {too_deep(deepest)}")
    return data


def decode_value(data: bytes, from_object: FromObject | None = None, *, check_depth: bool = True) -> Any:
    """Decode one value; arrays are writable and own their memory.

    Args:
        data: a result of `encode_value`.
        from_object: decodes objects of registered types; without it they read back as `Opaque`.
        check_depth: refuse values nested more than `WRAPPED_DEPTH` levels deep, else more than 1,024. The check doubles
            the time for many small values.

    Raises:
        CorruptionError: `data` is not an encoded value.
    """
    return ValueReader(from_object, check_depth=check_depth).read(data)


_pack = partial(msgpack.packb, strict_types=True)


class _Simple:
    """msgpack's hook for objects that it cannot pack. Possible dict keys whose stored form cannot be hashed are left to
    the walk, and so are more extensions than may share a hash."""

    __slots__ = ("count", "to_object")

    def __init__(self, to_object: ToObject | None) -> None:
        self.to_object = to_object
        self.count = 0

    def __call__(self, value: Any) -> Any:
        encoded = encode_leaf(value, self.to_object)
        if encoded is CONTAINER or (_no_key(encoded) and type(value).__hash__ is not None):
            raise TypeError
        if type(encoded) is ExtType and encoded.code in HASHED:
            self.count += 1
            if self.count > MAX_SAME_HASH:
                raise TypeError
        return encoded


def _no_key(encoded: Any) -> bool:
    return type(encoded) is ExtType and encoded.code in (Code.ARRAY, Code.OBJECT)


class _Walk:
    """Turns one value into objects that msgpack can pack, and knows the current path."""

    def __init__(self, root: TreePath, to_object: ToObject | None, deepest: int) -> None:
        self.root = root
        self.to_object = to_object
        self.deepest = deepest
        self.path: list[Any] = []
        self.tuples = 0
        self.in_key = False

    def encode(self, value: Any) -> bytes:
        try:
            return cast(bytes, _pack(self.prepare(value)))
        except EncodingError as error:
            raise EncodingError(f"{self._place()}: {error}") from error.__cause__
        except RecursionError:
            raise EncodingError(f"{self._place()}: {too_deep(self.deepest)}") from None
        except ValueError as error:  # above 4 GiB
            raise EncodingError(f"{self._place()}: {error}") from error

    def _place(self) -> str:
        return format_path((*self.root, *self.path))

    def prepare(self, value: Any) -> Any:
        encoded = encode_leaf(value, self.to_object)
        if self.in_key and (_no_key(encoded) or (encoded is CONTAINER and not isinstance(value, tuple))):
            raise EncodingError(f"{type(value).__qualname__} as key of a dict; use text or numbers")
        if encoded is not CONTAINER:
            return encoded
        if len(self.root) + len(self.path) >= self.deepest:
            raise EncodingError(too_deep(self.deepest))
        if isinstance(value, dict):
            return self._dict(value)
        if isinstance(value, list):
            return self._items(value)
        self.tuples += 1
        if self.tuples > MAX_TUPLE_DEPTH:
            raise EncodingError(f"more than {MAX_TUPLE_DEPTH} tuples within tuples; use lists")
        packed = _pack(self._items(value))
        self.tuples -= 1
        return ExtType(Code.TUPLE, packed)

    def _items(self, value: list[Any] | tuple[Any, ...]) -> list[Any]:
        prepared = []
        self.path.append(0)
        for index, item in enumerate(value):
            self.path[-1] = index
            prepared.append(self.prepare(item))
        self.path.pop()
        return prepared

    def _dict(self, value: dict[Any, Any]) -> dict[Any, Any]:
        if len(value) > MAX_SAME_HASH and has_same_hashes(value):
            raise EncodingError(f"a dict with more than {MAX_SAME_HASH} keys of one hash")
        prepared = {}
        self.path.append(None)
        for key, item in value.items():
            self.path[-1] = key
            self.in_key = True
            encoded = self.prepare(key)
            self.in_key = False
            prepared[encoded] = self.prepare(item)
        self.path.pop()
        return prepared
