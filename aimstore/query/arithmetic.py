"""Arithmetic of a query: numbers, dates and durations, and joining strings, with results of bounded size.

Every function takes the evaluation's budget first. An operand that is missing, or an array, makes the result missing.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from aimstore.query.compare import aware
from aimstore.query.limits import MAX_INT_BITS, MAX_TEXT, Budget, QueryLimitError
from aimstore.query.values import MISSING, OpaqueView

_NUMBERS: Final = frozenset({bool, int, float, complex})
_MOMENTS: Final = frozenset({datetime, date, timedelta})
_WORD: Final = 64


def _checked(symbol: str, compute: Callable[[Any, Any], Any]) -> Callable[[Budget, Any, Any], Any]:
    """The function for one operator."""

    def apply(budget: Budget, left: Any, right: Any) -> Any:
        a, b = type(left), type(right)
        if a in _NUMBERS and b in _NUMBERS:
            if isinstance(left, int) and isinstance(right, int):
                _check_bits(budget, symbol, left, right)
            return compute(left, right)
        if absent(left) or absent(right):
            return MISSING
        if a is datetime and b is datetime:
            return compute(aware(left), aware(right))
        if (a in _MOMENTS or b in _MOMENTS) and {a, b} <= _NUMBERS | _MOMENTS:
            return compute(left, right)
        if symbol == "+" and a is str and b is str:
            _check_text(budget, len(left) + len(right))
            return compute(left, right)
        if symbol == "*" and {a, b} == {str, int}:
            text, times = (left, right) if a is str else (right, left)
            _check_text(budget, len(text) * max(times, 0))
            return compute(left, right)
        raise TypeError(f"cannot compute {_name(left)} {symbol} {_name(right)}")

    return apply


def absent(value: Any) -> bool:
    """Whether computing with `value` gives `MISSING`."""
    return value is MISSING or isinstance(value, OpaqueView)


def _check_bits(budget: Budget, symbol: str, left: int, right: int) -> None:
    """Refuse an integer result of more than `MAX_INT_BITS`, before it is computed."""
    bits = max(left.bit_length(), right.bit_length())
    if symbol == "*":
        bits = left.bit_length() + right.bit_length()
    elif symbol == "**" and right > 0 and left not in (-1, 0, 1):
        bits = left.bit_length() * right
    if bits > MAX_INT_BITS:
        raise QueryLimitError(f"the result of {symbol!r} has more than {MAX_INT_BITS:,} bits")
    if bits > _WORD:
        budget.copy(bits // 8)


def _check_text(budget: Budget, length: int) -> None:
    if length > MAX_TEXT:
        raise QueryLimitError(f"the query makes a string of more than {MAX_TEXT:,} characters")
    budget.copy(length)


def _name(value: Any) -> str:
    return type(value).__name__


add = _checked("+", operator.add)
subtract = _checked("-", operator.sub)
multiply = _checked("*", operator.mul)
divide = _checked("/", operator.truediv)
floor_divide = _checked("//", operator.floordiv)
modulo = _checked("%", operator.mod)
power = _checked("**", operator.pow)


def negative(budget: Budget, value: Any) -> Any:
    """`-value`."""
    return _signed("-", operator.neg, value)


def positive(budget: Budget, value: Any) -> Any:
    """`+value`."""
    return _signed("+", operator.pos, value)


def _signed(symbol: str, compute: Callable[[Any], Any], value: Any) -> Any:
    if type(value) in _NUMBERS or type(value) is timedelta:
        return compute(value)
    if absent(value):
        return MISSING
    raise TypeError(f"cannot compute {symbol}{_name(value)}")
