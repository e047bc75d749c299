"""What a query means, by the words of docs/reference/query-language.md: an interpreter of syntax trees over plain Python values.

It shares nothing with `aimstore.query`, and knows of no index.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np


class FailedError(Exception):
    """Evaluating the query for this run is an error."""


class _Missing:
    def __bool__(self) -> bool:
        return False


MISSING: Final = _Missing()


@dataclass
class Figures:
    """What a query sees of one sequence."""

    name: str
    context: Mapping[str, Any]
    kind: str
    count: int = 0
    first_step: int | None = None
    last_step: int | None = None
    last: Any = None
    min: Any = None
    max: Any = None


@dataclass
class Record:
    """What a query sees of one run."""

    hash: str
    attributes: Mapping[Any, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    sequences: list[Figures] = field(default_factory=list)


@dataclass(frozen=True)
class _Run:
    record: Record


@dataclass(frozen=True)
class _Sequence:
    figures: Figures
    run: _Run


@dataclass(frozen=True)
class _Metrics:
    run: _Run

    def __iter__(self) -> Iterator[_Sequence]:
        return (_Sequence(each, self.run) for each in self.run.record.sequences if each.kind == "number")

    def __bool__(self) -> bool:
        return any(True for _ in self)


def matching(expression: str, subject: str, records: Iterable[Record]) -> tuple[list[Any], bool]:
    """The hashes of runs, or (hash, figures) of sequences, of which a query is true, and whether it fails for any."""
    tree = ast.parse(f"({expression}\n)", mode="eval").body if expression.strip() else ast.Constant(True)
    found: list[Any] = []
    failed = False
    for record in records:
        if record.properties["archived"] and not _decides_of_archived(tree):
            continue
        run = _Run(record)
        asked: list[tuple[Any, dict[str, Any]]] = [(record.hash, {"run": run})]
        if subject == "metric":
            asked = [((record.hash, each.figures), {"run": run, "metric": each}) for each in _Metrics(run)]
        elif subject == "sequence":
            asked = [((record.hash, each), {"run": run, "sequence": _Sequence(each, run)}) for each in record.sequences]
        for what, names in asked:
            try:
                if _truth(evaluate(tree, names)):
                    found.append(what)
            except FailedError:
                failed = True
    return found, failed


def _decides_of_archived(tree: ast.expr) -> bool:
    """Whether `run.archived`, or that of a metric's or sequence's run, is read anywhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "archived":
            owner = ast.unparse(node.value)
            if owner in ("run", "metric.run", "sequence.run"):
                return True
    return False


def evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of an expression. Raises `FailedError`."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return names[name]
        case ast.BoolOp(ast.And(), parts):
            value: Any = True
            for part in parts:
                value = evaluate(part, names)
                if not _truth(value):
                    break
            return value
        case ast.BoolOp(ast.Or(), parts):
            value = False
            for part in parts:
                value = evaluate(part, names)
                if _truth(value):
                    break
            return value
        case ast.UnaryOp(ast.Not(), operand):
            return not _truth(evaluate(operand, names))
        case ast.UnaryOp(operation, operand):
            return _signed(operation, evaluate(operand, names))
        case ast.IfExp(test, body, other):
            return evaluate(body if _truth(evaluate(test, names)) else other, names)
        case ast.Compare(left, operators, comparators):
            return _chain(evaluate(left, names), operators, comparators, names)
        case ast.BinOp(left, operation, right):
            return _computed(operation, evaluate(left, names), evaluate(right, names))
        case ast.List(elements) | ast.Tuple(elements) | ast.Set(elements):
            return [evaluate(each, names) for each in elements]
        case ast.Dict(keys, values):
            pairs = zip(keys, values, strict=True)
            return {evaluate(key, names): evaluate(value, names) for key, value in pairs if key is not None}
        case ast.Attribute(value, name):
            return attribute(evaluate(value, names), name)
        case ast.Subscript(value, ast.Slice(lower, upper, None)):
            bounds = slice(*(None if each is None else evaluate(each, names) for each in (lower, upper)))
            whole = evaluate(value, names)
            return whole[bounds] if isinstance(whole, (str, list, tuple)) else MISSING
        case ast.Subscript(value, index):
            whole = evaluate(value, names)
            return item(whole, _index(index, names))
        case ast.Call(ast.Name(name), arguments, keywords):
            return _function(name, arguments, keywords, names)
        case ast.Call(ast.Attribute(value, name), arguments, []):
            return _method(evaluate(value, names), name, [evaluate(each, names) for each in arguments])
    raise NotImplementedError(ast.dump(node))


def _index(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Tuple):
        return tuple(evaluate(each, names) for each in node.elts)
    return evaluate(node, names)


