"""What may be tracked: checks of values, steps, names and contexts. Numbers stay as they are; all else is encoded at once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from aimstore.encoding.records import Opaque, encode_record
from aimstore.errors import EncodingError
from aimstore.plugins.objects import to_object
from aimstore.storage.layout import NUMBER
from aimstore.types import Context

STEP_MIN = -(2**63)
STEP_MAX = 2**63 - 1


def prepare_value(value: Any, name: str) -> tuple[str, Any]:
    """The kind of sequence that `value` belongs to, and what to store of it.

    Numbers (int, float, bool, and scalars of NumPy, PyTorch and similar libraries) stay as they are. Everything else is
    encoded now, because the caller may change it after `track` has returned.

    Raises:
        EncodingError: the value cannot be stored; the message names its path.
    """
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, (bool, float, int)):
        if type(value) in (bool, float, int):
            return NUMBER, value
        return NUMBER, float(value) if isinstance(value, float) else int(value)
    stored = value if isinstance(value, Opaque) else to_object(value)
    if stored is not None:
        if stored.type_name == NUMBER:
            raise EncodingError(
                f"{name}: the record type {NUMBER!r} cannot be tracked; sequences of that kind hold plain numbers"
            )
        return stored.type_name, encode_record(stored, (name,))
    return _kind(value), encode_record(value, (name,), to_object)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes"
    if hasattr(value, "__array__"):
        return "array"
    return "record"


def check_step(step: Any, name: object) -> int | None:
    """`step` as an int of 64 bits; None stays None. Integers of any library are accepted; bool and float are not."""
    return None if step is None else _integer(step, STEP_MIN, "the step", name)


def check_epoch(epoch: Any, name: object) -> int | None:
    """`epoch` as an int of 64 bits, as `check_step` does. The least int64 is refused: it stands for a missing epoch."""
    return None if epoch is None else _integer(epoch, STEP_MIN + 1, "the epoch", name)


def _integer(value: Any, least: int, what: str, name: object) -> int:
    if not isinstance(value, bool) and hasattr(value, "__index__"):
        number = int(value.__index__())
        if least <= number <= STEP_MAX:
            return number
        raise EncodingError(f"{what} {number} of sequence {name!r} does not fit into 64 bits")
    raise EncodingError(f"{what} of sequence {name!r} is an int or None, not {value!r:.60} ({type(value).__name__})")


def check_name(name: Any) -> str:
    """`name`, if it can name a sequence; else `EncodingError`."""
    if not isinstance(name, str) or not name:
        raise EncodingError(f"track needs a name: a str that is not empty, not {name!r:.60}")
    return str(name)


def check_context(context: Any, name: str) -> Context:
    """A copy of `context` that shares nothing with the caller's."""
    if context is None:
        return {}
    if not isinstance(context, dict) or not all(isinstance(key, str) for key in context):
        raise EncodingError(f"the context of sequence {name!r} is a dict with str keys, not {context!r:.80}")
    return {str(key): freeze_value(value) for key, value in context.items()}


def freeze_value(value: Any) -> Any:
    """A copy in plain containers. NumPy scalars become Python numbers, so that contexts compare by value."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    if isinstance(value, dict):
        return {key: freeze_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [freeze_value(item) for item in value]
    return value


def context_key(value: Any) -> Hashable:
    """A hashable value that is equal for equal contexts, whatever the order of their keys."""
    if isinstance(value, dict):
        return "dict", frozenset((key, context_key(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "list", tuple(context_key(item) for item in value)
    return value  # type: ignore[no-any-return]
