"""The functions and methods that a query may call. Each takes the evaluation's budget first.

They are never values in a query: the syntax check allows their names only in calls.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from types import GeneratorType
from typing import Any, Final

from aimstore.query.arithmetic import absent, add
from aimstore.query.compare import elements, get_key, size
from aimstore.query.costs import COSTS, ELEMENT, Cost
from aimstore.query.limits import Budget, QueryLimitError
from aimstore.query.patterns import search
from aimstore.query.values import MISSING, PLAIN, DictView, ListView, wrap

_KEPT_ELEMENT: Final = COSTS["list"](1)


def iterate(budget: Budget, value: Any, cost: Cost = ELEMENT) -> Iterator[Any]:
    """The elements of `value`; each costs `cost`."""
    # a generator expression charges for its own rounds
    for element in value if type(value) is GeneratorType else elements(value):
        budget.charge(cost)
        yield wrap(element)


def iterate_weighed(budget: Budget, value: Any, round_steps: int, round_bytes: int) -> Iterator[Any]:
    """The elements of `value`, for a loop whose rounds cost `round_steps` and `round_bytes` each."""
    return iterate(budget, value, Cost(round_steps, round_bytes))


def _is_defined(budget: Budget, value: Any) -> bool:
    return value is not MISSING


def _any(budget: Budget, values: Any) -> bool:
    return any(iterate(budget, values))


def _all(budget: Budget, values: Any) -> bool:
    return all(iterate(budget, values))


def _len(budget: Budget, value: Any) -> Any:
    return MISSING if absent(value) else size(value)


def _extreme(name: str, is_better: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    cost = COSTS[name]

    def extreme(budget: Budget, first: Any, *rest: Any) -> Any:
        if not rest and absent(first):
            return MISSING
        values = [first, *rest] if rest else list(iterate(budget, first, _KEPT_ELEMENT))
        if any(absent(value) for value in values):
            return MISSING
        if not values:
            raise ValueError(f"{name}() of an empty collection")
        best = values[0]
        for value in values[1:]:
            budget.charge(cost(value, best))
            if is_better(value, best):
                best = value
        return best

    return extreme


def _sum(budget: Budget, values: Any) -> Any:
    if absent(values):
        return MISSING
    total: Any = 0
    for value in iterate(budget, values):
        if type(value) is str:
            raise TypeError("sum() adds numbers, not strings")
        total = value if total == 0 and type(value) is timedelta else add(budget, total, value)
    return total


def _abs(budget: Budget, value: Any) -> Any:
    if absent(value):
        return MISSING
    budget.charge(COSTS["abs"](value))
    return abs(value)


def _round(budget: Budget, value: Any, ndigits: int | None = None) -> Any:
    if absent(value) or absent(ndigits):
        return MISSING
    most = budget.limits.round_digits
    if isinstance(ndigits, int) and abs(ndigits) > most:
        raise QueryLimitError(f"round() to more than {most} digits")
    budget.charge(COSTS["round"](value, ndigits))
    return round(value, ndigits)


def _convert(to: type) -> Callable[[Budget, Any], Any]:
    cost = COSTS[to.__name__]

    def convert(budget: Budget, value: Any) -> Any:
        if absent(value):
            return MISSING
        if type(value) not in PLAIN:
            raise TypeError(f"{to.__name__}() takes a number or string")
        if to is not str:
            _check_length(budget, to.__name__, value)
        budget.charge(cost(value))
        return to(value)

    return convert


def _check_length(budget: Budget, name: str, text: Any) -> None:
    """Refuse to parse a number or date from a text that is too long: the error would repeat all of it."""
    most = budget.limits.text_characters
    if type(text) in (str, bytes) and len(text) > most:
        raise QueryLimitError(f"{name}() reads at most {most:,} characters")


def _bool(budget: Budget, value: Any) -> bool:
    return bool(value)


def _datetime(budget: Budget, *parts: Any) -> Any:
    """`datetime(2024, 5, 1, 12, 30)` or `datetime("2024-05-01T12:30")`, in UTC unless the text states an offset."""
    if any(absent(part) for part in parts):
        return MISSING
    if len(parts) == 1 and type(parts[0]) is str:
        _check_length(budget, "datetime", parts[0])
        budget.charge(COSTS["datetime"](parts[0]))
        moment = datetime.fromisoformat(parts[0])
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not all(type(part) is int for part in parts) or len(parts) > 7:
        raise TypeError("datetime() takes an ISO 8601 string, or year, month, day, hour, … as integers")
    return datetime(*parts).replace(tzinfo=UTC)


def _timedelta(budget: Budget, *parts: Any, **units: Any) -> Any:
    if any(absent(part) for part in (*parts, *units.values())):
        return MISSING
    budget.charge(COSTS["timedelta"](*parts, *units.values()))
    return timedelta(*parts, **units)


FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "abs": _abs,
    "all": _all,
    "any": _any,
    "bool": _bool,
    "datetime": _datetime,
    "float": _convert(float),
    "int": _convert(int),
    "is_defined": _is_defined,
    "len": _len,
    "max": _extreme("max", operator.gt),
    "min": _extreme("min", operator.lt),
    "round": _round,
    "str": _convert(str),
    "sum": _sum,
    "timedelta": _timedelta,
}
"""Functions that can be called by name."""

CONSUMERS: Final = frozenset({"all", "any", "max", "min", "sum"})
"""Functions that take a generator expression."""

KEYWORDS: Final = {
    "timedelta": frozenset({"days", "hours", "microseconds", "milliseconds", "minutes", "seconds", "weeks"}),
    "round": frozenset({"ndigits"}),
}
"""Keyword arguments of the functions."""


def _text_method(name: str) -> Callable[..., Any]:
    method, cost = getattr(str, name), COSTS[f"str.{name}"]

    def call(budget: Budget, text: str, *arguments: Any) -> Any:
        given = tuple(_as_tuple(budget, argument) for argument in arguments)
        budget.charge(cost(text, *given))
        return wrap(method(text, *given))

    return call


def _split(budget: Budget, text: str, *arguments: Any) -> Any:
    budget.charge(COSTS["count pieces"](text, *arguments))
    budget.charge(COSTS["str.split"](text, *arguments))
    return wrap(text.split(*arguments))


def _as_tuple(budget: Budget, argument: Any) -> Any:
    """Convert a list of prefixes to a tuple, which `startswith` requires."""
    if not isinstance(argument, (list, ListView)):
        return argument
    budget.charge(COSTS["list"](size(argument)))
    return tuple(elements(argument))


def _keys(budget: Budget, mapping: Any) -> tuple[Any, ...]:
    budget.charge(COSTS["dict.keys"](size(mapping)))
    return tuple([wrap(key) for key in elements(mapping)])


def _items(budget: Budget, mapping: Any) -> tuple[Any, ...]:
    budget.charge(COSTS["dict.items"](size(mapping)))
    return tuple([(wrap(key), get_key(budget, mapping, key)) for key in elements(mapping)])


def _values(budget: Budget, mapping: Any) -> tuple[Any, ...]:
    return tuple([value for _, value in _items(budget, mapping)])


def _get(budget: Budget, mapping: Any, key: Any, default: Any = MISSING) -> Any:
    value = get_key(budget, mapping, key)
    return default if value is MISSING else value


_TEXT_METHODS: Final = (
    *("casefold", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "islower", "isupper", "lower"),
    *("lstrip", "removeprefix", "removesuffix", "rstrip", "startswith", "strip", "upper"),
)
_MAPPING: Final[dict[str, Callable[..., Any]]] = {"get": _get, "items": _items, "keys": _keys, "values": _values}
METHODS_BY_TYPE: Final[dict[type, dict[str, Callable[..., Any]]]] = {
    str: {name: _text_method(name) for name in _TEXT_METHODS} | {"matches": search, "split": _split},
    dict: _MAPPING,
    DictView: _MAPPING,
    datetime: {
        "date": lambda budget, moment: moment.date(),
        "isoformat": lambda budget, moment: moment.isoformat(),
        "timestamp": lambda budget, moment: moment.timestamp(),
        "weekday": lambda budget, moment: moment.weekday(),
    },
    date: {
        "isoformat": lambda budget, day: day.isoformat(),
        "weekday": lambda budget, day: day.weekday(),
    },
    timedelta: {"total_seconds": lambda budget, duration: duration.total_seconds()},
}
METHODS: Final = frozenset(name for methods in METHODS_BY_TYPE.values() for name in methods)
"""Names of methods that can be called after a dot."""


def call_method(budget: Budget, value: Any, name: str, *arguments: Any) -> Any:
    """`value.name(*arguments)`; missing if `value` has no such method or an argument is missing."""
    method = METHODS_BY_TYPE.get(type(value), {}).get(name)
    if method is None or any(absent(argument) for argument in arguments):
        return MISSING
    return method(budget, value, *arguments)
