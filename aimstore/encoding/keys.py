"""Keys: tree paths (tuples of str and int) as bytes whose order is the order of the paths.

A key is the concatenation of its parts, so `encode_path(a + b) == encode_path(a) + encode_path(b)`. No part's bytes are
a prefix of another part's bytes, so the subtree of a path is exactly the keys that begin with the path's key. Parts:

- int: tag `0x18 + n` and n bytes, big-endian, for n-byte positive numbers, `0x18` alone for 0, tag `0x18 - n` and the
  complement for negative numbers; above 8 bytes, tag `0x21` (or `0x0F`), one byte n (complemented), n bytes. This is
  the integer of FoundationDB's tuple layer.
- str: tag `0x2F` (a slash), UTF-8, terminator `0x00`; U+0000 and U+0001 are written `01 01` and `01 02`.

Ints come before strings, ints by value, strings by code point.
"""

from __future__ import annotations

import operator
import re
import reprlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from aimstore.errors import CorruptionError, EncodingError
from aimstore.types import TreePath

_ZERO: Final = 0x18
_BIG: Final = 0x21
_BIG_NEGATIVE: Final = 0x0F
_TEXT: Final = 0x2F

_TAGS: Final = [bytes((_ZERO + size,)) for size in range(9)]
_MAX_INT_BYTES: Final = 255
_CACHED_CHARACTERS: Final = 128  # longer parts rarely recur, and the cache should stay small

_UNESCAPES: Final = {"\x01\x01": "\x00", "\x01\x02": "\x01"}
_ESCAPES: Final = str.maketrans({plain: escaped for escaped, plain in _UNESCAPES.items()})
_ESCAPED: Final = re.compile("\x01.?", re.DOTALL)

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60
_SHOWN_PARTS: Final = 12


def encode_path(path: TreePath) -> bytes:
    """Return the key of a path; `b""` for the root `()`.

    Instances of subclasses of str and int are treated as str and int, and so is every NumPy integer.

    Raises:
        EncodingError: a part is neither str nor int (bool counts as neither), is a text with a lone surrogate, or is an
            int of more than 255 bytes.
    """
    try:
        return b"".join(
            [
                _cached(part) if type(part) is str and len(part) <= _CACHED_CHARACTERS else encode_path_part(part)
                for part in path
            ]
        )
    except EncodingError as error:
        raise EncodingError(f"{format_path(path)}: {error}") from None


def encode_path_part(part: Any) -> bytes:
    """Return the bytes of one part of a path. Raises `EncodingError` as `encode_path` does."""
    if type(part) is not int:
        part = normalise_part(part)
    return _encode_int(part) if type(part) is int else _encode_text(part)


def normalise_part(part: Any) -> str | int:
    """Return `part` as an exact str or int. Raises `EncodingError` if it cannot be part of a path."""
    kind = type(part)
    if kind is str or kind is int:
        return part  # type: ignore[no-any-return]
    if isinstance(part, str):
        return str.__str__(part)
    if isinstance(part, int) and kind is not bool:
        return int.__int__(part)
    is_bool = kind.__name__ in ("bool", "bool_")  # NumPy's too, which old releases of NumPy take for an index
    if not is_bool and hasattr(kind, "__index__") and not hasattr(part, "__len__"):
        try:
            return int(operator.index(part))
        except TypeError:  # an array that is not a scalar
            pass
    raise EncodingError(f"a path consists of str and int, not {kind.__name__}")


def decode_path(data: bytes) -> TreePath:
    """Return the path of a key.

    Raises:
        CorruptionError: `data` is not the key of any path.
    """
    parts: list[str | int] = []
    position, end = 0, len(data)
    while position < end:
        tag = data[position]
        if tag == _TEXT:
            stop = data.find(0, position)
            if stop < 0:
                raise CorruptionError(f"a key ends inside a text: {bytes(data)!r:.80}")
            parts.append(_decode_text(data[position + 1 : stop]))
            position = stop + 1
        else:
            value, position = _decode_int(data, position, tag)
            parts.append(value)
    return tuple(parts)


def format_path(path: Iterable[Any]) -> str:
    """Format `path` for people: `model.layers[3]['a b']`, or `(root)`. Parts may be any objects; long paths are cut."""
    parts = list(path)
    if len(parts) > _SHOWN_PARTS:
        parts = [*parts[: _SHOWN_PARTS - 4], ..., *parts[-3:]]
    text = "".join(
        f".{part}"
        if type(part) is str and len(part) <= 60 and part.isidentifier()
        else "[…]"
        if part is ...
        else f"[{_shown(part)}]"
        for part in parts
    )
    return text.removeprefix(".") or "(root)"


def _shown(part: Any) -> str:
    if isinstance(part, int) and part.bit_length() > 256:  # Python refuses to print very long ints
        return f"an int of {part.bit_length()} bits"
    return _short.repr(part)


def _encode_text(text: str) -> bytes:
    if "\x00" in text or "\x01" in text:
        text = text.translate(_ESCAPES)
    try:
        return b"/%b\x00" % text.encode()
    except UnicodeEncodeError:
        raise EncodingError("a text with a lone surrogate, which UTF-8 cannot hold") from None


_cached = lru_cache(maxsize=8192)(_encode_text)  # call it with exact str only: 1, True and 1.0 would share an entry


def _decode_text(data: bytes) -> str:
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise CorruptionError(f"a key holds text that is not UTF-8: {bytes(data)!r:.80}") from error
    return _ESCAPED.sub(_unescape, text) if "\x01" in text else text


def _unescape(match: re.Match[str]) -> str:
    try:
        return _UNESCAPES[match[0]]
    except KeyError:
        raise CorruptionError(f"a key holds a broken escape: {match[0]!r}") from None


def _encode_int(value: int) -> bytes:
    if 0 <= value < 1 << 64:  # nearly always
        size = (value.bit_length() + 7) // 8
        return _TAGS[size] + value.to_bytes(size, "big")
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    if size > _MAX_INT_BYTES:
        raise EncodingError(f"an int of {size} bytes; a path takes {_MAX_INT_BYTES} at most")
    if value < 0:
        magnitude = (1 << (8 * size)) - 1 - magnitude
    digits = magnitude.to_bytes(size, "big")
    if size <= 8:
        return bytes((_ZERO - size,)) + digits
    return (bytes((_BIG, size)) if value > 0 else bytes((_BIG_NEGATIVE, _MAX_INT_BYTES - size))) + digits


def _decode_int(data: bytes, position: int, tag: int) -> tuple[int, int]:
    negative = tag < _ZERO
    start = position + 1
    if _BIG_NEGATIVE < tag < _BIG:
        size, least = abs(tag - _ZERO), 1
    elif tag in (_BIG, _BIG_NEGATIVE) and start < len(data):
        size, least = (_MAX_INT_BYTES - data[start] if negative else data[start]), 9
        start += 1
    else:
        raise CorruptionError(f"not a key: {bytes(data)!r:.80} has no part at byte {position}")
    digits = data[start : start + size]
    magnitude = int.from_bytes(digits, "big")
    if negative:
        magnitude = (1 << (8 * size)) - 1 - magnitude
    if len(digits) != size or (tag != _ZERO and (size < least or magnitude >> (8 * (size - 1)) == 0)):
        raise CorruptionError(f"not a key: {bytes(data)!r:.80} holds a broken int at byte {position}")
    return -magnitude if negative else magnitude, start + size
