"""Code that the object types share: immutable objects, stored as a value of their fields."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from aimstore.encoding.values import decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError

if TYPE_CHECKING:
    import numpy.typing as npt


class StoredObject:
    """An object that never changes after its creation; its copy is the object itself."""

    def _set(self, **fields: Any) -> None:
        """Set the fields once, bypassing the frozen dataclass."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def _restored(cls, fields: dict[str, Any]) -> Self:
        """Make an object from stored fields, which may have been forged.

        Raises:
            TypeError, ValueError: no object has such fields.
        """
        made = cls.__new__(cls)
        made._set(**fields)
        made._check()
        return made

    def _check(self) -> None:
        """Raise `ValueError` if the fields have the right types but cannot belong to any valid object."""

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


_T = TypeVar("_T", bound=StoredObject)


class FieldsCodec(Generic[_T]):
    """Encodes objects of one class as a value, the dict of their fields.

    Args:
        kind: the class.
        fields: the names of the fields, each with its type or types; `object` if the class itself checks the field.
    """

    def __init__(self, kind: type[_T], **fields: Any) -> None:
        self._kind = kind
        self._fields = fields

    def encode(self, value: _T) -> bytes:
        """Return the stored bytes of an object."""
        return encode_value({name: getattr(value, name) for name in self._fields})

    def decode(self, data: bytes) -> _T:
        """Return the object from its stored bytes.

        Raises:
            CorruptionError: `data` is not a result of `encode`.
        """
        fields = decode_value(data)
        if not isinstance(fields, dict) or fields.keys() != self._fields.keys():
            raise CorruptionError(f"{self._what} without its fields {', '.join(self._fields)}: {data[:40]!r}")
        for name, kind in self._fields.items():
            if kind is not object and type(fields[name]) not in (kind if isinstance(kind, tuple) else (kind,)):
                raise CorruptionError(f"{self._what} whose {name} is {fields[name]!r:.40}")
        try:
            return self._kind._restored(fields)
        except (TypeError, ValueError) as error:
            raise CorruptionError(f"{self._what} that is none: {error}") from error

    @property
    def _what(self) -> str:
        return f"a stored {self._kind.__name__}"


def checked_text(value: object, what: str) -> str:
    """Return `value` as a plain str.

    Raises:
        TypeError: `value` is not a str.
        EncodingError: `value` has a lone surrogate.
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
    """The content of a file (str or path) or of a bytes-like object; None for anything else."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        return Path(source).read_bytes()
    return None


def checked_array(source: Any, what: str) -> npt.NDArray[Any]:
    """Return a NumPy array, or an object whose `__array__` returns one, as an array; see
    `aimstore.encoding.arrays.as_array`.

    Raises:
        EncodingError: the object cannot be converted, or has masked elements.
    """
    from aimstore.encoding.arrays import as_array

    try:
        return as_array(source)
    except EncodingError as error:
        raise EncodingError(f"{what}: {error}") from error


def described(kind: str, what: str, data: bytes, caption: str) -> str:
    """The repr of an object that holds a file."""
    title = f", {caption!r:.80}" if caption else ""
    return f"<{kind} {what}, {len(data):,} bytes{title}>"
