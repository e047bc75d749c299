"""`QueriedRun`: a run as a query sees it; it reads only what the query needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from aimstore.encoding.moments import from_microseconds
from aimstore.index.entry import IndexEntry
from aimstore.metadata import RunProperties, default_properties
from aimstore.repository.catalog import Catalog
from aimstore.repository.properties import duration_of, end_of
from aimstore.storage.layout import NUMBER, SequenceInfo


class RunBatch:
    """Runs that are read together: data requested of one run is read for all."""

    def __init__(
        self, catalog: Catalog, runs: Collection[str], rows: Mapping[str, RunProperties] | None = None
    ) -> None:
        """`rows`: the structured properties by run hash, if they are already known."""
        self._catalog = catalog
        self._runs = runs
        if rows is not None:
            self.rows = rows

    @cached_property
    def rows(self) -> Mapping[str, RunProperties]:
        """The structured properties of the runs that have a row in the metadata database."""
        return self._catalog.rows(self._runs)

    @cached_property
    def _entries(self) -> dict[str, IndexEntry]:
        return {run: entry for run, entry in self._catalog.indexed(self._runs) if entry is not None}

    def entry(self, run_hash: str) -> IndexEntry:
        """The index entry of a run, or its entry from its own meta container if it is not indexed."""
        return self._entries.get(run_hash) or self._catalog.entry(run_hash)


class QueriedRun:
    """A finalized run as a query sees it.

    Attributes:
        hash: the run hash.
        is_match: the index has answered the whole query, and the run matches.
    """

    def __init__(self, run_hash: str, batch: RunBatch, entry: IndexEntry | None = None) -> None:
        self.hash = run_hash
        self.is_match = entry is None
        self._batch = batch
        self._entry = entry

    @property
    def is_final(self) -> bool:
        """Whether the data of the run can no longer change: no process is writing it, and it is indexed."""
        return True

    @property
    def active(self) -> bool:
        """Whether a process is writing the run."""
        return False

    @property
    def entry(self) -> IndexEntry:
        """The run's entry, from the index or from its meta container."""
        if self._entry is None:
            self._entry = self._batch.entry(self.hash)
        return self._entry

    @property
    def row(self) -> RunProperties:
        """The run's structured properties from the metadata database."""
        return self._batch.rows.get(self.hash) or default_properties(self.hash)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The run's tree of parameters."""
        return self.entry.attributes  # type: ignore[no-any-return]

    @cached_property
    def metrics(self) -> list[SequenceInfo]:
        """The sequences of numbers."""
        return [info for info in self.entry.sequences if info.kind == NUMBER]

    @cached_property
    def properties(self) -> Mapping[str, Any]:
        """The structured properties by their names in the query language, each computed on access."""
        return _Properties(self)


class PendingRun(QueriedRun):
    """A run that has a progress marker or is missing from the index: it is read from its own container."""

    def __init__(self, run_hash: str, batch: RunBatch, entry: IndexEntry, is_active: Callable[[str], bool]) -> None:
        super().__init__(run_hash, batch, entry)
        self._is_active = is_active

    @property
    def is_final(self) -> bool:
        return False

    @property
    def active(self) -> bool:
        return self._is_active(self.hash)


class _Properties(Mapping[str, Any]):
    def __init__(self, run: QueriedRun) -> None:
        self._run = run
        self._row = run.row

    @cached_property
    def active(self) -> bool:
        return self._run.active

    @property
    def created_at(self) -> datetime | None:
        return from_microseconds(self._row.created_at)

    @property
    def finalized_at(self) -> datetime | None:
        return end_of(self._row, active=self.active)

    @property
    def duration(self) -> float | None:
        return duration_of(self._row, active=self.active)

    def __getitem__(self, name: str) -> Any:
        if name in _STORED:
            return getattr(self._row, name)
        if name in _DERIVED:
            return getattr(self, name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        yield from _STORED
        yield from _DERIVED

    def __len__(self) -> int:
        return len(_STORED) + len(_DERIVED)


_STORED: Final = ("name", "experiment", "description", "tags", "archived")
_DERIVED: Final = ("created_at", "finalized_at", "active", "duration")
