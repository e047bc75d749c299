"""Facts known before evaluation: which paths are dates, tags or metrics, and what never compares with them."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias

from aimstore.query.tree import Comparison, Constant, Field, Index, Node, Path

Kind: TypeAlias = Literal["moment", "labels", "metrics", "metric"]
Remedy: TypeAlias = tuple[str, str]
"""Why a query is refused, and what to write instead."""

_VALUES: Final[frozenset[Comparison]] = frozenset({"==", "!=", "<", "<=", ">", ">="})
_MAX_DATE_CHARACTERS: Final = 64


def kind_of(node: Node) -> Kind | None:
    """The kind of the values of a path of a run; None if it is unknown, or has no remedy here."""
    match node:
        case Path(subject="run", links=(Field("created_at" | "finalized_at"),)):
            return "moment"
        case Path(subject="run", links=(Field("tags"),)):
            return "labels"
        case Path(subject="run", links=(Field("metrics"),)):
            return "metrics"
        case Path(subject="run", links=(Field("metrics"), Index())):
            return "metric"
    return None


def is_date(text: str) -> bool:
    """Whether `datetime(text)` is valid."""
    if len(text) > _MAX_DATE_CHARACTERS:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def misfit(kind: Kind, operator: Comparison, other: Node) -> Remedy | None:
    """Why a path of this kind never compares with `other`, and the remedy; None if it may compare."""
    value = other.value if isinstance(other, Constant) else None
    if kind == "moment" and isinstance(value, str):
        hint = "write '2026-01-31', '2026-01-31T12:30' or datetime(2026, 1, 31)"
        return None if is_date(value) else (f"{value!r:.60} is not a date", hint)
    if operator not in _VALUES:
        return None
    if kind == "labels" and isinstance(value, str):
        return "run.tags is a list of tags, not a string", f'ask for one of them with "in": {value!r:.60} in run.tags'
    if kind == "metric" and type(value) in (int, float, str):
        return "a metric is not a value", "compare one of its values, as in run.metrics['loss'].last < 0.1"
    return None
