"""Encodes values as bytes that keep their order, for postings: a class, then the value within it.

The classes, in this order: false values (None, empty collections), NaN, numbers, datetimes, strings, all other values.
Bool, int and float are one class of float64, as they compare in queries; ints beyond 2**53 are rounded. Datetimes are
microseconds in UTC. Strings are UTF-8 as in keys (see `aimstore.encoding.keys`), cut after `CUT` bytes.
"""

from __future__ import annotations

import struct
import sys
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from aimstore.encoding.keys import encode_path_part
from aimstore.encoding.moments import to_microseconds
from aimstore.encoding.tensors import python_scalar

FALSE: Final = b"\x10"
NAN: Final = b"\x20"
NUMBER: Final = b"\x30"
MOMENT: Final = b"\x40"
TEXT: Final = b"\x50"
OTHER: Final = b"\x60"

EMPTY_TEXT: Final = TEXT + b"\x00"

CUT: Final = 64
"""Maximum bytes of a string; a longer string is cut and followed by the byte ff, which never occurs in UTF-8."""

EXACT: Final = 2**53
"""Numbers of this size or greater may have been rounded."""

_NUMBERS: Final = frozenset({bool, int, float})
_FALSE_WHEN_EMPTY: Final = frozenset({list, tuple, dict, bytes, timedelta})


class UnorderedError(ValueError):
    """A value that equals values of other classes, so that it has no single position in the order."""


def encode_ordered(value: Any) -> bytes:
    """The class and bytes of a stored value.

    Raises:
        UnorderedError: `value` is a complex number that is real, and so equals a number.
    """
    kind = type(value)
    if kind in _NUMBERS:
        return encode_number(value)
    if kind is str:
        return encode_text(value)
    if value is None:
        return FALSE
    if kind is datetime:
        return encode_moment(value)
    if kind is complex:
        if value.imag == 0:
            raise UnorderedError(f"{value!r} equals a number")
        return OTHER
    if kind in _FALSE_WHEN_EMPTY:
        return OTHER if value else FALSE
    numpy = cast(Any, sys.modules.get("numpy"))  # if NumPy was never imported, no value is a NumPy value
    if numpy is not None and isinstance(value, numpy.generic):
        plain: Any = python_scalar(value)
        return OTHER if isinstance(plain, numpy.generic) else encode_ordered(plain)
    return OTHER


def encode_number(value: float) -> bytes:
    """Encode a number: big-endian IEEE 754, the sign bit inverted, for negatives all bits. NaN is its own class."""
    try:
        rounded = float(value) + 0.0  # -0.0 becomes 0.0
    except OverflowError:
        rounded = float("inf") if value > 0 else -float("inf")
    if rounded != rounded:
        return NAN
    (bits,) = struct.unpack(">Q", struct.pack(">d", rounded))
    turned: int = bits ^ (0xFFFF_FFFF_FFFF_FFFF if bits >> 63 else 1 << 63)
    return NUMBER + turned.to_bytes(8, "big")


def encode_moment(value: datetime) -> bytes:
    """Encode a datetime; a datetime without time zone is in UTC."""
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return MOMENT + (to_microseconds(aware) + 2**63).to_bytes(8, "big")


def encode_text(value: str) -> bytes:
    """Encode a string, whole or cut."""
    whole = encode_path_part(value)[1:]
    return TEXT + (whole if len(whole) <= CUT else whole[:CUT] + b"\xff")


def encode_beginning(value: str) -> bytes:
    """The prefix of all encoded strings that begin with `value`; for a long `value`, also of some other strings."""
    return encode_text(value)[: 1 + CUT].removesuffix(b"\x00") if value else TEXT


def is_exact(value: Any) -> bool:
    """Whether comparing with `value` in this order equals comparing with `value` itself."""
    if isinstance(value, str):
        return len(encode_text(value)) <= 1 + CUT
    return isinstance(value, datetime) or abs(value) < EXACT
