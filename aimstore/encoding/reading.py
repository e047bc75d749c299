"""Reads values that anybody may have written. Time and memory stay proportional to their size, and the results are only
values that can be stored again.

Python's dicts take quadratic time for keys with the same hash, and msgpack has no limit for them. Text and bytes have
secret hashes, and few of msgpack's other keys share one. So a value is read a second time, with all keys checked, only
if it has enough extensions for their hashes to collide that often.
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from aimstore.encoding.extensions import KEY_TYPES, Code, FromObject, decode_leaf
from aimstore.encoding.nesting import MAX_TUPLE_DEPTH, WRAPPED_DEPTH, is_deeper, levels
from aimstore.errors import CorruptionError

MAX_SAME_HASH: Final = 64
"""Maximum number of keys of one dict that may have the same hash."""

HASHED: Final = frozenset({Code.INT, Code.TUPLE, Code.TIMEDELTA, Code.COMPLEX, Code.SCALAR})
"""Extensions that can be dict keys and whose hashes are predictable."""

_FIRST_OF_EXTENSION: Final = frozenset(range(0xC7, 0xCA)) | frozenset(range(0xD4, 0xD9))
_TIMESTAMP: Final = re.compile(rb"[\x04\x08\x0c\xd6\xd7]\xff")
"""The first bytes of msgpack's own extension: a length of 4, 8 or 12 bytes, and the code -1."""


class _SuspectError(Exception):
    """The value must be read again with its keys checked."""


class ValueReader:
    """Reads one value."""

    def __init__(self, from_object: FromObject | None, *, check_depth: bool = True) -> None:
        self.from_object = from_object
        self.check_depth = check_depth
        self.extensions = 0
        self.tuples = 0
        self.checked = False

    def read(self, data: bytes) -> Any:
        """Return the value. Raises `CorruptionError`."""
        self.checked = len(data) > 0 and data[0] in _FIRST_OF_EXTENSION  # an extension is not a dict
        try:
            try:
                value = self._unpack(data)
            except _SuspectError:
                self.checked, self.tuples = True, 0
                value = self._unpack(data)
        except (ValueError, TypeError, OverflowError, MemoryError, RecursionError, struct.error) as error:
            raise CorruptionError(f"a stored value cannot be read: {error}") from error
        if self.check_depth and len(data) > WRAPPED_DEPTH and is_deeper(value, WRAPPED_DEPTH):
            raise CorruptionError("a stored value is nested too deeply")
        if b"\xff" in data and _TIMESTAMP.search(data) and _has_timestamp(value):
            raise CorruptionError("a stored value has msgpack's extension -1, which no version up to this one writes")
        return value

    def _unpack(self, data: bytes) -> Any:
        if self.tuples > MAX_TUPLE_DEPTH:
            raise CorruptionError("a stored value has too many tuples within tuples")
        checked = _checked_dict if self.checked else None
        return msgpack.unpackb(data, ext_hook=self._extension, strict_map_key=False, object_pairs_hook=checked)

    def _extension(self, code: int, payload: bytes) -> Any:
        if not self.checked:
            self.extensions += 1
            if code == Code.OBJECT or (code in HASHED and self.extensions > MAX_SAME_HASH):
                raise _SuspectError
        if code != Code.TUPLE:
            return decode_leaf(code, payload, self.from_object)
        self.tuples += 1
        items = self._unpack(payload)
        self.tuples -= 1
        if type(items) is not list:
            raise CorruptionError("a stored tuple without elements")
        return tuple(items)


def _checked_dict(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    if not all(_is_key(key) for key, _ in pairs):
        raise CorruptionError("a stored dict has an object as a key")
    if has_same_hashes(key for key, _ in pairs):
        raise CorruptionError(f"a stored dict has more than {MAX_SAME_HASH} keys of one hash")
    return dict(pairs)


def has_same_hashes(keys: Any) -> bool:
    """Whether more than `MAX_SAME_HASH` of these keys have the same hash."""
    return max(Counter(map(hash, keys)).values(), default=0) > MAX_SAME_HASH


def _is_key(value: Any) -> bool:
    kind = type(value)
    if kind is tuple:
        return all(map(_is_key, value))
    return kind in KEY_TYPES or kind.__module__ == "numpy"


def _has_timestamp(value: Any) -> bool:
    return (
        any(
            type(item) is msgpack.Timestamp
            for level in levels(value)
            for container in level
            for item in (
                [each for pair in container.items() for each in pair] if type(container) is dict else container
            )
        )
        or type(value) is msgpack.Timestamp
    )
