"""The referent of a query's path in an index: a stored attribute, a property, or a figure of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from aimstore.abc.query import Operator, Term
from aimstore.query.constants import comparand, constant, is_storable
from aimstore.query.limits import Budget
from aimstore.query.namespace import FIELDS
from aimstore.query.tree import DictDisplay, Display, Field, Index, Link, Node, Path
from aimstore.query.values import MISSING
from aimstore.query.views import RUN_PROPERTIES
from aimstore.types import TreePath

ARRAY_FACTS: Final = frozenset({"dtype", "ndim", "shape", "size"})
"""Attributes of an array that a query can read."""

_NOT_ONLY_KEYS: Final = ARRAY_FACTS.union(*FIELDS.values())
"""Names that after a dot may be read of a value, as in `run.when.year`; an index of leaves would miss such runs."""

_MAX_KEY_BITS: Final = 64


@dataclass(frozen=True)
class Domain:
    """The terms that an index can answer for an attribute: these operators, with constants that `takes` accepts."""

    operators: frozenset[Operator]
    takes: Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return type(value) is str


def _is_column_text(value: Any) -> bool:
    return type(value) is str and "\x00" not in value  # databases end a text at this character, or refuse it


def _is_number(value: Any) -> bool:
    return type(value) in (bool, int, float)


_EQUAL: Final[frozenset[Operator]] = frozenset({"==", "in"})
_ORDER: Final[frozenset[Operator]] = _EQUAL | {"<", "<=", ">", ">="}

ANYTHING: Final = Domain(_ORDER | {"startswith", "true", "defined"}, lambda value: True)
TEXT: Final = Domain(_EQUAL | {"startswith", "true"}, _is_column_text)  # no order: that of a database differs
LABEL: Final = Domain(_EQUAL | {"startswith"}, _is_text)
IDENTITY: Final = Domain(_EQUAL, _is_text)
LABELS: Final = Domain(frozenset({"has", "true"}), _is_column_text)
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
"""Structured properties that are stored; `active` and `duration` depend on the time of the query."""

_NUMBERS: Final = dict.fromkeys(("last", "min", "max", "count", "first_step", "last_step"), NUMBER)


@dataclass(frozen=True)
class AttributeRef:
    """An attribute of a run, or of one of its sequences.

    Attributes:
        attribute: as in `Term`; `("hash",)` is the run's hash, and `("seqs",)` all of its metrics.
        domain: the questions that an index can answer about it.
        implied: further terms that are true for a run that has the attribute.
    """

    attribute: TreePath
    domain: Domain
    implied: tuple[Term, ...] = ()


def resolve(node: Node, sequence: str | None, budget: Budget) -> AttributeRef | None:
    """The referent of `run.x`, `metric.x` and so on; None if an index cannot tell, or might be wrong.

    Args:
        node: any expression.
        sequence: the name that the metric or sequence must have, if it is known.
        budget: for computing keys.
    """
    match node:
        case Path(subject="run", links=links):
            return _of_run(links, budget)
        case Path(links=(Field("name"),)):
            return AttributeRef(("any", "name"), LABEL)
        case Path(links=links):
            return _of_sequence(("any",) if sequence is None else ("seqs", sequence), links, budget)
    return None


def _of_run(links: tuple[Link, ...], budget: Budget) -> AttributeRef | None:
    match links:
        case (Field("hash"),):
            return AttributeRef(("hash",), IDENTITY)
        case (Field("metrics"),):
            return AttributeRef(("seqs",), SEQUENCES)
        case (Field("metrics"), Index(key), *below):
            return _of_metric(key, tuple(below), budget)
        case (Field(name),) if name in PROPERTIES:
            return AttributeRef(("props", name), PROPERTIES[name])
        case (Field(name), *_) if name in RUN_PROPERTIES:
            return None
    keys = _keys(links, budget)
    return None if keys is None else AttributeRef(("attrs", *keys), ANYTHING)


def _of_metric(key: Node, below: tuple[Link, ...], budget: Budget) -> AttributeRef | None:
    """`run.metrics["loss"]`, `run.metrics["loss", {"subset": "val"}]`, and their attributes."""
    context: Node | None = None
    match key:
        case Display(kind="tuple", elements=(key, context)):
            pass
    name = comparand(key, budget)
    if type(name) is not str:
        return None
    sequence = ("seqs", name)
    found = _of_sequence(sequence, below, budget) if below else AttributeRef(sequence, SEQUENCE)
    return found and replace(found, implied=_of_context(name, context, budget))


def _of_context(name: str, context: Node | None, budget: Budget) -> tuple[Term, ...]:
    """The terms that are true for a sequence whose context equals this dict."""
    if not isinstance(context, DictDisplay):
        return ()
    values: dict[Any, Any] = {}  # as Python does: of equal keys the last one counts
    for written, value in context.items:
        key = constant(written, budget)
        if key is MISSING:  # it may equal any other key
            return ()
        values[key] = comparand(value, budget)
    return tuple(
        Term(("seqs", name, "context", key), "==", value)
        for key, value in values.items()
        if _is_key(key) and value is not MISSING
    )


def _of_sequence(sequence: TreePath, links: tuple[Link, ...], budget: Budget) -> AttributeRef | None:
    match links:
        case (Field(name),) if name in _NUMBERS:
            return AttributeRef((*sequence, name), NUMBER)
        case (Field("kind"),):
            return AttributeRef((*sequence, "kind"), LABEL)
        case (Field("context"), *below):
            keys = _keys(tuple(below), budget)
            if keys is not None and len(keys) == 1:
                return AttributeRef((*sequence, "context", *keys), ANYTHING)
    return None


def _keys(links: tuple[Link, ...], budget: Budget) -> TreePath | None:
    """The keys of nested dicts along `links`; None if they may lead elsewhere, or are computed for each run.

    The first key is always looked up in a dict. Below it, an int may be an index of a list.
    """
    keys: list[str | int] = []
    for link in links:
        if isinstance(link, Field):
            if keys and link.name in _NOT_ONLY_KEYS:
                return None
            keys.append(link.name)
            continue
        parts = _parts(link.key)
        for part in parts:
            key = constant(part, budget)
            if not _is_key(key) or (keys and type(key) is int):
                return None
            keys.append(key)
        if not parts:
            return None
    return tuple(keys) or None


def _parts(key: Node) -> tuple[Node, ...]:
    """The keys of one index: `["a", "b"]` has two."""
    return key.elements if isinstance(key, Display) and key.kind == "tuple" else (key,)


def _is_key(value: Any) -> bool:
    """Whether `value` can be a part of a path; negative ints can too, but are usually meant for lists."""
    if type(value) is int:
        return value >= 0 and value.bit_length() <= _MAX_KEY_BITS
    return type(value) is str and is_storable(value)
