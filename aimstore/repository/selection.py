"""`Selection`: the runs that a query must consider.

These are the candidates from the index, and the pending runs, whose own containers may be newer than the index.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from aimstore.abc import AllOf, Among, AnyOf, Candidates, Hint, Term
from aimstore.errors import StorageError
from aimstore.index.entry import IndexEntry
from aimstore.metadata import RunProperties
from aimstore.process import shield
from aimstore.repository.catalog import UNREADABLE, Catalog
from aimstore.repository.queried import PendingRun, QueriedRun, RunBatch
from aimstore.repository.runs import marked_runs_and_index
from aimstore.sequences.drainer import process_drainer

if TYPE_CHECKING:
    from aimstore.metadata.snapshot import Snapshot

logger = logging.getLogger("aimstore")

_T = TypeVar("_T")

_EVERY_RUN: Final = AllOf(())


@dataclass(frozen=True)
class Pushdown:
    """The part of a query that the index and the metadata database can answer.

    Attributes:
        hints: a condition that every match meets; None if none is known, or if every run must be evaluated.
        exact: the hints are equivalent to the query.
        archived: archived runs may match too.
        properties: load the structured properties of every run that is evaluated.
        all_properties: load the structured properties of every match too.
    """

    hints: Hint | None = None
    exact: bool = False
    archived: bool = True
    properties: bool = True
    all_properties: bool = False


class Selection:
    """The runs that a query must consider: each once, in no particular order, but stable while nothing changes.

    Attributes:
        candidates: runs from the index; None if the index excluded no run or is incomplete.
        exact: the candidates match and need no evaluation.
        pending: runs read from their own containers.
        archived: runs that are left out.
    """

    def __init__(self, catalog: Catalog, pushdown: Pushdown) -> None:
        process_drainer.drain_all()
        self._catalog = catalog
        self._limits = catalog.context.limits.reads
        # read the markers before the index: both then show a run that is finalized in between
        marked, index_marked = marked_runs_and_index(catalog.context.backend)
        self.pending = set(marked)
        self._whole = catalog.index_is_whole() and not index_marked
        if not self._whole:
            self.pending.update(catalog.list_runs())
        self.candidates: Candidates | None = None
        self.exact = False
        self._rows: Mapping[str, RunProperties] | None = None
        with shield, catalog.context.database.snapshot() as snapshot:
            self.archived = frozenset() if pushdown.archived else snapshot.archived()
            if self._whole and pushdown.hints is not None:
                self._ask_index(snapshot, pushdown.hints, pushdown.exact)
            if pushdown.properties or pushdown.all_properties:
                self._rows = self._read_rows(snapshot, matches=pushdown.all_properties)
        self._rows_of_matches = self._rows if pushdown.all_properties else None

    def _ask_index(self, snapshot: Snapshot, hints: Hint, exact: bool) -> None:
        indexer = self._catalog.context.indexer
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
        self.pending.update(self._catalog.list_runs())

    def _read_rows(self, snapshot: Snapshot, *, matches: bool) -> dict[str, RunProperties]:
        if (self.exact and not matches) or not self._whole:
            return snapshot.rows(self.pending)
        if self.candidates is None or len(self.candidates.runs) > self._limits.full_scan_runs:
            return snapshot.all_rows()
        return snapshot.rows([*self.pending, *self.candidates.runs])

    def __iter__(self) -> Iterator[QueriedRun]:
        given: set[str] = set()
        damaged: set[str] = set()
        try:
            for found in self._indexed(damaged):
                given.add(found.hash)
                yield found
        except StorageError as error:
            self._give_index_up(error)
        yield from self._pending(sorted((self.pending | damaged) - given - self.archived))

    def count_exact(self) -> int:
        """The number of matches among the indexed runs; valid only if `exact`."""
        assert self.candidates is not None
        runs = self.candidates.runs
        return len(runs) - sum(1 for run in self.pending | self.archived if run in runs)

    def pending_runs(self) -> Iterator[QueriedRun]:
        """The runs that are read from their own containers, bypassing the index."""
        return self._pending(sorted(self.pending - self.archived))

    def reread(self, runs: Iterable[str]) -> Iterator[QueriedRun]:
        """Indexed runs by their hashes, in this order; callers need to keep only the hash between two reads."""
        for part in self._batched(iter(runs)):
            batch = RunBatch(self._catalog, part, self._rows_of_matches)
            for run in part:
                yield QueriedRun(run, batch)

    def _indexed(self, damaged: set[str]) -> Iterator[QueriedRun]:
        if not self._whole:
            return
        left_out = self.pending | self.archived
        if self.candidates is None:
            chosen = None
        else:
            chosen = sorted(run for run in self.candidates.runs if run not in left_out)
            if self.exact:
                yield from self.reread(chosen)
                return
        for part in self._batched(self._records(chosen)):
            batch = RunBatch(self._catalog, [run for run, _ in part], self._rows)
            for run, entry in part:
                if entry is None:
                    damaged.add(run)
                elif run not in left_out:
                    yield QueriedRun(run, batch, entry)

    def _records(self, chosen: list[str] | None) -> Iterator[tuple[str, IndexEntry | None]]:
        if chosen is None or len(chosen) > self._limits.full_scan_runs:
            wanted = None if chosen is None else frozenset(chosen)
            found = self._catalog.indexed(None)
            return ((run, entry) for run, entry in found if wanted is None or run in wanted)
        return (pair for part in self._batched(iter(chosen)) for pair in self._catalog.indexed(part))

    def _pending(self, runs: list[str]) -> Iterator[QueriedRun]:
        batch = RunBatch(self._catalog, runs, self._rows)
        for run in runs:
            entry = self._catalog.shadowing_entry(run)
            if entry is not None:
                yield PendingRun(run, batch, entry, self._catalog.is_active)

    def _batched(self, items: Iterator[_T]) -> Iterator[list[_T]]:
        size = self._limits.first_batch_runs
        while part := list(islice(items, size)):
            yield part
            size = self._limits.batch_runs


class _Resolver:
    """Replaces terms on structured properties with the runs that SQL finds for them."""

    def __init__(self, catalog: Catalog, snapshot: Snapshot) -> None:
        self._catalog = catalog
        self._snapshot = snapshot

    def resolve(self, hint: Hint) -> tuple[Hint | None, bool]:
        """The rest of the hint for the index (None if nothing is left), and whether it is equivalent to `hint`."""
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
        return frozenset(self._catalog.context.indexer.runs()).difference(self._snapshot.all_hashes())
