"""Which runs a query is asked of: candidates of the index, and runs whose own containers may be newer; what it sees of each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from aimstore.abc import AllOf, Among, AnyOf, Candidates, Hint, Term
from aimstore.catalog import UNREADABLE, Catalog
from aimstore.errors import StorageError
from aimstore.index.record import RunRecord
from aimstore.lifecycle import shield
from aimstore.metadata import RunProperties, default_properties
from aimstore.moments import from_microseconds
from aimstore.sequences.drainer import process_drainer
from aimstore.storage.layout import NUMBER, SequenceInfo
from aimstore.types import INDEX_PATH, META_PREFIX

if TYPE_CHECKING:
    from aimstore.metadata.snapshot import Snapshot

logger = logging.getLogger("aimstore")

TOGETHER: Final = 256
"""Runs of which records or rows are read at once."""

MANY: Final = 20_000
"""Candidates from which reading all of the index costs less than looking up each."""

_EVERY_RUN: Final = AllOf(())


@dataclass(frozen=True)
class Question:
    """What a query wants to know, as far as it decides which runs are looked at.

    Attributes:
        hints: what holds of every match; None where nothing is known, or everything is to be looked at.
        exact: the hints decide.
        archived: archived runs may match, too.
        properties: the structured properties are read of every run that is looked at.
        all_properties: they are read of every match, too.
    """

    hints: Hint | None = None
    exact: bool = False
    archived: bool = True
    properties: bool = True
    all_properties: bool = False


class RunSource:
    """One run as a query sees it.

    Attributes:
        hash: of the run.
        decided: the index has answered the whole question: the run matches.
    """

    def __init__(self, run: str, neighbours: _Neighbours, record: RunRecord | None = None) -> None:
        self.hash = run
        self.decided = record is None
        self._neighbours = neighbours
        self._record = record

    @property
    def final(self) -> bool:
        """Nobody writes the run, nor will its indexing change what is known of it."""
        return True

    @property
    def active(self) -> bool:
        """Whether some process writes it."""
        return False

    @property
    def record(self) -> RunRecord:
        """What the index or the run's meta container says."""
        if self._record is None:
            self._record = self._neighbours.record(self.hash)
        return self._record

    @property
    def row(self) -> RunProperties:
        """What the metadata database says."""
        return self._neighbours.rows.get(self.hash) or default_properties(self.hash)

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self.record.attributes  # type: ignore[no-any-return]

    @cached_property
    def metrics(self) -> list[SequenceInfo]:
        """The sequences of numbers."""
        return [info for info in self.record.sequences if info.kind == NUMBER]

    @cached_property
    def properties(self) -> Mapping[str, Any]:
        """The structured properties by the names of the query language, each made when it is asked for."""
        return _Properties(self)


class _Properties(Mapping[str, Any]):
    def __init__(self, source: RunSource) -> None:
        self._source = source
        self.row = source.row

    @cached_property
    def active(self) -> bool:
        return self._source.active

    @property
    def created_at(self) -> datetime | None:
        return from_microseconds(self.row.created_at)

    @property
    def finalized_at(self) -> datetime | None:
        return None if self.active else from_microseconds(self.row.finalized_at)

    @property
    def duration(self) -> float | None:
        created, finalized = self.created_at, self.finalized_at
        return None if created is None or finalized is None else (finalized - created).total_seconds()

    def __getitem__(self, name: str) -> Any:
        if name in _STORED:
            return getattr(self.row, name)
        if name in _COMPUTED:
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from _STORED
        yield from _COMPUTED

    def __len__(self) -> int:
        return len(_STORED) + len(_COMPUTED)


_STORED: Final = ("name", "experiment", "description", "tags", "archived")
_COMPUTED: Final = ("created_at", "finalized_at", "active", "duration")


class UnfinishedSource(RunSource):
    """A run that has a progress marker, or that the index does not have."""

    def __init__(self, run: str, neighbours: _Neighbours, record: RunRecord, active: Callable[[str], bool]) -> None:
        super().__init__(run, neighbours, record)
        self._active = active

    @property
    def final(self) -> bool:
        return False

    @property
    def active(self) -> bool:
        return self._active(self.hash)


class _Neighbours:
    """Runs given together: what one of them is asked for is read for all."""

    def __init__(self, catalog: Catalog, runs: Collection[str], rows: Mapping[str, RunProperties] | None) -> None:
        self._catalog = catalog
        self._runs = runs
        if rows is not None:
            self.rows = rows

    @cached_property
    def rows(self) -> Mapping[str, RunProperties]:
        return self._catalog.rows(self._runs)

    @cached_property
    def _records(self) -> dict[str, RunRecord]:
        return {run: record for run, record in self._catalog.indexed(self._runs) if record is not None}

    def record(self, run: str) -> RunRecord:
        return self._records.get(run) or self._catalog.record(run)