def plain(value: Any) -> Any:
    """A NumPy scalar as the number, text or date that it is."""
    return value.item() if isinstance(value, np.generic) else value


PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), datetime, date, timedelta)
KNOWN: Final = (*PLAIN, list, tuple, dict, _Missing, _Run, _Sequence, _Metrics)


def is_opaque(value: Any) -> bool:
    """An array, or an object that queries do not look into."""
    return not isinstance(value, KNOWN)


def _truth(value: Any) -> bool:
    return True if is_opaque(value) else bool(value)


# Attributes and items

RUN_PROPERTIES: Final = frozenset(
    ("name", "experiment", "description", "tags", "archived", "active", "created_at", "finalized_at", "duration")
)
PARTS: Final[dict[type, tuple[str, ...]]] = {
    datetime: ("year", "month", "day", "hour", "minute", "second", "microsecond"),
    date: ("year", "month", "day"),
    timedelta: ("days", "seconds", "microseconds"),
    complex: ("real", "imag"),
}


def attribute(value: Any, name: str) -> Any:
    """`value.name`"""
    if isinstance(value, _Run):
        if name == "hash":
            return value.record.hash
        if name == "metrics":
            return _Metrics(value)
        if name in RUN_PROPERTIES:
            return value.record.properties[name]
        return plain(value.record.attributes.get(name, MISSING))
    if isinstance(value, _Sequence):
        return value.run if name == "run" else plain(getattr(value.figures, name))
    if isinstance(value, dict):
        return plain(value.get(name, MISSING))
    if isinstance(value, np.ndarray):
        facts = {"shape": value.shape, "ndim": value.ndim, "size": value.size, "dtype": str(value.dtype)}
        return facts.get(name, MISSING)
    return getattr(value, name) if name in PARTS.get(type(value), ()) else MISSING


def item(value: Any, key: Any) -> Any:
    """`value[key]`"""
    if isinstance(value, _Metrics):
        return _metric(value, key)
    if isinstance(key, tuple):
        if isinstance(value, str):
            return MISSING
        for part in key:
            value = item(value, part)
        return value
    if isinstance(value, _Run):
        return plain(value.record.attributes.get(key, MISSING))
    if isinstance(value, dict):
        return plain(value.get(key, MISSING)) if type(key) in (int, str) else MISSING
    if isinstance(value, (list, tuple, str)) and type(key) is int and -len(value) <= key < len(value):
        return plain(value[key])
    return MISSING


def _metric(metrics: _Metrics, key: Any) -> Any:
    name, context = key if isinstance(key, tuple) else (key, None)
    named = [each for each in metrics if equal(each.figures.name, name)]
    exact = [each for each in named if equal(each.figures.context, {} if context is None else context)]
    if exact:
        return exact[0]
    if context is not None or not named:
        return MISSING
    if len(named) > 1:
        raise FailedError("which of them?")
    return named[0]


# Comparisons


def _chain(left: Any, operators: list[ast.cmpop], nodes: list[ast.expr], names: Mapping[str, Any]) -> bool:
    for comparison, node in zip(operators, nodes, strict=True):
        right = evaluate(node, names)
        if not compared(comparison, left, right):
            return False
        left = right
    return True


ORDERS: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def compared(comparison: ast.cmpop, left: Any, right: Any) -> bool:
    """One comparison of a chain."""
    missing = left is MISSING or right is MISSING
    opaque = is_opaque(left) or is_opaque(right)
    nothing = left is None or right is None
    match comparison:
        case ast.Is():
            return (None if left is MISSING else left) is (None if right is MISSING else right)
        case ast.IsNot():
            return not missing and left is not right
        case ast.Eq():
            return (
                nothing and (left is None or left is MISSING) and (right is None or right is MISSING)
                if (missing)
                else not opaque and equal(left, right)
            )
        case ast.NotEq():
            return False if missing else nothing if opaque else not equal(left, right)
        case ast.In():
            return not missing and not opaque and _contains(right, left)
        case ast.NotIn():
            return not missing and not opaque and not _contains(right, left)
    return not missing and not opaque and ordered(ORDERS[type(comparison)], left, right)


def equal(left: Any, right: Any) -> bool:
    """Equality of two values that are there."""
    left, right = plain(left), plain(right)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    if not isinstance(left, PLAIN) or not isinstance(right, PLAIN):
        return False
    if isinstance(left, datetime) and isinstance(right, datetime):
        return _aware(left) == _aware(right)
    if isinstance(left, datetime) or isinstance(right, datetime):
        return False
    return bool(left == right)


