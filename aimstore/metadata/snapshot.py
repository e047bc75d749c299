"""The metadata database as a query sees it: terms on structured properties and rows, answered from one snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, Column, ColumnElement, Connection, and_, bindparam, false, func, select, true

from aimstore.abc import Term
from aimstore.encoding.moments import to_microseconds
from aimstore.metadata import DEFAULT_EXPERIMENT, DEFAULT_NAME, RunProperties
from aimstore.metadata.models import experiments, run_tags, runs, tags
from aimstore.metadata.rows import IN_SIZE, LINK_COLUMNS, RUN_COLUMNS, Row, names_by_id, raw_rows, run_properties

_HASHES: Final[BindParameter[Any]] = bindparam("hashes", expanding=True)
_ROWS: Final = select(*RUN_COLUMNS).where(runs.c.hash.in_(_HASHES))
_LINKS: Final = select(*LINK_COLUMNS).where(run_tags.c.run.in_(_HASHES))
"""Cached: making a statement takes as long as SQLite takes to answer it."""

_COMPARES_BYTES: Final = ("sqlite", "postgresql")
"""Databases in which only identical texts are equal; others may ignore case or accents."""

_NOT_TEXT: Final = ("archived", "created_at", "finalized_at")
"""Properties that every database compares exactly."""

_COMPARE: Final[dict[str, Callable[[Any, Any], ColumnElement[bool]]]] = {
    "==": lambda column, value: column == value,
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}


@dataclass(frozen=True)
class Matching:
    """The answer of SQL to a term.

    Attributes:
        runs: runs with a row for which the term may be true.
        exact: the term is true for all of them.
        rowless: the term may be true for a run without a row.
    """

    runs: frozenset[str]
    exact: bool
    rowless: bool = False


class Snapshot:
    """One reading transaction; lent by `MetadataStore.snapshot`."""

    def __init__(self, connection: Connection | None) -> None:
        """`connection`: None for a database without a schema, which is empty."""
        self._connection = connection

    def rows(self, hashes: Iterable[str]) -> dict[str, RunProperties]:
        """The properties of those of `hashes` that have a row."""
        connection = self._connection
        if connection is None:
            return {}
        wanted = list(dict.fromkeys(hashes))
        found: list[Row] = []
        links: list[Row] = []
        for part in (wanted[start : start + IN_SIZE] for start in range(0, len(wanted), IN_SIZE)):
            found += raw_rows(connection, _ROWS, {"hashes": part})
            links += raw_rows(connection, _LINKS, {"hashes": part})
        groups = names_by_id(connection, experiments, {row[3] for row in found} - {None})
        labels = names_by_id(connection, tags, {row[1] for row in links})
        return run_properties(found, links, groups, labels)

    def row(self, run_hash: str) -> RunProperties:
        """The properties of a run that has a row."""
        return self.rows((run_hash,))[run_hash]

    def all_rows(self) -> dict[str, RunProperties]:
        """The properties of every run that has a row."""
        connection = self._connection
        if connection is None:
            return {}
        found = raw_rows(connection, select(*RUN_COLUMNS))
        links = raw_rows(connection, select(*LINK_COLUMNS))
        return run_properties(found, links, names_by_id(connection, experiments), names_by_id(connection, tags))

    def archived(self) -> frozenset[str]:
        """The archived runs."""
        return self._hashes(runs.c.archived)

    def all_hashes(self) -> frozenset[str]:
        """The runs that have a row."""
        return self._hashes(true())

    def matching(self, term: Term) -> Matching | None:
        """The runs for which a term on a structured property may be true; None if that is nearly every run."""
        _, name = term.attribute
        condition = _condition(name, term)
        if condition is None:
            return None
        exact = name in _NOT_TEXT or self._connection is None or self._connection.dialect.name in _COMPARES_BYTES
        rowless = False
        if name == "experiment":
            rowless = _may_hold(term, DEFAULT_EXPERIMENT)
        elif name == "name":
            rowless = _may_hold(term, DEFAULT_NAME, longer=True)
            exact = exact and not rowless
        return Matching(self._hashes(condition), exact, rowless)

    def _hashes(self, condition: ColumnElement[bool]) -> frozenset[str]:
        if self._connection is None:
            return frozenset()
        return frozenset(run for (run,) in raw_rows(self._connection, select(runs.c.hash).where(condition)))


def _condition(name: object, term: Term) -> ColumnElement[bool] | None:
    """The rows of `runs` for which a term on the property `name` may be true; None if that is nearly every row."""
    match name:
        case "archived":
            return runs.c.archived if _holds_of_archived_only(term) else None
        case "created_at" | "finalized_at":
            return _moment(runs.c[name], term)
        case "tags":
            return _tagged(term)
        case "experiment":
            named = _text(experiments.c.name, term)
            return None if named is None else runs.c.experiment_id.in_(select(experiments.c.id).where(named))
        case "name" | "description":
            return _text(runs.c[name], term)
    return None


def _text(column: Column[Any], term: Term) -> ColumnElement[bool] | None:
    value = term.value
    match term.operator:
        case "==":
            return column == value if isinstance(value, str) else false()
        case "in":
            texts = [each for each in value if isinstance(each, str)]
            return None if len(texts) > IN_SIZE else column.in_(texts) if texts else false()
        case "startswith":
            begins: ColumnElement[bool] = func.substr(column, 1, len(value)) == value
            return begins
        case "true":
            return and_(column.is_not(None), column != "")
    return None


def _may_hold(term: Term, text: str, *, longer: bool = False) -> bool:
    """Whether a term may be true for `text`, or with `longer` for a text that begins with it."""
    values = term.value if term.operator == "in" else (term.value,)
    match term.operator:
        case "==" | "in":
            return any(each == text or (longer and isinstance(each, str) and each.startswith(text)) for each in values)
        case "startswith":
            return text.startswith(term.value) or (longer and term.value.startswith(text))
    return True


def _tagged(term: Term) -> ColumnElement[bool] | None:
    if term.operator == "true":
        return runs.c.hash.in_(select(run_tags.c.run))
    if term.operator != "has":
        return None
    if not isinstance(term.value, str):
        return false()
    return runs.c.hash.in_(select(run_tags.c.run).join(tags).where(tags.c.name == term.value))


def _holds_of_archived_only(term: Term) -> bool:
    if term.operator == "true":
        return True
    values = term.value if term.operator == "in" else (term.value,)
    if term.operator not in ("==", "in"):
        return False
    return 1 in values and 0 not in values


def _moment(column: Column[Any], term: Term) -> ColumnElement[bool] | None:
    if term.operator == "true":
        return column.is_not(None)
    if term.operator == "in":
        moments = [to_microseconds(each) for each in term.value if isinstance(each, datetime)]
        return None if len(moments) > IN_SIZE else column.in_(moments) if moments else false()
    if term.operator not in _COMPARE:
        return None
    return _COMPARE[term.operator](column, to_microseconds(term.value)) if isinstance(term.value, datetime) else false()
