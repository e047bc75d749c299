"""What may be tracked: numbers as they are, everything else encoded at once; and which sequence it belongs to."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from aimstore.encoding.plain import plain
from aimstore.encoding.records import Opaque, encode_record
from aimstore.encoding.tensors import has_no_dimensions, number_of, plain_number, scalar_of
from aimstore.errors import EncodingError
from aimstore.plugins.objects import to_object
from aimstore.storage.layout import NUMBER, SequenceInfo
from aimstore.types import Context

STEP_MIN = -(2**63)
STEP_MAX = 2**63 - 1

RECORD = "record"
"""Kind of a sequence of values that are nothing else."""

UNDECIDED = ""
"""Kind of None, which belongs to sequences of any kind."""

NONE = encode_record(None)
"""What is stored of None; in a sequence of numbers, whose first values it may be, it is NaN."""

_NUMBERS = (bool, float, int)


def admit(value: Any, name: str) -> tuple[str, Any]:
    """The kind of sequence that `value` belongs to, and what is stored of it; of None, which belongs to any, `UNDECIDED`.

    Numbers (int, float, bool, whatever NumPy, PyTorch and their like give as a scalar, and arrays, tensors and lists with one
    element that is one) are kept as they are, masked ones as NaN; all else is encoded here and now, because the caller may
    change it after `track` has returned.

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
                f"{name}: the record type {NUMBER!r} cannot be tracked; sequences of that kind hold plain numbers"
            )
        return stored.type_name, encode_record(stored, (name,))
    try:
        return _kind(value), encode_record(value, (name,), to_object)
    except EncodingError:
        form = plain(value, (name,), to_object)
        return _kind(form), encode_record(form, (name,), to_object)


def admit_as(kind: str, value: Any, name: str) -> Any:
    """What is stored of `value`, which `admit` put into another kind, in a sequence of this one; None where it does not belong
    there.

    None belongs to every kind, in one of numbers as NaN; an array or list with one element to those of arrays or lists; an
    empty list to those of objects.
    """
    if value is None:
        return float("nan") if kind == NUMBER else NONE
    empty = type(value) in (list, tuple) and not value and kind not in (NUMBER, "text", "bytes", "array")
    if empty or (type(value) not in _NUMBERS and _kind(value) == kind != NUMBER and not _is_scalar(value)):
        return encode_record(value, (name,), to_object)
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
    return RECORD


def is_surprise(kind: str, value: Any) -> str:
    """What to say once of a sequence whose first telling value is of a kind that may surprise; "" where it does not."""
    if kind == NUMBER and not _is_scalar(value):
        return f"its values are {type(value).__name__}s with one element, and are taken as numbers"
    if kind in (RECORD, "array") and _holds_numbers(value):
        return f"its values are {type(value).__name__}s of several numbers; it is no metric, and has no minimum or last value"
    return ""


def _holds_numbers(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and all(isinstance(item, _NUMBERS) for item in value)
    return False


def check_step(step: Any, name: object) -> int | None:
    """`step` as an int64, None as it is. Whole numbers of any type are taken, 50.0 too; bool and fractions are not."""
    return None if step is None else _integer(step, STEP_MIN, "the step", name)


def check_epoch(epoch: Any, name: object) -> int | None:
    """`epoch` likewise; the least int64 stands for a missing one."""
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
        except TypeError:  # an array that is no scalar
            return None
    if hasattr(value, "is_integer") and value.is_integer():
        return int(value)
    return None


def check_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise EncodingError(f"track needs a name: a str that is not empty, not {name!r:.60}")
    return str(name)


def check_context(context: Any, name: str) -> Context:
    """A copy of `context` that shares nothing with the caller's, in plain forms and containers.

    Raises:
        EncodingError: it is no dict with str keys, or holds what cannot tell sequences apart; the message names it.
    """
    if context is None:
        return {}
    if not isinstance(context, dict) or not all(isinstance(key, str) for key in context):
        raise EncodingError(f"the context of sequence {name!r} is a dict with str keys, not {context!r:.80}")
    try:
        return {str.__str__(key): freeze_value(value, key) for key, value in context.items()}
    except RecursionError:
        raise EncodingError(f"the context of sequence {name!r} is nested too deeply, or contains itself") from None
    except EncodingError as error:
        raise EncodingError(f"the context of sequence {name!r}: {error}") from error


def freeze_value(value: Any, path: str = "") -> Any:
    """A copy in plain containers; scalars of NumPy and its like become Python's, so that equal contexts are equal whatever made
    them."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, _NUMBERS):
        return plain_number(value)
    scalar = scalar_of(value)
    if scalar is not None:
        return scalar.item() if hasattr(scalar, "item") else scalar
    if isinstance(value, dict):
        return {freeze_value(key, path): freeze_value(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [freeze_value(item, f"{path}[{at}]") for at, item in enumerate(value)]
    form = plain(value, (path,), to_object)
    if type(form) is not type(value):
        return freeze_value(form, path)
    try:
        hash(value)
    except TypeError:
        raise EncodingError(
            f"{path}: a value of type {type(value).__name__} cannot tell sequences apart; use numbers or text"
        ) from None
    return value


def context_key(value: Any, *, exact: bool = True) -> Hashable:
    """A hashable that is equal for contexts that are the same, in whatever order their keys were given.

    Args:
        value: what `check_context` gives, or was stored of it.
        exact: tell 1, 1.0 and True apart; else they are equal as in Python. NaN is one value.
    """
    if isinstance(value, dict):
        pairs = ((context_key(key, exact=exact), context_key(item, exact=exact)) for key, item in value.items())
        return "dict", frozenset(pairs)
    if isinstance(value, (list, tuple)):
        return "list", tuple(context_key(item, exact=exact) for item in value)
    try:
        hash(value)
    except TypeError:  # stored by something else than `track`
        return "record", encode_record(value)
    if value != value:
        return "nan" if isinstance(value, float) else f"nan {value!r}"
    if exact and isinstance(value, (*_NUMBERS, complex)):
        return next(kind.__name__ for kind in (bool, int, float, complex) if isinstance(value, kind)), value
    return value  # type: ignore[no-any-return]


def types_of(context: Any) -> list[type] | None:
    """The types of the values of a context as it was given, by which those are told apart that are equal; None where all are
    text, or there is none."""
    kinds = [type(value) for value in (context or {}).values()]
    return None if all(kind is str for kind in kinds) else kinds


def matching(infos: Iterable[SequenceInfo], name: Any, context: Any) -> list[SequenceInfo]:
    """The sequences of a name and context: of the same types, and where there are none, of equal values (1, 1.0 and True are).

    Nothing is found of a name or context that no sequence can have.
    """
    if not isinstance(name, str):
        return []
    named = [info for info in infos if info.name == name]
    try:
        own = check_context(context, name)
        for exact in (True, False):
            wanted = context_key(own, exact=exact)
            found = [info for info in named if context_key(info.context, exact=exact) == wanted]
            if found:
                return found
    except (EncodingError, TypeError, ValueError, RecursionError):
        pass
    return []
