"""The functions that the rewritten syntax calls: all names that a query can reach besides its subjects."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from aimstore.query import arithmetic, compare, syntax
from aimstore.query.costs import COSTS
from aimstore.query.functions import FUNCTIONS, call_method, iterate_weighed
from aimstore.query.limits import Budget
from aimstore.query.tree import Comparison, Operation, Sign
from aimstore.query.values import MISSING, BaseView, ListView, wrap

FIELDS: Final[dict[type, frozenset[str]]] = {
    date: frozenset({"day", "month", "year"}),
    datetime: frozenset({"day", "hour", "microsecond", "minute", "month", "second", "year"}),
    timedelta: frozenset({"days", "microseconds", "seconds"}),
    complex: frozenset({"imag", "real"}),
}
"""Attributes of plain values; views define their own attributes."""


_item_cost: Final = COSTS["index"]


def get_attribute(value: Any, name: str) -> Any:
    """`value.name`, or `MISSING`."""
    if isinstance(value, BaseView):
        return value.attribute(name)
    if name in FIELDS.get(type(value), ()):
        return getattr(value, name)
    return wrap(value.get(name, MISSING)) if type(value) is dict else MISSING


def get_item(budget: Budget, value: Any, key: Any) -> Any:
    """`value[key]`, or `MISSING`; a path of keys may be a tuple or several indices."""
    if isinstance(value, BaseView):
        if type(key) is not slice or isinstance(value, ListView):
            budget.charge(_item_cost(value, key))
        return value.item(budget, key)
    if type(value) is dict:
        return compare.get_key(budget, value, key)
    if type(value) not in (str, list, tuple):
        return MISSING
    if type(key) is slice:
        budget.charge(_item_cost(value, key))
        return wrap(value[key])
    return wrap(value[key]) if type(key) is int and -len(value) <= key < len(value) else MISSING


def compare_chain(budget: Budget, comparisons: tuple[Callable[..., Any], ...], *operands: Callable[[], Any]) -> bool:
    """`a < b < c` as in Python: each operand is evaluated once, in order, none after the first false comparison."""
    left = operands[0]()
    for comparison, operand in zip(comparisons, operands[1:], strict=True):
        right = operand()
        if not comparison(budget, left, right):
            return False
        left = right
    return True


COMPARISONS: Final[dict[Comparison, Callable[..., Any]]] = {
    "==": compare.equal,
    "!=": compare.unequal,
    "<": compare.less,
    "<=": compare.less_equal,
    ">": compare.greater,
    ">=": compare.greater_equal,
    "in": compare.contains,
    "not in": compare.not_contains,
    "is": compare.same,
    "is not": compare.not_same,
}
OPERATIONS: Final[dict[Operation, Callable[..., Any]]] = {
    "+": arithmetic.add,
    "-": arithmetic.subtract,
    "*": arithmetic.multiply,
    "/": arithmetic.divide,
    "//": arithmetic.floor_divide,
    "%": arithmetic.modulo,
    "**": arithmetic.power,
}
SIGNS: Final[dict[Sign, Callable[..., Any]]] = {"-": arithmetic.negative, "+": arithmetic.positive}


def guard_name(node: type[ast.AST]) -> str:
    """The name under which the rewritten syntax calls the function of an operator; users cannot write such names."""
    return f"_{node.__name__}_"


def make_globals() -> dict[str, Any]:
    """The global names of a compiled query, without any builtin."""
    guards: dict[str, Any] = {guard_name(node): COMPARISONS[symbol] for node, symbol in syntax.COMPARISONS.items()}
    guards |= {guard_name(node): OPERATIONS[symbol] for node, symbol in syntax.OPERATIONS.items()}
    guards |= {guard_name(node): SIGNS[symbol] for node, symbol in syntax.SIGNS.items()}
    return {
        "__builtins__": {},
        "_chain_": compare_chain,
        "_getattr_": get_attribute,
        "_getitem_": get_item,
        "_method_": call_method,
        "_iterate_": iterate_weighed,
        **guards,
        **FUNCTIONS,
    }
