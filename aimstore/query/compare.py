"""Comparisons of a query: what is missing compares with nothing, unlike types are unequal and unordered.

Every function takes the evaluation's budget first and returns a bool. `None` is a value; a missing attribute equals it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from aimstore.query.limits import CHARACTERS_PER_STEP, Budget
from aimstore.query.values import MISSING, BaseView, DictView, ListView, OpaqueView, wrap

_NUMBERS: Final = frozenset({bool, int, float})
_HASHED: Final = frozenset({bool, int, float, complex, str, bytes, type(None), datetime, date, timedelta})
_LISTS: Final = (list, tuple, ListView)
_DICTS: Final = (dict, DictView)
_SETS: Final = (set, frozenset)
_STEPS_PER_COLLECTION: Final = 6
"""Steps that beginning to compare two collections is worth."""


def equal(budget: Budget, left: Any, right: Any) -> bool:
    """`left == right`. Lists equal tuples with equal elements; a datetime without time zone is in UTC."""
    a, b = type(left), type(right)
    if a is str and b is str:
        if len(left) > CHARACTERS_PER_STEP:
            budget.copy(len(left))
        return bool(left == right)
    if a in _NUMBERS and b in _NUMBERS:
        return bool(left == right)
    if left is MISSING or right is MISSING:
        return left is None or right is None
    if a is datetime and b is datetime:
        return aware(left) == aware(right)
    if a in _HASHED and b in _HASHED:
        return bool(left == right)
    for kinds, equal_collections in _COLLECTIONS:
        if isinstance(left, kinds):
            return isinstance(right, kinds) and equal_collections(budget, left, right)
    return False


def _equal_lists(budget: Budget, left: Any, right: Any) -> bool:
    budget.spend(_STEPS_PER_COLLECTION)
    return size(left) == size(right) and all(
        equal(budget, x, y) for x, y in zip(_elements(budget, left), _elements(budget, right), strict=True)
    )


def _equal_dicts(budget: Budget, left: Any, right: Any) -> bool:
    budget.spend(_STEPS_PER_COLLECTION)
    return size(left) == size(right) and all(
        has_key(right, key) and equal(budget, get_key(left, key), get_key(right, key))
        for key in _elements(budget, left)
    )


def _equal_sets(budget: Budget, left: Any, right: Any) -> bool:
    budget.spend(len(left))
    return bool(left == right)


_COLLECTIONS: Final = ((_LISTS, _equal_lists), (_DICTS, _equal_dicts), (_SETS, _equal_sets))


def unequal(budget: Budget, left: Any, right: Any) -> bool:
    """`left != right`; false where either is missing, or is an array (except `array != None`)."""
    if left is MISSING or right is MISSING:
        return False
    if isinstance(left, OpaqueView) or isinstance(right, OpaqueView):
        return left is None or right is None
    return not equal(budget, left, right)


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Budget, Any, Any], bool]:
    """The function for one of < <= > >=; numbers, strings, dates, durations and lists are ordered among themselves."""

    def ordered(budget: Budget, left: Any, right: Any) -> bool:
        a, b = type(left), type(right)
        if a in _NUMBERS and b in _NUMBERS:
            return bool(compare(left, right))
        if a is not b and not (isinstance(left, _LISTS) and isinstance(right, _LISTS)):
            return False
        if a is str or a is bytes:
            budget.copy(len(left))
            return bool(compare(left, right))
        if a is datetime:
            return bool(compare(aware(left), aware(right)))
        if a is date or a is timedelta:
            return bool(compare(left, right))
        if isinstance(left, _LISTS):
            for x, y in zip(_elements(budget, left), _elements(budget, right), strict=False):
                if not equal(budget, x, y):
                    return ordered(budget, x, y)
            return bool(compare(size(left), size(right)))
        return False

    return ordered


less = _ordered(operator.lt)
less_equal = _ordered(operator.le)
greater = _ordered(operator.gt)
greater_equal = _ordered(operator.ge)


def contains(budget: Budget, item: Any, container: Any) -> bool:
    """`item in container`; false where either is missing or an array, and where the container is none."""
    kind = type(container)
    if item is MISSING or isinstance(item, OpaqueView):
        return False
    if kind is str or kind is bytes:
        budget.copy(len(container))
        return type(item) is kind and item in container
    if isinstance(container, _LISTS):
        return any(equal(budget, item, element) for element in _elements(budget, container))
    if isinstance(container, _DICTS):
        return has_key(container, item)
    if isinstance(container, _SETS):
        return type(item) in _HASHED and item in container
    return isinstance(container, BaseView) and container.has(item)


def not_contains(budget: Budget, item: Any, container: Any) -> bool:
    """`item not in container`; false where either is missing or an array."""
    if item is MISSING or container is MISSING or isinstance(item, OpaqueView) or isinstance(container, OpaqueView):
        return False
    return not contains(budget, item, container)


def same(budget: Budget, left: Any, right: Any) -> bool:
    """`left is right`, where one of them is None, True or False; what is missing is None."""
    return (None if left is MISSING else left) is (None if right is MISSING else right)


def not_same(budget: Budget, left: Any, right: Any) -> bool:
    """`left is not right`; `missing is not True` is false, as any comparison with what is missing."""
    if left is MISSING or right is MISSING:
        return False
    return left is not right


def size(value: Any) -> int:
    """Number of elements.

    Raises:
        TypeError: it is not a collection.
    """
    if isinstance(value, BaseView):
        return value.size()
    if isinstance(value, (str, bytes, list, tuple, dict, set, frozenset)):
        return len(value)
    raise TypeError(f"a value of type {type(value).__name__} has no length")


def elements(value: Any) -> Iterable[Any]:
    """What a loop over `value` yields.

    Raises:
        TypeError: it is not a collection.
    """
    if isinstance(value, BaseView):
        return value.elements()
    if isinstance(value, (str, list, tuple, dict, set, frozenset)):
        return value
    raise TypeError(f"cannot loop over a value of type {type(value).__name__}")


def has_key(mapping: Any, key: Any) -> bool:
    """Whether a dict, or a view of one, has `key`."""
    return mapping.has(key) if isinstance(mapping, DictView) else type(key) in _HASHED and key in mapping


def get_key(mapping: Any, key: Any) -> Any:
    """The value of `key` in a dict or a view of one, or `MISSING`."""
    if isinstance(mapping, DictView):
        return mapping.item(key)
    return wrap(mapping.get(key, MISSING)) if type(key) in _HASHED else MISSING


def _elements(budget: Budget, value: Any) -> Iterator[Any]:
    for element in elements(value):
        budget.spend(1)
        yield element


def aware(moment: datetime) -> datetime:
    """`moment`, in UTC where it names no time zone."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
