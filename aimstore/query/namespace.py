"""What the rewritten tree of a query calls: all names that a running query can reach besides its subjects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from aimstore.query import arithmetic, compare
from aimstore.query.functions import FUNCTIONS, call_method, iterate
from aimstore.query.limits import SLOT, Budget
from aimstore.query.values import MISSING, BaseView, ListView, wrap

FIELDS: Final[dict[type, frozenset[str]]] = {
    date: frozenset({"day", "month", "year"}),
    datetime: frozenset({"day", "hour", "microsecond", "minute", "month", "second", "year"}),
    timedelta: frozenset({"days", "microseconds", "seconds"}),
    complex: frozenset({"imag", "real"}),
}
"""Attributes of plain values; those of views are the views' own affair."""


def get_attribute(value: Any, name: str) -> Any:
    """`value.name`, or `MISSING`."""
    if isinstance(value, BaseView):
        return value.attribute(name)
    if name in FIELDS.get(type(value), ()):
        return getattr(value, name)
    return compare.get_key(value, name) if type(value) is dict else MISSING


def get_item(budget: Budget, value: Any, key: Any) -> Any:
    """`value[key]`, or `MISSING`; a path of keys may be a tuple or several indices."""
    if isinstance(value, BaseView):
        if type(key) is slice and isinstance(value, ListView):
            budget.copy(SLOT * value.size())
        return value.item(key)
    if type(value) is dict:
        return compare.get_key(value, key)
    if type(value) in (str, list, tuple):
        if type(key) is slice:
            budget.copy(len(value) if type(value) is str else SLOT * len(value))
            return wrap(value[key])
        if type(key) is int and -len(value) <= key < len(value):
            return wrap(value[key])
    return MISSING


COMPARISONS: Final[dict[str, Callable[..., Any]]] = {
    "Eq": compare.equal,
    "NotEq": compare.unequal,
    "Lt": compare.less,
    "LtE": compare.less_equal,
    "Gt": compare.greater,
    "GtE": compare.greater_equal,
    "In": compare.contains,
    "NotIn": compare.not_contains,
    "Is": compare.same,
    "IsNot": compare.not_same,
}
"""By the name of the syntax node."""

OPERATORS: Final[dict[str, Callable[..., Any]]] = {
    "Add": arithmetic.add,
    "Sub": arithmetic.subtract,
    "Mult": arithmetic.multiply,
    "Div": arithmetic.divide,
    "FloorDiv": arithmetic.floor_divide,
    "Mod": arithmetic.modulo,
    "Pow": arithmetic.power,
    "USub": arithmetic.negative,
    "UAdd": arithmetic.positive,
}
"""By the name of the syntax node."""


def guard_name(node: str) -> str:
    """The name under which the rewritten tree calls the function of a syntax node; no user may write such a name."""
    return f"_{node}_"


def make_globals() -> dict[str, Any]:
    """The global names of a compiled query, without any builtin."""
    guards = {guard_name(node): function for node, function in (COMPARISONS | OPERATORS).items()}
    return {
        "__builtins__": {},
        "_getattr_": get_attribute,
        "_getitem_": get_item,
        "_method_": call_method,
        "_iterate_": iterate,
        **guards,
        **FUNCTIONS,
    }
