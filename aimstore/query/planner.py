"""From the tree of a query to hints for an index, and whether the hints are equivalent to the query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aimstore.abc.query import AllOf, Among, AnyOf, Hint, Operator, Subject, Term
from aimstore.query.constants import comparand, is_written_number_or_text
from aimstore.query.limits import Budget, QueryLimits
from aimstore.query.references import AttributeRef, resolve
from aimstore.query.tree import Access, Call, Compare, Comparison, Display, Junction, MethodCall, Node, Path
from aimstore.query.values import MISSING
from aimstore.types import is_run_hash

_COMPARISONS: Final[dict[Comparison, tuple[Operator, Operator]]] = {
    "==": ("==", "=="),
    "is": ("==", "=="),
    "<": ("<", ">"),
    "<=": ("<=", ">="),
    ">": (">", "<"),
    ">=": (">=", "<="),
}
"""The operator of a hint, and its mirror image for a constant on the left."""


@dataclass(frozen=True)
class Plan:
    """How an index helps with a condition.

    Attributes:
        hints: true for every run for which the condition is true; None if nothing is known.
        hints_suffice: the condition is true for every run for which the hints are true, and raises for none. One
            exception is ignored: a value so large, megabytes, that comparing with it exhausts the budget of an
                evaluation.
    """

    hints: Hint | None = None
    hints_suffice: bool = False


_NOTHING: Final = Plan()


def plan(node: Node, subject: Subject, limits: QueryLimits) -> Plan:
    """The plan for a query.

    Hints are about runs, so the hints of a query for metrics or sequences never suffice.
    """
    found = _without_many_lookups(_Planner(limits).condition(node, None), limits.hint_lookups)
    return Plan(found.hints, found.hints_suffice and subject == "run")


class _Planner:
    """Plans one query. `sequence` is the name that its metric or sequence must have, if it is known."""

    def __init__(self, limits: QueryLimits) -> None:
        self._limits = limits
        self._budget = Budget(limits)  # shared by all constants

    def condition(self, node: Node, sequence: str | None) -> Plan:
        match node:
            case Junction(word="and", conditions=conditions):
                return self._joined(conditions, next(self._names(conditions), sequence))
            case Junction(word="or", conditions=conditions):
                return _any_of([self.condition(each, sequence) for each in conditions])
            case Compare():
                return _all_of([self._comparison(*pair, sequence) for pair in node.pairs()])
            case Call(function="is_defined", arguments=(argument,), keywords=()):
                return _ask(self._resolve(argument, sequence), "defined")
            case MethodCall(owner=text, method="startswith", arguments=(prefix,)):
                return self._startswith(self._resolve(text, sequence), prefix)
            case Path() | Access():
                return _ask(self._resolve(node, sequence), "true")
        return _NOTHING

    def _resolve(self, node: Node, sequence: str | None) -> AttributeRef | None:
        return resolve(node, sequence, self._budget)

    def _comparand(self, node: Node) -> Any:
        return comparand(node, self._budget)

    def _joined(self, conditions: Iterable[Node], sequence: str | None) -> Plan:
        """The plan for the case that all of `conditions` are true; names in them were found before."""
        plans = []
        for condition in conditions:
            match condition:
                case Junction(word="and", conditions=inner):
                    plans.append(self._joined(inner, sequence))
                case _:
                    plans.append(self.condition(condition, sequence))
        return _all_of(plans)

    def _names(self, conditions: Iterable[Node]) -> Iterator[str]:
        """Names that `metric.name` equals if all of `conditions` are true."""
        for condition in conditions:
            match condition:
                case Junction(word="and", conditions=inner):
                    yield from self._names(inner)
                case Compare():
                    for left, operator, right in condition.pairs():
                        if operator == "==":
                            yield from self._names_equal(left, right)
                            yield from self._names_equal(right, left)

    def _names_equal(self, node: Node, other: Node) -> Iterator[str]:
        """The constant `other` if `node` is `metric.name`."""
        reference = self._resolve(node, None)
        if reference is not None and reference.attribute == ("any", "name"):
            name = self._comparand(other)
            if type(name) is str:
                yield name

    def _comparison(self, left: Node, operator: Comparison, right: Node, sequence: str | None) -> Plan:
        if operator == "in":
            if isinstance(right, Display):
                return self._among(self._resolve(left, sequence), right.elements)
            return _ask(self._resolve(right, sequence), "has", self._comparand(left))
        if operator not in _COMPARISONS:
            return _NOTHING
        straight, turned = _COMPARISONS[operator]
        reference, value = self._resolve(left, sequence), self._comparand(right)
        if reference is None:
            straight = turned
            reference, value = self._resolve(right, sequence), self._comparand(left)
        if operator != "is":
            return _ask(reference, straight, value)
        return Plan(_ask(reference, straight, value).hints) if type(value) is bool else _NOTHING

    def _among(self, reference: AttributeRef | None, elements: Sequence[Node]) -> Plan:
        if reference is None or len(elements) > self._limits.hint_constants:
            return _NOTHING
        values = tuple(map(self._comparand, elements))
        found = _ask(reference, "in", values)
        # a literal collection is looked up in one step; a computed set compares by hash, and a list may exhaust the budget
        return found if all(map(is_written_number_or_text, elements)) else Plan(found.hints)

    def _startswith(self, reference: AttributeRef | None, prefix: Node) -> Plan:
        if not isinstance(prefix, Display) or prefix.kind == "set":
            return _ask(reference, "startswith", self._comparand(prefix))
        if not 0 < len(prefix.elements) <= self._limits.hint_constants:
            return _NOTHING
        values = [self._comparand(element) for element in prefix.elements]
        if not all(type(value) is str for value in values):
            return _NOTHING
        return _any_of([_ask(reference, "startswith", value) for value in values])


# One fact


def _ask(reference: AttributeRef | None, operator: Operator, value: Any = None) -> Plan:
    """The plan for one fact, if an index can answer it."""
    if reference is None or not _is_askable(reference, operator, value):
        return _NOTHING
    kind = reference.attribute[0]
    asked = _ASKED.get(kind, _ask_attribute)(reference, operator, value)
    return _all_of([asked, *map(Plan, reference.implied)])


def _is_askable(reference: AttributeRef, operator: Operator, value: Any) -> bool:
    domain = reference.domain
    if operator not in domain.operators:
        return False
    if operator in ("true", "defined"):
        return True
    values = value if operator == "in" else (value,)
    return all(
        each is not MISSING and domain.takes(each) and (operator != "startswith" or type(each) is str)
        for each in values
    )


def _ask_attribute(reference: AttributeRef, operator: Operator, value: Any) -> Plan:
    return Plan(Term(reference.attribute, operator, value), hints_suffice=reference.attribute[0] == "attrs")


def _ask_property(reference: AttributeRef, operator: Operator, value: Any) -> Plan:
    # databases differ in which texts are alike
    return Plan(Term(reference.attribute, operator, value), hints_suffice=operator != "startswith")


def _ask_hash(reference: AttributeRef, operator: Operator, value: Any) -> Plan:
    hashes = value if operator == "in" else (value,)
    return Plan(Among(frozenset(filter(is_run_hash, hashes))), hints_suffice=True)  # no run has any other hash


def _ask_sequence(reference: AttributeRef, operator: Operator, value: Any) -> Plan:
    match reference.attribute:
        case ("seqs",):
            return Plan(Term(("seqs", value), "defined"))
        case ("seqs", _):
            return Plan(Term(reference.attribute, "defined"))
    return _ask_attribute(reference, operator, value)


def _ask_any_sequence(reference: AttributeRef, operator: Operator, value: Any) -> Plan:
    if reference.attribute == ("any", "name") and operator in ("==", "in"):
        names = value if operator == "in" else (value,)
        return _any_of([Plan(Term(("seqs", name), "defined")) for name in names])
    return _ask_attribute(reference, operator, value)


_ASKED: Final[dict[str | int, Callable[[AttributeRef, Operator, Any], Plan]]] = {
    "attrs": _ask_attribute,
    "props": _ask_property,
    "hash": _ask_hash,
    "seqs": _ask_sequence,
    "any": _ask_any_sequence,
}
"""Functions by the kind of attribute."""


# Several facts


def _all_of(plans: Sequence[Plan]) -> Plan:
    known: list[Hint] = []
    for each in plans:
        if each.hints is not None:
            known.extend(each.hints.hints if isinstance(each.hints, AllOf) else [each.hints])
    if not known:
        return _NOTHING
    hints = known[0] if len(known) == 1 else AllOf(tuple(known))
    return Plan(hints, all(each.hints_suffice for each in plans))


def _any_of(plans: Sequence[Plan]) -> Plan:
    known: list[Hint] = []
    for each in plans:
        if each.hints is None:
            return _NOTHING
        known.extend(each.hints.hints if isinstance(each.hints, AnyOf) else [each.hints])
    if not known:
        return _NOTHING
    hints = known[0] if len(known) == 1 else AnyOf(tuple(known))
    return Plan(hints, all(each.hints_suffice for each in plans))


def _without_many_lookups(found: Plan, most: int) -> Plan:
    """The plan without the hints that need lookups, if there are too many of these."""
    hints = found.hints
    if hints is None or _lookups(hints) <= most:
        return found
    if not isinstance(hints, AllOf):
        return _NOTHING
    kept = _all_of([Plan(each) for each in hints.hints if not _lookups(each)])
    return Plan(kept.hints)


def _lookups(hint: Hint) -> int:
    if isinstance(hint, (AllOf, AnyOf)):
        return sum(map(_lookups, hint.hints))
    return isinstance(hint, Term) and hint.attribute[0] in ("props", "any")
