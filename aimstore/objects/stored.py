"""What the shipped record types share: immutable objects, stored as a record of their fields."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from aimstore.encoding.records import decode_record, encode_record
from aimstore.errors import CorruptionError, EncodingError


class StoredObject:
    """An object that never changes after it was made; a copy of it is the object itself."""

    def _set(self, **fields: Any) -> None:
        """Give the fields their values, once, past what freezes the dataclass."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def _restored(cls, fields: dict[str, Any]) -> Self:
        """An object with these fields, which were stored, and so were checked when it was first made."""
        made = cls.__new__(cls)
        made._set(**fields)
        return made

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


_T = TypeVar("_T", bound=StoredObject)


class FieldsCodec(Generic[_T]):
    """Encodes objects of one class as a record, the dict of their fields.

    Args:
        kind: the class.
        fields: the names of the fields, and the type of each.
    """

    def __init__(self, kind: type[_T], **fields: Any) -> None:
        self._kind = kind
        self._fields = fields

    def encode(self, value: _T) -> bytes:
        """The bytes that are stored of an object."""
        return encode_record({name: getattr(value, name) for name in self._fields})

    def decode(self, data: bytes) -> _T:
        """The object that was encoded.

        Raises:
            CorruptionError: `data` is not what `encode` gave.
        """
        fields = decode_record(data)
        if not isinstance(fields, dict) or fields.keys() != self._fields.keys():
            raise CorruptionError(f"{self._what} without its fields {', '.join(self._fields)}: {data[:40]!r}")
        for name, kind in self._fields.items():
            if not isinstance(fields[name], kind):
                raise CorruptionError(f"{self._what} whose {name} is {fields[name]!r:.40}")
        try:
            return self._kind._restored(fields)
        except (TypeError, ValueError) as error:
            raise CorruptionError(f"{self._what} that is none: {error}") from error

    @property
    def _what(self) -> str:
        return f"a stored {self._kind.__name__}"


def checked_text(value: object, what: str) -> str:
    """`value` as a plain str.

    Raises:
        TypeError: it is no str.
        EncodingError: it has a lone surrogate.
    """
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, not {value!r:.60} ({type(value).__name__})")
    text = str.__str__(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise EncodingError(f"{what} has a lone surrogate, which UTF-8 cannot hold: {text!r:.60}") from None
    return text


def encoded_bytes(source: object) -> bytes | None:
    """What a file (str or path) or bytes-like object holds; None for anything else."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        return Path(source).read_bytes()
    return None


def described(kind: str, what: str, data: bytes, caption: str) -> str:
    """The repr of an object that holds a file."""
    title = f", {caption!r:.80}" if caption else ""
    return f"<{kind} {what}, {len(data):,} bytes{title}>"
