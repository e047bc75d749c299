"""Contexts, which tell sequences of one name apart: how they are stored, and when two contexts are the same.

Values of different types make different contexts, although 1, 1.0 and True are equal in Python. All NaNs are the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from enum import Enum
from typing import Any, Final

from aimstore.encoding.plain import plain
from aimstore.encoding.tensors import numpy_if_loaded, plain_number, scalar_of
from aimstore.encoding.values import encode_value
from aimstore.errors import EncodingError
from aimstore.plugins.objects import to_object
from aimstore.storage.layout import SequenceInfo
from aimstore.types import Context

_NUMBERS: Final = (bool, int, float, complex)
_SIMPLE: Final = (*_NUMBERS, str, bytes, Enum, type(None))


def check_context(context: Any, name: str) -> Context:
    """Return a copy of `context` in plain forms and containers, which shares nothing with the argument.

    Raises:
        EncodingError: `context` is not a dict with str keys, or a value cannot tell sequences apart; the message names
            the value.
    """
    if context is None:
        return {}
    if not isinstance(context, dict) or not all(isinstance(key, str) for key in context):
        raise EncodingError(f"the context of sequence {name!r} is a dict with str keys, not {context!r:.80}")
    try:
        return {str.__str__(key): _frozen(value, key) for key, value in context.items()}
    except RecursionError:
        raise EncodingError(f"the context of sequence {name!r} is nested too deeply, or contains itself") from None
    except EncodingError as error:
        raise EncodingError(f"the context of sequence {name!r}: {error}") from error


def _frozen(value: Any, path: str) -> Any:
    """A copy in plain containers. Scalars of NumPy and similar libraries become Python's, to compare by value."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bool, int, float)):
        return plain_number(value)
    scalar = scalar_of(value)
    if scalar is not None:
        return scalar.item() if hasattr(scalar, "item") else scalar
    if isinstance(value, dict):
        return {_frozen(key, path): _frozen(item, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_frozen(item, f"{path}[{at}]") for at, item in enumerate(value)]
    form = plain(value, (path,), to_object)
    if type(form) is not type(value):
        return _frozen(form, path)
    try:
        hash(value)
    except TypeError:
        raise EncodingError(
            f"{path}: a value of type {type(value).__name__} cannot tell sequences apart; use numbers or text"
        ) from None
    return value


def context_key(value: Any, *, exact: bool = True) -> Hashable:
    """Return a hashable key that is equal for contexts that are the same, whatever the order of their keys.

    Args:
        value: a context from `check_context`, or a stored context.
        exact: tell 1, 1.0 and True apart; otherwise they are equal, as in Python.
    """
    if isinstance(value, dict):
        pairs = ((context_key(key, exact=exact), context_key(item, exact=exact)) for key, item in value.items())
        return "dict", frozenset(pairs)
    if isinstance(value, (list, tuple)):
        return "list", tuple(context_key(item, exact=exact) for item in value)
    try:
        hash(value)
    except TypeError:  # stored by other code than `track`
        return "value", encode_value(value)
    if value != value:
        return "nan" if isinstance(value, float) else f"nan {value!r}"
    if exact and isinstance(value, _NUMBERS):
        return next(kind.__name__ for kind in _NUMBERS if isinstance(value, kind)), value
    return value  # type: ignore[no-any-return]


def types_of(context: Any) -> list[type] | None:
    """The types of a given context's values; None if all are str, so that equal contexts are the same."""
    kinds = [type(value) for value in (context or {}).values()]
    return None if all(kind is str for kind in kinds) else kinds


def is_simple(context: Any) -> bool:
    """Whether every context that equals this given context and has the same `types_of` is the same context, as long as
    the process lives: no value has parts, can change, or is NaN."""
    numpy = numpy_if_loaded()
    simple = _SIMPLE if numpy is None else (*_SIMPLE, numpy.generic)
    return all(isinstance(value, simple) and value == value for value in (context or {}).values())


def find_sequences(infos: Iterable[SequenceInfo], name: Any, context: Any) -> list[SequenceInfo]:
    """The sequences of a name and context. If none has context values of the same types, sequences with equal values
    are returned.

    A name or context that no sequence can have finds nothing.
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
