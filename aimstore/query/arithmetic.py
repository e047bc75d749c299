"""Arithmetic of a query: numbers, dates and durations, and joining strings, with results of bounded size.

Every function takes the evaluation's budget first. If an operand is missing, or is an array, the result is missing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from aimstore.query.compare import aware
from aimstore.query.costs import COSTS, SMALL_INT
from aimstore.query.limits import Budget, QueryLimitError
from aimstore.query.values import MISSING, OpaqueView

_NUMBERS: Final = frozenset({bool, int, float, complex})
_MOMENTS: Final = frozenset({datetime, date, timedelta})


def _checked(symbol: str, compute: Callable[[Any, Any], Any]) -> Callable[[Budget, Any, Any], Any]:
    """The function for one operator."""
    cost = COSTS[symbol]

    def apply(budget: Budget, left: Any, right: Any) -> Any:
        a, b = type(left), type(right)
        if a in _NUMBERS and b in _NUMBERS:
            integral = isinstance(left, int) and isinstance(right, int)
            if integral and (symbol == "**" or not _are_small(left, right)):
                _check_bits(budget, symbol, left, right)
                budget.charge(cost(left, right))
            return compute(left, right)
        if absent(left) or absent(right):
            return MISSING
        if a in _MOMENTS or b in _MOMENTS:
            return _of_moments(symbol, compute, left, right)
        if (symbol == "+" and a is b is str) or (symbol == "*" and {a, b} == {str, int}):
            _check_text(budget, _text_length(left, right))
            budget.charge(cost(left, right))
            return compute(left, right)
        raise _impossible(symbol, left, right)

    return apply


def _are_small(left: int, right: int) -> bool:
    return -SMALL_INT < left < SMALL_INT and -SMALL_INT < right < SMALL_INT


def _of_moments(symbol: str, compute: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """The result of an operator with a date, datetime or duration."""
    if type(left) is datetime and type(right) is datetime:
        return compute(aware(left), aware(right))
    if {type(left), type(right)} <= _NUMBERS | _MOMENTS:
        return compute(left, right)
    raise _impossible(symbol, left, right)


def _text_length(left: Any, right: Any) -> int:
    """The length of a string and a string, or of a string times an int."""
    if type(left) is type(right):
        return len(left) + len(right)
    text, times = (left, right) if type(left) is str else (right, left)
    return len(text) * int(max(times, 0))


def _impossible(symbol: str, left: Any, right: Any) -> TypeError:
    return TypeError(f"cannot compute {type(left).__name__} {symbol} {type(right).__name__}")


def absent(value: Any) -> bool:
    """Whether a computation with `value` returns `MISSING`."""
    return value is MISSING or isinstance(value, OpaqueView)


def _check_bits(budget: Budget, symbol: str, left: int, right: int) -> None:
    """Refuse an integer result with more bits than a query may produce, before it is computed."""
    bits = max(left.bit_length(), right.bit_length())
    if symbol == "*":
        bits = left.bit_length() + right.bit_length()
    elif symbol == "**" and right > 0 and left not in (-1, 0, 1):
        bits = left.bit_length() * right
    most = budget.limits.integer_bits
    if bits > most:
        raise QueryLimitError(f"the result of {symbol!r} has more than {most:,} bits")


def _check_text(budget: Budget, length: int) -> None:
    most = budget.limits.text_characters
    if length > most:
        raise QueryLimitError(f"the query makes a string of more than {most:,} characters")


add = _checked("+", operator.add)
subtract = _checked("-", operator.sub)
multiply = _checked("*", operator.mul)
divide = _checked("/", operator.truediv)
floor_divide = _checked("//", operator.floordiv)
modulo = _checked("%", operator.mod)
power = _checked("**", operator.pow)


def negative(budget: Budget, value: Any) -> Any:
    """`-value`."""
    return _signed(budget, "-", operator.neg, value)


def positive(budget: Budget, value: Any) -> Any:
    """`+value`."""
    return _signed(budget, "+", operator.pos, value)


def _signed(budget: Budget, symbol: str, compute: Callable[[Any], Any], value: Any) -> Any:
    if absent(value):
        return MISSING
    if type(value) not in _NUMBERS and type(value) is not timedelta:
        raise TypeError(f"cannot compute {symbol}{type(value).__name__}")
    budget.charge(COSTS[f"unary {symbol}"](value))
    return compute(value)
