"""The two sides of a condition as the planner sees them: constants, computed beforehand, and places that an index knows."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from aimstore.abc.query import Operator, Term
from aimstore.query.compare import aware
from aimstore.query.functions import FUNCTIONS
from aimstore.query.limits import Budget
from aimstore.query.namespace import FIELDS, OPERATORS
from aimstore.query.values import MISSING
from aimstore.query.views import CLOSED, RUN_PROPERTIES
from aimstore.types import TreePath

_Link: TypeAlias = ast.Attribute | ast.Subscript

ARRAY_FACTS: Final = frozenset({"dtype", "ndim", "shape", "size"})
"""Attributes that a query reads of an array."""

_NOT_ONLY_KEYS: Final = ARRAY_FACTS.union(*FIELDS.values())
"""Names that after a dot may be read of a value, as in `run.when.year`, so that an index of leaves would miss runs."""

_FOLDED: Final = frozenset({"datetime", "timedelta"})
_WORD: Final = 64


@dataclass(frozen=True)
class Domain:
    """What an index can be asked of a place: these operators, with constants that `takes` accepts."""

    operators: frozenset[Operator]
    takes: Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_number(value: Any) -> bool:
    return type(value) in (bool, int, float)


_EQUAL: Final[frozenset[Operator]] = frozenset({"==", "in"})
_ORDER: Final[frozenset[Operator]] = _EQUAL | {"<", "<=", ">", ">="}

ANYTHING: Final = Domain(_ORDER | {"startswith", "true", "defined"}, lambda value: True)
TEXT: Final = Domain(_EQUAL | {"startswith", "true"}, _is_text)  # without order: that of a database is another
LABEL: Final = Domain(_EQUAL | {"startswith"}, _is_text)
IDENTITY: Final = Domain(_EQUAL, _is_text)
LABELS: Final = Domain(frozenset({"has", "true"}), _is_text)
FLAG: Final = Domain(_EQUAL | {"true"}, lambda value: _is_number(value) and value in (0, 1))
MOMENT: Final = Domain(_ORDER | {"true"}, lambda value: type(value) is datetime)
NUMBER: Final = Domain(_ORDER | {"true"}, _is_number)
SEQUENCE: Final = Domain(frozenset({"true", "defined"}), lambda value: False)
SEQUENCES: Final = Domain(frozenset({"has"}), _is_text)

PROPERTIES: Final = {
    "name": TEXT,
    "experiment": TEXT,
    "description": TEXT,
    "tags": LABELS,
    "archived": FLAG,
    "created_at": MOMENT,
    "finalized_at": MOMENT,
}
"""Structured properties that are stored; `active` and `duration` depend on the moment of asking."""

_NUMBERS: Final = dict.fromkeys(("last", "min", "max", "count", "first_step", "last_step"), NUMBER)


@dataclass(frozen=True)
class Place:
    """An attribute of a run, or of one of its sequences.

    Attributes:
        attribute: as in `Term`; `("hash",)` is the run's hash, and `("seqs",)` all of its metrics.
        domain: what can be asked of it.
        given: what else holds of a run that has it.
    """

    attribute: TreePath
    domain: Domain
    given: tuple[Term, ...] = ()


def constant(node: ast.expr, budget: Budget) -> Any:
    """The value of an expression that reads no attribute, or `MISSING`."""
    try:
        return _computed(node, budget)
    except Exception:  # it will raise for every run just so, and is no constant
        return MISSING


def _computed(node: ast.expr, budget: Budget) -> Any:
    match node:
        case ast.Constant(value):
            return value
        case ast.UnaryOp(ast.USub() | ast.UAdd() as operator, operand):
            return OPERATORS[type(operator).__name__](budget, _computed(operand, budget))
        case ast.BinOp(left, operator, right):
            return OPERATORS[type(operator).__name__](budget, _computed(left, budget), _computed(right, budget))
        case ast.Call(ast.Name(name), arguments, keywords) if name in _FOLDED:
            named = {str(keyword.arg): _computed(keyword.value, budget) for keyword in keywords}
            return FUNCTIONS[name](budget, *(_computed(argument, budget) for argument in arguments), **named)
    return MISSING


def comparand(node: ast.expr, budget: Budget) -> Any:
    """The constant as the `value` of a `Term`, or `MISSING` where it is none that an index compares with."""
    value = constant(node, budget)
    match value:
        case str() if not _is_storable(value):
            return MISSING
        case float() if math.isnan(value):
            return MISSING
        case bool() | int() | float() | str():
            return value
        case datetime():
            try:
                return aware(value).astimezone(UTC)
            except OverflowError:  # within a day of the first or last moment that there is
                return MISSING
    return MISSING


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def place_of(node: ast.expr, sequence: str | None, budget: Budget) -> Place | None:
    """What `run.x`, `metric.x` and so on stand for; None where an index cannot tell, or might be wrong.

    Args:
        node: any expression.
        sequence: the name that the metric or sequence must have, where that is known.
        budget: for computing keys.
    """
    links: list[_Link] = []
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        links.insert(0, node)
        node = node.value
    if not isinstance(node, ast.Name) or not links:
        return None
    if node.id not in CLOSED:
        return _of_run(links, budget)
    match links[0]:
        case ast.Attribute(attr="run"):
            return _of_run(links[1:], budget)
        case ast.Attribute(attr="name") if len(links) == 1:
            return Place(("any", "name"), LABEL)
    return _of_sequence(("any",) if sequence is None else ("seqs", sequence), links, budget)


def _of_run(links: list[_Link], budget: Budget) -> Place | None:
    match links:
        case []:
            return None
        case [ast.Attribute(attr="hash")]:
            return Place(("hash",), IDENTITY)
        case [ast.Attribute(attr="metrics")]:
            return Place(("seqs",), SEQUENCES)
        case [ast.Attribute(attr="metrics"), ast.Subscript(slice=index), *below]:
            return _of_metric(index, below, budget)
        case [ast.Attribute(attr=name)] if name in PROPERTIES:
            return Place(("props", name), PROPERTIES[name])
        case [ast.Attribute(attr=name), *_] if name in RUN_PROPERTIES:
            return None
    keys = _keys(links, budget)
    return None if keys is None else Place(("attrs", *keys), ANYTHING)


def _of_metric(index: ast.expr, below: list[_Link], budget: Budget) -> Place | None:
    """`run.metrics["loss"]`, `run.metrics["loss", {"subset": "val"}]`, and what these have."""
    context: ast.expr | None = None
    if isinstance(index, ast.Tuple) and len(index.elts) == 2:
        index, context = index.elts
    name = comparand(index, budget)
    if type(name) is not str:
        return None
    place = Place(("seqs", name), SEQUENCE) if not below else _of_sequence(("seqs", name), below, budget)
    return place and Place(place.attribute, place.domain, _of_context(name, context, budget))


def _of_context(name: str, context: ast.expr | None, budget: Budget) -> tuple[Term, ...]:
    """What holds of a sequence whose context equals this dict."""
    if not isinstance(context, ast.Dict):
        return ()
    values: dict[Any, Any] = {}  # as Python makes it: of equal keys the last one holds
    for node, value in zip(context.keys, context.values, strict=True):
        key = MISSING if node is None else constant(node, budget)
        if key is MISSING:  # it may equal any other one
            return ()
        values[key] = comparand(value, budget)
    return tuple(
        Term(("seqs", name, "context", key), "==", value)
        for key, value in values.items()
        if _is_key(key) and value is not MISSING
    )


def _of_sequence(sequence: TreePath, links: list[_Link], budget: Budget) -> Place | None:
    match links:
        case [ast.Attribute(attr=name)] if name in _NUMBERS:
            return Place((*sequence, name), NUMBER)
        case [ast.Attribute(attr="kind"), *below]:
            return None if below else Place((*sequence, "kind"), LABEL)
        case [ast.Attribute(attr="context"), *below]:
            keys = _keys(below, budget)
            return Place((*sequence, "context", *keys), ANYTHING) if keys is not None and len(keys) == 1 else None
    return None


def _keys(links: list[_Link], budget: Budget) -> TreePath | None:
    """The keys of nested dicts that links lead along; None where they may lead elsewhere, or are computed for each run.

    The first one is always looked up in a dict. Below it, an int may be a place in a list.
    """
    keys: list[str | int] = []
    for link in links:
        if isinstance(link, ast.Attribute):
            if keys and link.attr in _NOT_ONLY_KEYS:
                return None
            keys.append(link.attr)
            continue
        for part in link.slice.elts if isinstance(link.slice, ast.Tuple) else [link.slice]:
            key = constant(part, budget)
            if not _is_key(key) or (keys and type(key) is int):
                return None
            keys.append(key)
        if not keys or (isinstance(link.slice, ast.Tuple) and not link.slice.elts):
            return None
    return tuple(keys) or None


def _is_key(value: Any) -> bool:
    """Whether it is a part of a path; negative ints are keys too, but are more often meant for lists."""
    if type(value) is int:
        return value >= 0 and value.bit_length() <= _WORD
    return type(value) is str and _is_storable(value)
