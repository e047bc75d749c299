"""From the syntax tree of a query to what an index can be asked: hints, and whether they say all that the query says."""

from __future__ import annotations

import ast
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aimstore.abc.query import AllOf, Among, AnyOf, Hint, Operator, Subject, Term
from aimstore.query.limits import Budget
from aimstore.query.operands import Place, comparand, place_of
from aimstore.query.values import MISSING
from aimstore.query.views import RUN_PROPERTIES
from aimstore.types import TreePath, is_run_hash

MAX_CONSTANTS: Final = 10_000
"""Elements of a list after `in` that becomes a hint."""

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[Operator, Operator]]] = {
    ast.Eq: ("==", "=="),
    ast.Is: ("==", "=="),
    ast.Lt: ("<", ">"),
    ast.LtE: ("<=", ">="),
    ast.Gt: (">", "<"),
    ast.GtE: (">=", "<="),
}
"""The operator of a hint, and that with the constant on the left."""


@dataclass(frozen=True)
class Plan:
    """How an index helps with a condition.

    Attributes:
        hints: what holds of every run for which the condition is true; None where nothing is known.
        exact: the condition is true of every run of which the hints hold, and raises for none. The one thing left out is
            a value so large, of megabytes, that comparing with it takes an evaluation's budget.
    """

    hints: Hint | None = None
    exact: bool = False


_NOTHING: Final = Plan()


def plan(tree: ast.Expression, subject: Subject) -> Plan:
    """The plan for a checked tree. Hints are about runs, so those of a query for metrics or sequences are never exact."""
    found = _Planner().condition(tree.body, None)
    return Plan(found.hints, found.exact and subject == "run")


class _Planner:
    """Plans one query. `sequence` is the name that its metric or sequence must have where a condition is asked."""

    def __init__(self) -> None:
        self._budget = Budget()  # for constants, in all

    def condition(self, node: ast.expr, sequence: str | None) -> Plan:
        match node:
            case ast.BoolOp(ast.And(), values):
                return self._joined(values, next(self._names(values), sequence))
            case ast.BoolOp(ast.Or(), values):
                return _any_of([self.condition(value, sequence) for value in values])
            case ast.Compare(left, operators, comparators):
                operands = [left, *comparators]
                pairs = zip(operands, operators, comparators, strict=False)
                return _all_of([self._comparison(*pair, sequence) for pair in pairs])
            case ast.Call(ast.Name("is_defined"), [argument], []):
                return _asked(place_of(argument, sequence, self._budget), "defined")
            case ast.Call(ast.Attribute(text, "startswith"), [prefix], []):
                return self._startswith(place_of(text, sequence, self._budget), prefix)
            case ast.Attribute() | ast.Subscript():
                return _asked(place_of(node, sequence, self._budget), "true")
        return _NOTHING

    def _joined(self, conditions: Iterable[ast.expr], sequence: str | None) -> Plan:
        """The plan where all of `conditions` are true; names within them were looked for."""
        plans = []
        for condition in conditions:
            match condition:
                case ast.BoolOp(ast.And(), values):
                    plans.append(self._joined(values, sequence))
                case _:
                    plans.append(self.condition(condition, sequence))
        return _all_of(plans)

    def _names(self, conditions: Iterable[ast.expr]) -> Iterator[str]:
        """Names that `metric.name` equals where all of `conditions` are true."""
        for condition in conditions:
            match condition:
                case ast.BoolOp(ast.And(), values):
                    yield from self._names(values)
                case ast.Compare(left, operators, comparators):
                    for a, operator, b in zip([left, *comparators], operators, comparators, strict=False):
                        for node, other in ((a, b), (b, a)) if isinstance(operator, ast.Eq) else ():
                            place = place_of(node, None, self._budget)
                            if place is not None and place.attribute == ("any", "name"):
                                name = comparand(other, self._budget)
                                yield from [name] if type(name) is str else []

    def _comparison(self, left: ast.expr, operator: ast.cmpop, right: ast.expr, sequence: str | None) -> Plan:
        if isinstance(operator, ast.In):
            if isinstance(right, (ast.List, ast.Set, ast.Tuple)):
                return self._among(place_of(left, sequence, self._budget), right.elts)
            return _asked(place_of(right, sequence, self._budget), "has", comparand(left, self._budget))
        if type(operator) not in _COMPARISONS:
            return _NOTHING
        straight, turned = _COMPARISONS[type(operator)]
        place, value = place_of(left, sequence, self._budget), comparand(right, self._budget)
        if place is None:
            straight = turned
            place, value = place_of(right, sequence, self._budget), comparand(left, self._budget)
        if not isinstance(operator, ast.Is):
            return _asked(place, straight, value)
        return Plan(_asked(place, straight, value).hints) if type(value) is bool else _NOTHING

    def _among(self, place: Place | None, elements: Sequence[ast.expr]) -> Plan:
        if place is None or len(elements) > MAX_CONSTANTS:
            return _NOTHING
        values = tuple(comparand(element, self._budget) for element in elements)
        found = _asked(place, "in", values)
        # literals are looked up in one step; of others, a set compares by hash, and a list may take the whole budget
        return found if all(map(_is_literal, elements)) else Plan(found.hints)

    def _startswith(self, place: Place | None, prefix: ast.expr) -> Plan:
        if not isinstance(prefix, (ast.List, ast.Tuple)):
            return _asked(place, "startswith", comparand(prefix, self._budget))
        values = [comparand(element, self._budget) for element in prefix.elts[: MAX_CONSTANTS + 1]]
        if not 0 < len(values) <= MAX_CONSTANTS or not all(type(value) is str for value in values):
            return _NOTHING
        return _any_of([_asked(place, "startswith", value) for value in values])


