"""The parts of a query that have the same value for every run, computed in advance."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

from aimstore.query.compare import aware
from aimstore.query.functions import FUNCTIONS
from aimstore.query.limits import Budget
from aimstore.query.namespace import OPERATIONS, SIGNS
from aimstore.query.tree import Arithmetic, Call, Constant, DictDisplay, Display, Node, Signed
from aimstore.query.values import MISSING

_FOLDED: Final = frozenset({"datetime", "timedelta"})
"""Functions whose result is constant if their arguments are constant."""


class NotLiteralError(ValueError):
    """A part of a query that is not a literal, but computed.

    Attributes:
        node: the part.
    """

    def __init__(self, node: Node) -> None:
        super().__init__("not a literal")
        self.node = node


def constant(node: Node, budget: Budget) -> Any:
    """The value of an expression that reads no attribute, or `MISSING`."""
    try:
        return _computed(node, budget)
    except Exception:  # it raises the same error for every run, so it is not a constant
        return MISSING


def _computed(node: Node, budget: Budget) -> Any:
    match node:
        case Constant(value=value):
            return value
        case Signed(sign=sign, value=operand):
            return SIGNS[sign](budget, _computed(operand, budget))
        case Arithmetic(operation=operation, left=left, right=right):
            return OPERATIONS[operation](budget, _computed(left, budget), _computed(right, budget))
        case Call(function=name, arguments=arguments, keywords=keywords) if name in _FOLDED:
            named = {keyword: _computed(value, budget) for keyword, value in keywords}
            return FUNCTIONS[name](budget, *(_computed(argument, budget) for argument in arguments), **named)
    return MISSING


def comparand(node: Node, budget: Budget) -> Any:
    """The constant as the `value` of a `Term`, or `MISSING` if an index does not compare with it."""
    value = constant(node, budget)
    match value:
        case str() if not is_storable(value):
            return MISSING
        case float() if math.isnan(value):
            return MISSING
        case bool() | int() | float() | str():
            return value
        case datetime():
            try:
                return aware(value).astimezone(UTC)
            except OverflowError:  # within a day of the first or last possible time
                return MISSING
    return MISSING


def is_storable(text: str) -> bool:
    """Whether a stored string can equal `text`."""
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def is_written_number_or_text(node: Node) -> bool:
    """Whether `node` is a single literal, perhaps with a minus sign."""
    match node:
        case Constant() | Signed(sign="-", value=Constant(value=int() | float())):
            return True
    return False


def literal(node: Node) -> Any:
    """The value of a literal, or of a collection of literals.

    Raises:
        NotLiteralError: `node` is anything else, or cannot be a value, such as a set of lists.
    """
    match node:
        case Constant(value=value):
            return value
        case Signed(sign=sign, value=Constant(value=int() | float() | complex() as number)):
            return -number if sign == "-" else number
        case Display(kind="list", elements=elements):
            return [literal(element) for element in elements]
        case Display(kind="tuple", elements=elements):
            return tuple(literal(element) for element in elements)
        case DictDisplay(items=items):
            pairs = [(literal(key), literal(value)) for key, value in items]
            try:
                return dict(pairs)
            except TypeError:  # a list as a dict key
                raise NotLiteralError(node) from None
    raise NotLiteralError(node)
