"""Checks tracked values, steps and names. Numbers stay as they are; all other values are encoded at once."""

from __future__ import annotations

from typing import Any, Final

from aimstore.encoding.plain import plain
from aimstore.encoding.tensors import has_no_dimensions, number_of, scalar_of
from aimstore.encoding.values import Opaque, encode_value
from aimstore.errors import EncodingError
from aimstore.plugins.objects import to_object
from aimstore.storage.layout import NUMBER

STEP_MIN: Final = -(2**63)
STEP_MAX: Final = 2**63 - 1

HIGH_STEP: Final = 2**62
"""The step from which the steps of a sequence may come to an end. Counting never reaches it."""

VALUE: Final = "value"
"""The kind of a sequence whose values are of no other kind."""

UNDECIDED: Final = ""
"""The kind of None, which belongs to sequences of every kind."""

NONE: Final = encode_value(None)
"""The stored form of None. It may precede the first number of a sequence, and is NaN there."""

_NUMBERS: Final = (bool, float, int)


def prepare_value(value: Any, name: str) -> tuple[str, Any]:
    """The kind of sequence that `value` belongs to, and the stored form of `value`; the kind of None is `UNDECIDED`.

    Numbers (int, float, bool, scalars of NumPy, PyTorch and similar libraries, and arrays, tensors and lists with a
    single element that is a number) stay numbers; masked numbers are NaN. Every other value is encoded now, because the
    caller may change it after `track` has returned.

    Raises:
        EncodingError: the value cannot be stored; the message names its path.
    """
    if type(value) in _NUMBERS:
        return NUMBER, value
    try:
        number = number_of(value)
    except EncodingError as error:
        raise EncodingError(f"{name}: {error}") from error
    if number is not None:
        return NUMBER, number
    if value is None:
        return UNDECIDED, NONE
    stored = value if isinstance(value, Opaque) else to_object(value)
    if stored is not None:
        if stored.type_name == NUMBER:
            raise EncodingError(
                f"{name}: the object type {NUMBER!r} cannot be tracked; sequences of that kind hold plain numbers"
            )
        return stored.type_name, encode_value(stored, (name,))
    try:
        return _kind(value), encode_value(value, (name,), to_object)
    except EncodingError:
        form = plain(value, (name,), to_object)
        return _kind(form), encode_value(form, (name,), to_object)


def prepare_for(kind: str, value: Any, name: str) -> Any:
    """The stored form of `value` in a sequence of `kind`, if `prepare_value` returned another kind; None if `value`
    does not belong there.

    None belongs to every kind, and is NaN among numbers. An array or list with one element also belongs to arrays or
    lists, and an empty list also belongs to objects.
    """
    if value is None:
        return float("nan") if kind == NUMBER else NONE
    is_empty = type(value) in (list, tuple) and not value and kind not in (NUMBER, "text", "bytes", "array")
    if is_empty or (kind != NUMBER and not _is_scalar(value) and _kind(value) == kind):
        return encode_value(value, (name,), to_object)
    return None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, _NUMBERS) or has_no_dimensions(value)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes"
    if hasattr(value, "__array__"):
        return "array"
    if isinstance(value, (list, tuple)) and value:
        objects = [item if isinstance(item, Opaque) else to_object(item) for item in value]
        names = {None if each is None else each.type_name for each in objects}
        if len(names) == 1 and None not in names and NUMBER not in names:
            return str(names.pop())
    return VALUE


def surprise_of(kind: str, value: Any) -> str:
    """The warning about a sequence whose kind may be surprising because this value decided it; "" if there is none."""
    if kind == NUMBER and not _is_scalar(value):
        return f"its values are {type(value).__name__}s with one element, and are taken as numbers"
    if kind == VALUE and _holds_numbers(value):
        return f"its values are {type(value).__name__}s of several numbers; it is no metric, and has no minimum or last value"
    return ""


def _holds_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(item, _NUMBERS) for item in value)


def pending_bytes(stored: bytes) -> int:
    """Bytes of an object that count as pending. None counts nothing, because its sequence may become numeric."""
    return 0 if stored == NONE else len(stored)


def check_step(step: Any, name: object) -> int | None:
    """Return `step` as an int of 64 bits, or None. Accepts whole numbers of any type, even 50.0, but not bool."""
    return None if step is None else _integer(step, STEP_MIN, "the step", name)


def check_epoch(epoch: Any, name: object) -> int | None:
    """Return `epoch` as `check_step` does. The least int64 is refused, because it means a missing epoch."""
    return None if epoch is None else _integer(epoch, STEP_MIN + 1, "the epoch", name)


def _integer(value: Any, least: int, what: str, name: object) -> int:
    number = _whole(value)
    if number is None:
        raise EncodingError(
            f"{what} of sequence {name!r} is an int or None, not {value!r:.60} ({type(value).__name__})"
        )
    if not least <= number <= STEP_MAX:
        raise EncodingError(f"{what} {number} of sequence {name!r} does not fit into 64 bits")
    return number


def _whole(value: Any) -> int | None:
    """The whole number in `value`; None if it is not a whole number."""
    if not isinstance(value, _NUMBERS):
        try:
            scalar = scalar_of(value)
        except EncodingError:
            return None
        value = value if scalar is None else scalar
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return None
    if hasattr(value, "__index__"):
        try:
            return int(value.__index__())
        except TypeError:  # an array that is not a scalar
            return None
    if hasattr(value, "is_integer") and value.is_integer():
        return int(value)
    return None


def check_name(name: Any) -> str:
    """Return `name` if it can name a sequence; else raise `EncodingError`."""
    if not isinstance(name, str) or not name:
        raise EncodingError(f"track needs a name: a str that is not empty, not {name!r:.60}")
    return str(name)