def _is_literal(node: ast.expr) -> bool:
    match node:
        case ast.Constant() | ast.UnaryOp(ast.USub(), ast.Constant(int() | float())):
            return True
    return False


def _asked(place: Place | None, operator: Operator, value: Any = None) -> Plan:
    """The plan for one fact, if an index can be asked it."""
    if place is None or operator not in place.domain.operators:
        return _NOTHING
    for each in value if operator == "in" else () if operator in ("true", "defined") else (value,):
        if each is MISSING or not place.domain.takes(each) or (operator == "startswith" and type(each) is not str):
            return _NOTHING
    match place.attribute, operator:
        case ("hash",), _:
            hashes = value if operator == "in" else (value,)
            return Plan(Among(frozenset(filter(is_run_hash, hashes))), exact=True)  # no run has any other
        case ("any", "name"), "==":
            return Plan(Term(("seqs", value), "defined"))
        case ("any", "name"), "in":
            return _any_of([Plan(Term(("seqs", each), "defined")) for each in value])
        case ("seqs",), "has":
            return Plan(Term(("seqs", value), "defined"))
        case ("seqs", _), "true":
            return _all_of([Plan(Term(place.attribute, "defined")), *map(Plan, place.given)])
    kind = place.attribute[0]
    exact = kind == "attrs" or (kind == "props" and operator != "startswith")  # databases differ in what is like a text
    return _all_of([Plan(Term(place.attribute, operator, value), exact), *map(Plan, place.given)])


def _all_of(plans: Sequence[Plan]) -> Plan:
    known: list[Hint] = []
    for each in plans:
        if each.hints is not None:
            known.extend(each.hints.hints if isinstance(each.hints, AllOf) else [each.hints])
    if not known:
        return _NOTHING
    return Plan(known[0] if len(known) == 1 else AllOf(tuple(known)), all(each.exact for each in plans))


def _any_of(plans: Sequence[Plan]) -> Plan:
    known: list[Hint] = []
    for each in plans:
        if each.hints is None:
            return _NOTHING
        known.extend(each.hints.hints if isinstance(each.hints, AnyOf) else [each.hints])
    if not known:
        return _NOTHING
    return Plan(known[0] if len(known) == 1 else AnyOf(tuple(known)), all(each.exact for each in plans))


_SHOWN: Final = 5
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = 40


def describe(hint: Hint) -> str:
    """A hint in the words of a query, shortened: `hparams.lr < 0.01 and (experiment == 'a' or tags has 'b')`.

    Of a sequence called `loss` it says `sequences['loss']`, of some sequence `any sequence`.
    """
    match hint:
        case AllOf(hints):
            return " and ".join(map(_within, hints)) or "every run"
        case AnyOf(hints):
            return " or ".join(map(_within, hints)) or "False"
        case Among(runs):
            return f"hash == {min(runs)!r}" if len(runs) == 1 else f"hash in {_values(sorted(runs))}"
    name = _name(hint.attribute)
    match hint.operator:
        case "true":
            return name
        case "defined":
            return f"is_defined({name})"
        case "startswith":
            return f"{name}.startswith({_value(hint.value)})"
        case "in":
            return f"{name} in {_values(hint.value)}"
    return f"{name} {hint.operator} {_value(hint.value)}"


def _within(hint: Hint) -> str:
    return f"({describe(hint)})" if isinstance(hint, (AllOf, AnyOf)) else describe(hint)


def _name(attribute: TreePath) -> str:
    kind, *parts = attribute
    name = ""
    if kind == "seqs":
        name = f"sequences[{parts.pop(0)!r}]"
    elif kind == "any":
        name = "any sequence"
    for part in parts:
        hidden = kind == "attrs" and not name and part in RUN_PROPERTIES
        name += f".{part}" if isinstance(part, str) and part.isidentifier() and not hidden else f"[{part!r}]"
    return name.removeprefix(".")


def _values(values: Sequence[Any]) -> str:
    more = len(values) - _SHOWN
    shown = [_value(value) for value in values[:_SHOWN]] + ([f"… {more:,} more"] if more > 0 else [])
    return f"[{', '.join(shown)}]"


def _value(value: Any) -> str:
    return f"datetime('{value.isoformat()}')" if isinstance(value, datetime) else _short.repr(value)