class Selection:
    """The runs that a question is put to: each once, in no particular order but the same while nothing changes.

    Attributes:
        candidates: of the index; None where it left none out, or is not whole.
        exact: the candidates match, and need no look.
        unfinished: runs whose own containers are read.
        archived: runs that are left out.
    """

    def __init__(self, catalog: Catalog, question: Question) -> None:
        process_drainer.drain_all()
        self._catalog = catalog
        # the markers first, and the index after them: a run that is finalized in between is seen by both
        marked = catalog.parts.backend.marked("meta/")
        self.unfinished = {path.removeprefix(META_PREFIX) for path in marked if path.startswith(META_PREFIX)}
        self._whole = catalog.index_is_whole() and INDEX_PATH not in marked
        if not self._whole:
            self.unfinished.update(catalog.list_runs())
        self.candidates: Candidates | None = None
        self.exact = False
        self._rows: Mapping[str, RunProperties] | None = None
        with shield, catalog.parts.database.snapshot() as snapshot:
            self.archived = frozenset() if question.archived else snapshot.archived()
            if self._whole and question.hints is not None:
                self._ask_index(snapshot, question.hints, question.exact)
            if question.properties or question.all_properties:
                self._rows = self._read_rows(snapshot, matches=question.all_properties)
        self._rows_of_matches = self._rows if question.all_properties else None

    def _ask_index(self, snapshot: Snapshot, hints: Hint, exact: bool) -> None:
        indexer = self._catalog.parts.indexer
        try:
            if hints == _EVERY_RUN:
                self.candidates, sure = Candidates(frozenset(indexer.runs()), exact=True), True
            else:
                resolved, sure = _Resolver(self._catalog, snapshot).resolve(hints)
                self.candidates = None if resolved is None else indexer.candidates(resolved)
        except StorageError as error:
            self._give_index_up(error)
        if self.candidates is not None:
            self.exact = exact and sure and self.candidates.exact

    def _give_index_up(self, error: StorageError) -> None:
        logger.warning(UNREADABLE, error)
        self._whole = False
        self.candidates = None
        self._rows = self._rows_of_matches = None
        self.unfinished.update(self._catalog.list_runs())

    def _read_rows(self, snapshot: Snapshot, *, matches: bool) -> dict[str, RunProperties]:
        if (self.exact and not matches) or not self._whole:
            return snapshot.rows(self.unfinished)
        if self.candidates is None or len(self.candidates.runs) > MANY:
            return snapshot.all_rows()
        return snapshot.rows([*self.unfinished, *self.candidates.runs])

    def __iter__(self) -> Iterator[RunSource]:
        given: set[str] = set()
        damaged: set[str] = set()
        try:
            for source in self._indexed(damaged):
                given.add(source.hash)
                yield source
        except StorageError as error:
            self._give_index_up(error)
        yield from self._unfinished(sorted((self.unfinished | damaged) - given - self.archived))

    def count_exact(self) -> int:
        """The number of matches among the indexed runs; only where `exact`."""
        assert self.candidates is not None
        runs = self.candidates.runs
        return len(runs) - sum(1 for run in self.unfinished | self.archived if run in runs)

    def unfinished_sources(self) -> Iterator[RunSource]:
        """Those that are looked at, whatever the index says."""
        return self._unfinished(sorted(self.unfinished - self.archived))

    def again(self, runs: Iterable[str]) -> Iterator[RunSource]:
        """Some of the indexed runs once more, in this order. What is kept of them in between is their hash."""
        for part in _parts(iter(runs)):
            neighbours = _Neighbours(self._catalog, part, self._rows_of_matches)
            for run in part:
                yield RunSource(run, neighbours)

    def _indexed(self, damaged: set[str]) -> Iterator[RunSource]:
        if not self._whole:
            return
        left_out = self.unfinished | self.archived
        if self.candidates is None:
            chosen = None
        else:
            chosen = sorted(run for run in self.candidates.runs if run not in left_out)
            if self.exact:
                for part in _parts(iter(chosen)):
                    neighbours = _Neighbours(self._catalog, part, self._rows_of_matches)
                    for run in part:
                        yield RunSource(run, neighbours)
                return
        for part in _parts(self._records(chosen)):
            neighbours = _Neighbours(self._catalog, [run for run, _ in part], self._rows)
            for run, record in part:
                if record is None:
                    damaged.add(run)
                elif run not in left_out:
                    yield RunSource(run, neighbours, record)

    def _records(self, chosen: list[str] | None) -> Iterator[tuple[str, RunRecord | None]]:
        if chosen is None or len(chosen) > MANY:
            wanted = None if chosen is None else frozenset(chosen)
            found = self._catalog.indexed(None)
            return ((run, record) for run, record in found if wanted is None or run in wanted)
        return (pair for part in _parts(iter(chosen)) for pair in self._catalog.indexed(part))

    def _unfinished(self, runs: list[str]) -> Iterator[RunSource]:
        neighbours = _Neighbours(self._catalog, runs, self._rows)
        for run in runs:
            record = self._catalog.shadowing_record(run)
            if record is not None:
                yield UnfinishedSource(run, neighbours, record, self._catalog.is_active)


def _parts(items: Iterator[Any]) -> Iterator[list[Any]]:
    """At first a few, so that the first result comes soon."""
    size = 16
    while part := list(islice(items, size)):
        yield part
        size = TOGETHER


class _Resolver:
    """Puts the runs that SQL finds in the place of terms on structured properties."""

    def __init__(self, catalog: Catalog, snapshot: Snapshot) -> None:
        self._catalog = catalog
        self._snapshot = snapshot

    def resolve(self, hint: Hint) -> tuple[Hint | None, bool]:
        """What is left to ask the index, None where nothing, and whether it says just as much."""
        if isinstance(hint, AllOf | AnyOf):
            pairs = [self.resolve(each) for each in hint.hints]
            known = tuple(each for each, _ in pairs if each is not None)
            exact = all(sure for _, sure in pairs)
            if not known or (isinstance(hint, AnyOf) and len(known) < len(pairs)):
                return None, False
            return replace(hint, hints=known), exact
        if not isinstance(hint, Term) or hint.attribute[0] != "props":
            return hint, True
        matching = self._snapshot.matching(hint)
        if matching is None:
            return None, False
        runs = matching.runs | self._rowless if matching.rowless else matching.runs
        return Among(runs), matching.exact

    @cached_property
    def _rowless(self) -> frozenset[str]:
        return frozenset(self._catalog.parts.indexer.runs()).difference(self._snapshot.all_hashes())
