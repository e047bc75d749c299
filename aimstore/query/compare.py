"""Comparisons of a query: a missing value compares with nothing; values of different types are unequal and unordered.

Every function takes the evaluation's budget first and returns a bool. `None` is a value; a missing attribute equals it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from aimstore.query.costs import COLLECTION, COSTS, ELEMENT, SMALL_INT, Cost
from aimstore.query.limits import Budget
from aimstore.query.values import MISSING, BaseView, DictView, ListView, OpaqueView, wrap

_NUMBERS: Final = frozenset({bool, int, float})
_HASHED: Final = frozenset({bool, int, float, complex, str, bytes, type(None), datetime, date, timedelta})
_LISTS: Final = (list, tuple, ListView)
_DICTS: Final = (dict, DictView)
_SETS: Final = (set, frozenset)
_ORDERED: Final = frozenset({str, bytes, datetime, date, timedelta})
"""Types whose values are ordered among themselves, besides numbers and lists."""

_MAX_ELEMENTS_AHEAD: Final = 64

_equality_cost: Final = COSTS["=="]
_order_cost: Final = COSTS["<"]
_membership_cost: Final = COSTS["in"]
_key_cost: Final = COSTS["dict.get"]


def equal(budget: Budget, left: Any, right: Any) -> bool:
    """`left == right`. Lists equal tuples with equal elements; a datetime without time zone is in UTC."""
    if type(left) in _NUMBERS and type(right) in _NUMBERS and -SMALL_INT < left < SMALL_INT:
        return bool(left == right)
    verdict = _equal_unless_nested(budget, left, right)
    return _equal_elements(budget, left, right) if verdict is None else verdict


def _equal_unless_nested(budget: Budget, left: Any, right: Any) -> bool | None:
    """Whether two values are equal; None if both are lists or both are dicts, so that their elements decide."""
    a, b = type(left), type(right)
    if a in _NUMBERS and b in _NUMBERS:
        if a is int:
            budget.charge(_equality_cost(left, right))
        return bool(left == right)
    if left is MISSING or right is MISSING:
        return left is None or right is None
    if a is datetime and b is datetime:
        return aware(left) == aware(right)
    if (a in _HASHED and b in _HASHED) or (a in _SETS and b in _SETS):
        budget.charge(_equality_cost(left, right))
        return bool(left == right)
    if (isinstance(left, _LISTS) and isinstance(right, _LISTS)) or (
        isinstance(left, _DICTS) and isinstance(right, _DICTS)
    ):
        return None
    return False


def _equal_elements(budget: Budget, left: Any, right: Any) -> bool:
    """Whether two lists or two dicts are equal, at any depth."""
    levels = [iter(((left, right),))]
    while levels:
        for x, y in levels[-1]:
            verdict = _equal_unless_nested(budget, x, y)
            if verdict is None:
                budget.charge(COLLECTION)
                if not _same_shape(budget, x, y):
                    return False
                levels.append(_pairs(budget, x, y))
                break
            if not verdict:
                return False
        else:
            levels.pop()
    return True


def _same_shape(budget: Budget, left: Any, right: Any) -> bool:
    """Whether two lists have the same number of elements, or two dicts the same keys."""
    if size(left) != size(right):
        return False
    return not isinstance(left, _DICTS) or all(has_key(budget, right, key) for key in _elements(budget, left))


def _pairs(budget: Budget, left: Any, right: Any) -> Iterator[tuple[Any, Any]]:
    """The pairs to compare of two collections of the same shape."""
    if not isinstance(left, _DICTS):
        return zip(_elements(budget, left), _elements(budget, right), strict=True)
    return ((get_key(budget, left, key), get_key(budget, right, key)) for key in _elements(budget, left))


def unequal(budget: Budget, left: Any, right: Any) -> bool:
    """`left != right`; false if either is missing or an array (except `array != None`)."""
    if left is MISSING or right is MISSING:
        return False
    if isinstance(left, OpaqueView) or isinstance(right, OpaqueView):
        return left is None or right is None
    return not equal(budget, left, right)


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Budget, Any, Any], bool]:
    """The function for one of < <= > >=; numbers, strings, dates, durations and lists are ordered among themselves."""

    def ordered(budget: Budget, left: Any, right: Any) -> bool:
        if isinstance(left, _LISTS) and isinstance(right, _LISTS):
            left, right = _first_difference(budget, left, right)
        a, b = type(left), type(right)
        if a in _NUMBERS and b in _NUMBERS:
            if a is int and not -SMALL_INT < left < SMALL_INT:
                budget.charge(_order_cost(left, right))
            return bool(compare(left, right))
        if a is not b or a not in _ORDERED:
            return False
        if a is datetime:
            return bool(compare(aware(left), aware(right)))
        budget.charge(_order_cost(left, right))
        return bool(compare(left, right))

    return ordered


def _first_difference(budget: Budget, left: Any, right: Any) -> tuple[Any, Any]:
    """The pair that decides the order of two lists, at any depth: the first elements that differ, or else the sizes."""
    levels = [_Level(budget, left, right)]
    while levels:
        level = levels[-1]
        for x, y in level.pairs:
            if isinstance(x, _LISTS) and isinstance(y, _LISTS):
                levels.append(_Level(budget, x, y))
                break
            if not equal(budget, x, y):
                return x, y
        else:
            if level.sizes[0] != level.sizes[1]:
                return level.sizes
            levels.pop()
    return 0, 0


class _Level:
    """Two lists whose elements are being compared."""

    def __init__(self, budget: Budget, left: Any, right: Any) -> None:
        budget.charge(COLLECTION)
        self.pairs = zip(_elements(budget, left), _elements(budget, right), strict=False)
        self.sizes = size(left), size(right)


less = _ordered(operator.lt)
less_equal = _ordered(operator.le)
greater = _ordered(operator.gt)
greater_equal = _ordered(operator.ge)


def contains(budget: Budget, item: Any, container: Any) -> bool:
    """`item in container`; false if either is missing or an array, or if `container` is not a container."""
    kind = type(container)
    if item is MISSING or isinstance(item, OpaqueView):
        return False
    if isinstance(container, _LISTS):
        return any(equal(budget, item, element) for element in _elements(budget, container))
    budget.charge(_membership_cost(item, container))
    if kind is str or kind is bytes:
        return type(item) is kind and item in container
    if isinstance(container, _SETS):
        return type(item) in _HASHED and item in container
    if isinstance(container, BaseView):
        return container.has(budget, item)
    return kind is dict and has_key(budget, container, item)


def not_contains(budget: Budget, item: Any, container: Any) -> bool:
    """`item not in container`; false if either is missing or an array."""
    if item is MISSING or container is MISSING or isinstance(item, OpaqueView) or isinstance(container, OpaqueView):
        return False
    return not contains(budget, item, container)


def same(budget: Budget, left: Any, right: Any) -> bool:
    """`left is right`, if one of them is None, True or False; a missing value is None."""
    return (None if left is MISSING else left) is (None if right is MISSING else right)


def not_same(budget: Budget, left: Any, right: Any) -> bool:
    """`left is not right`; `missing is not True` is false, like any comparison with a missing value."""
    if left is MISSING or right is MISSING:
        return False
    return left is not right


def size(value: Any) -> int:
    """Return the number of elements.

    Raises:
        TypeError: `value` is not a collection.
    """
    if isinstance(value, BaseView):
        return value.size()
    if isinstance(value, (str, bytes, list, tuple, dict, set, frozenset)):
        return len(value)
    raise TypeError(f"a value of type {type(value).__name__} has no length")


def elements(value: Any) -> Iterable[Any]:
    """Return the elements that a loop over `value` yields.

    Raises:
        TypeError: `value` is not a collection.
    """
    if isinstance(value, BaseView):
        return value.elements()
    if isinstance(value, (str, list, tuple, dict, set, frozenset)):
        return value
    raise TypeError(f"cannot loop over a value of type {type(value).__name__}")


def has_key(budget: Budget, mapping: Any, key: Any) -> bool:
    """Whether a dict, or a view of one, has `key`."""
    budget.charge(_key_cost(key))
    return mapping.has(budget, key) if isinstance(mapping, DictView) else type(key) in _HASHED and key in mapping


def get_key(budget: Budget, mapping: Any, key: Any) -> Any:
    """The value of `key` in a dict or a view of one, or `MISSING`."""
    budget.charge(_key_cost(key))
    if isinstance(mapping, DictView):
        return mapping.item(budget, key)
    return wrap(mapping.get(key, MISSING)) if type(key) in _HASHED else MISSING


def _elements(budget: Budget, value: Any) -> Iterator[Any]:
    """The elements of a collection, charged before they are read: first one, then twice as many each time."""
    ahead, cost = 0, ELEMENT
    for element in elements(value):
        if not ahead:
            budget.charge(cost)
            ahead = cost.steps
            cost = Cost(min(2 * ahead, _MAX_ELEMENTS_AHEAD))
        ahead -= 1
        yield element


def aware(moment: datetime) -> datetime:
    """Return `moment`, in UTC if it has no time zone."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
