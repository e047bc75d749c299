"""The functions and methods that a query may call. Each takes the evaluation's budget first.

They are never values in a query: the syntax check lets their names stand only where they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from types import GeneratorType
from typing import Any, Final

from aimstore.query.arithmetic import absent, add
from aimstore.query.compare import elements, get_key, size
from aimstore.query.limits import Budget, QueryLimitError
from aimstore.query.patterns import search
from aimstore.query.values import MISSING, PLAIN, DictView, ListView, wrap


def iterate(budget: Budget, value: Any, weight: int = 1) -> Iterator[Any]:
    """The elements of `value`, each costing `weight` steps."""
    # a generator expression spends its own steps
    for element in value if type(value) is GeneratorType else elements(value):
        budget.spend(weight)
        yield wrap(element)


def _is_defined(budget: Budget, value: Any) -> bool:
    return value is not MISSING


def _any(budget: Budget, values: Any) -> bool:
    return any(iterate(budget, values))


def _all(budget: Budget, values: Any) -> bool:
    return all(iterate(budget, values))


def _len(budget: Budget, value: Any) -> Any:
    return MISSING if absent(value) else size(value)


def _extreme(choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def extreme(budget: Budget, first: Any, *rest: Any) -> Any:
        if not rest and absent(first):
            return MISSING
        values = [first, *rest] if rest else list(iterate(budget, first))
        if any(absent(value) for value in values):
            return MISSING
        return choose(values)

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
    return MISSING if absent(value) else abs(value)


def _round(budget: Budget, value: Any, ndigits: int | None = None) -> Any:
    if absent(value) or absent(ndigits):
        return MISSING
    most = budget.limits.round_digits
    if isinstance(ndigits, int) and abs(ndigits) > most:
        raise QueryLimitError(f"round() to more than {most} digits")
    return round(value, ndigits)


def _convert(to: type) -> Callable[[Budget, Any], Any]:
    def convert(budget: Budget, value: Any) -> Any:
        if absent(value):
            return MISSING
        if type(value) not in PLAIN:
            raise TypeError(f"{to.__name__}() takes a number or string")
        if type(value) is str or type(value) is bytes:
            budget.copy(len(value))
        return to(value)

    return convert


def _bool(budget: Budget, value: Any) -> bool:
    return bool(value)


def _datetime(budget: Budget, *parts: Any) -> Any:
    """`datetime(2024, 5, 1, 12, 30)` or `datetime("2024-05-01T12:30")`, in UTC unless the text says otherwise."""
    if any(absent(part) for part in parts):
        return MISSING
    if len(parts) == 1 and type(parts[0]) is str:
        moment = datetime.fromisoformat(parts[0])
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    if not all(type(part) is int for part in parts) or len(parts) > 7:
        raise TypeError("datetime() takes an ISO 8601 string, or year, month, day, hour, … as integers")
    return datetime(*parts).replace(tzinfo=UTC)


def _timedelta(budget: Budget, *parts: Any, **units: Any) -> Any:
    if any(absent(part) for part in (*parts, *units.values())):
        return MISSING
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
    "max": _extreme(max),
    "min": _extreme(min),
    "round": _round,
    "str": _convert(str),
    "sum": _sum,
    "timedelta": _timedelta,
}
"""What may be called by name."""

CONSUMERS: Final = frozenset({"all", "any", "max", "min", "sum"})
"""Functions that take a generator expression."""

KEYWORDS: Final = {
    "timedelta": frozenset({"days", "hours", "microseconds", "milliseconds", "minutes", "seconds", "weeks"}),
    "round": frozenset({"ndigits"}),
}
"""Keyword arguments that functions take."""


def _text_method(name: str) -> Callable[..., Any]:
    method = getattr(str, name)

    def call(budget: Budget, text: str, *arguments: Any) -> Any:
        budget.copy(len(text))
        result = method(text, *(_as_tuple(argument) for argument in arguments))
        if type(result) is list:
            budget.spend(len(result))
        return wrap(result)

    return call


def _as_tuple(argument: Any) -> Any:
    """`startswith` takes several prefixes as a tuple only."""
    return tuple(elements(argument)) if isinstance(argument, (list, ListView)) else argument


def _keys(budget: Budget, mapping: Any) -> tuple[Any, ...]:
    return tuple(iterate(budget, mapping))


def _items(budget: Budget, mapping: Any) -> tuple[Any, ...]:
    return tuple((key, get_key(mapping, key)) for key in iterate(budget, mapping))


def _values(budget: Budget, mapping: Any) -> tuple[Any, ...]:
    return tuple(value for _, value in _items(budget, mapping))


def _get(budget: Budget, mapping: Any, key: Any, default: Any = MISSING) -> Any:
    value = get_key(mapping, key)
    return default if value is MISSING else value


_TEXT_METHODS: Final = (
    *("casefold", "count", "endswith", "find", "isalnum", "isalpha", "isdigit", "islower", "isupper", "lower"),
    *("lstrip", "removeprefix", "removesuffix", "rstrip", "split", "startswith", "strip", "upper"),
)
_MAPPING: Final[dict[str, Callable[..., Any]]] = {"get": _get, "items": _items, "keys": _keys, "values": _values}
_METHODS: Final[dict[type, dict[str, Callable[..., Any]]]] = {
    str: {name: _text_method(name) for name in _TEXT_METHODS} | {"matches": search},
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
METHODS: Final = frozenset(name for methods in _METHODS.values() for name in methods)
"""What may be called after a dot."""


def call_method(budget: Budget, value: Any, name: str, *arguments: Any) -> Any:
    """`value.name(*arguments)`; missing where `value` has no such method, or an argument is missing."""
    method = _METHODS.get(type(value), {}).get(name)
    if method is None or any(absent(argument) for argument in arguments):
        return MISSING
    return method(budget, value, *arguments)