def ordered(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> bool:
    """Whether one value comes before or after another: numbers, strings, bytes, moments and lists do, among themselves."""
    left, right = plain(left), plain(right)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        for a, b in zip(left, right, strict=False):
            if not equal(a, b):
                return ordered(compare, a, b)
        return bool(compare(len(left), len(right)))
    if isinstance(left, datetime) and isinstance(right, datetime):
        return bool(compare(_aware(left), _aware(right)))
    if isinstance(left, (bool, int, float)) and isinstance(right, (bool, int, float)):
        return bool(compare(left, right))
    return type(left) is type(right) and type(left) in (str, bytes, date, timedelta) and bool(compare(left, right))


def _contains(container: Any, value: Any) -> bool:
    if isinstance(container, (str, bytes)):
        return type(value) is type(container) and value in container
    if isinstance(container, (list, tuple)):
        return any(equal(value, each) for each in container)
    if isinstance(container, dict):
        return type(value) in (str, int) and value in container
    if isinstance(container, _Run):
        return type(value) in (str, int) and value in container.record.attributes
    return isinstance(container, _Metrics) and any(equal(each.figures.name, value) for each in container)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


# Arithmetic

OPERATIONS: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
NUMBERS: Final = (bool, int, float, complex)
MOMENTS: Final = (datetime, date, timedelta)
MAX_TEXT: Final = 10_000


def _computed(operation: ast.operator, left: Any, right: Any) -> Any:
    if left is MISSING or right is MISSING or is_opaque(left) or is_opaque(right):
        return MISSING
    texts = isinstance(operation, ast.Add) and isinstance(left, str) and isinstance(right, str)
    repeated = isinstance(operation, ast.Mult) and {type(left), type(right)} == {str, int}
    if repeated:
        text, times = (left, right) if isinstance(left, str) else (right, left)
        if len(text) * times > MAX_TEXT:
            raise FailedError
    elif texts:
        if len(left) + len(right) > MAX_TEXT:
            raise FailedError
    elif not isinstance(left, (*NUMBERS, *MOMENTS)) or not isinstance(right, (*NUMBERS, *MOMENTS)):
        raise FailedError
    if isinstance(left, datetime) and isinstance(right, datetime):
        left, right = _aware(left), _aware(right)
    try:
        return OPERATIONS[type(operation)](left, right)
    except (TypeError, ValueError, ArithmeticError):
        raise FailedError from None


def _signed(operation: ast.unaryop, value: Any) -> Any:
    if value is MISSING or is_opaque(value):
        return MISSING
    if not isinstance(value, (*NUMBERS, timedelta)):
        raise FailedError
    return -value if isinstance(operation, ast.USub) else +value


# Functions and methods


def _function(name: str, arguments: list[ast.expr], keywords: list[ast.keyword], names: Mapping[str, Any]) -> Any:
    if name in ("any", "all"):
        assert isinstance(arguments[0], ast.GeneratorExp)
        truths = map(_truth, _looped(arguments[0], names))
        return any(truths) if name == "any" else all(truths)
    values = [evaluate(each, names) for each in arguments]
    if name == "is_defined":
        return values[0] is not MISSING
    if name == "datetime":
        moment = datetime.fromisoformat(*values) if isinstance(values[0], str) else datetime(*values)
        return _aware(moment)
    if name == "timedelta":
        return timedelta(**{str(each.arg): evaluate(each.value, names) for each in keywords})
    (value,) = values
    if value is MISSING or is_opaque(value):
        return MISSING
    if name == "len":
        if isinstance(value, _Metrics):
            return sum(1 for _ in value)
        if isinstance(value, (str, bytes, list, tuple, dict)):
            return len(value)
    if name == "abs" and isinstance(value, (*NUMBERS, timedelta)):
        return abs(value)
    raise FailedError


def _looped(loop: ast.GeneratorExp, names: Mapping[str, Any]) -> Iterator[Any]:
    (clause,) = loop.generators
    assert isinstance(clause.target, ast.Name)
    values = evaluate(clause.iter, names)
    if values is MISSING:
        values = []
    if not isinstance(values, (list, tuple, dict, str, _Metrics)):
        raise FailedError
    for value in values:
        inner = {**names, clause.target.id: plain(value)}
        if all(_truth(evaluate(condition, inner)) for condition in clause.ifs):
            yield evaluate(loop.elt, inner)


def _method(value: Any, name: str, arguments: list[Any]) -> Any:
    if any(each is MISSING or is_opaque(each) for each in arguments):
        return MISSING
    if isinstance(value, dict) and name == "get":
        found = item(value, arguments[0])
        return found if found is not MISSING or len(arguments) == 1 else arguments[1]
    if not isinstance(value, str) or name not in ("startswith", "endswith", "lower", "upper"):
        return MISSING
    try:
        return getattr(value, name)(*(tuple(each) if isinstance(each, list) else each for each in arguments))
    except TypeError:
        raise FailedError from None
