"""What is known of the runs of a repository: from the index, the metadata database, and the runs' own containers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property, partial
from typing import Any, Final

from aimstore.abc import Container
from aimstore.errors import RunNotFoundError, StorageError
from aimstore.index.record import RunRecord, pack
from aimstore.lifecycle import shield
from aimstore.metadata import RunProperties, from_microseconds
from aimstore.sequences.drainer import drain_all
from aimstore.session import Parts
from aimstore.storage.layout import DELETED_KEY, NUMBER, SequenceInfo, attributes
from aimstore.storage.pool import ReaderPool
from aimstore.types import INDEX_PATH, META_PREFIX, TreePath, meta_path

logger = logging.getLogger("aimstore")

MAX_RECORDS: Final = 2000
"""Decoded records of unfinished runs that are kept for the next query."""

UNREADABLE: Final = "the index cannot be read, every run is; `aimstore reindex --rebuild` mends it: %s"


class RunSource:
    """One run as a query sees it.

    Attributes:
        record: what the index or the run's meta container says.
        row: what the metadata database says.
        active: tells whether some process writes it.
    """

    def __init__(self, record: RunRecord, row: RunProperties, active: Callable[[], bool]) -> None:
        self.record = record
        self.row = row
        self.active = active

    @property
    def final(self) -> bool:
        """Nobody writes the run, nor will its indexing change what is known of it."""
        return self.active is _inactive

    @property
    def hash(self) -> str:
        return self.record.hash

    @property
    def attributes(self) -> Mapping[str, Any]:
        return self.record.attributes  # type: ignore[no-any-return]

    @cached_property
    def metrics(self) -> list[SequenceInfo]:
        """The sequences of numbers."""
        return [info for info in self.record.sequences if info.kind == NUMBER]

    @cached_property
    def properties(self) -> Mapping[str, Any]:
        """The structured properties by the names of the query language."""
        row, active = self.row, self.active()
        created, finalized = from_microseconds(row.created_at), from_microseconds(row.finalized_at)
        return {
            "name": row.name,
            "experiment": row.experiment,
            "description": row.description,
            "tags": row.tags,
            "archived": row.archived,
            "created_at": created,
            "finalized_at": None if active else finalized,
            "active": active,
            "duration": None if active or not (created and finalized) else (finalized - created).total_seconds(),
        }


class Catalog:
    """Reads what a repository holds, and keeps what it read for the next time. May be used from several threads."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pool = ReaderPool(parts.backend)
        self._records: dict[str, tuple[str, RunRecord]] = {}

    def list_runs(self) -> list[str]:
        """Hashes of all runs, sorted."""
        return [path.removeprefix(META_PREFIX) for path in self._parts.backend.list(META_PREFIX)]

    def check_exists(self, run: str) -> None:
        """Return if there is such a run; raises `RunNotFoundError`."""
        if not self._parts.backend.exists(meta_path(run)):
            raise RunNotFoundError(f"no run {run} in {self._parts.path}; `aimstore runs ls` shows those there are")

    def is_active(self, run: str) -> bool:
        """Whether some process has the run open for writing."""
        owner = self._parts.backend.lock_owner(meta_path(run))
        return owner is not None and not owner.brief

    def properties(self, run: str) -> RunProperties:
        """The structured properties of a run; the defaults where the database has no row."""
        with shield:
            return self._parts.database.get_run(run) or default_properties(run)

    def sources(self) -> Iterator[RunSource]:
        """What queries are asked of: every run once, from the index, or from its own container where that may be newer.

        The markers are listed first, and the index read after them: a run that is finalized in between is seen by both.
        """
        drain_all()
        parts = self._parts
        marked = parts.backend.marked("meta/")
        own = {path.removeprefix(META_PREFIX) for path in marked if path.startswith(META_PREFIX)}
        complete = self.index_is_whole() and INDEX_PATH not in marked
        if not complete:
            own.update(self.list_runs())
        with shield:
            rows = parts.database.all_runs()
        given: set[str] = set()
        try:
            for run, tree in parts.indexer.trees() if complete else ():
                if tree is None:
                    own.add(run)
                elif run not in own:
                    given.add(run)
                    yield RunSource(self._record_of(run, tree), rows.get(run) or default_properties(run), _inactive)
        except StorageError as error:
            logger.warning(UNREADABLE, error)
            own.update(set(self.list_runs()) - given)
        for run in sorted(own):
            record = self._shadowing_record(run)
            if record is not None:
                row = rows.get(run) or default_properties(run)
                yield RunSource(record, row, partial(self.is_active, run))

    def index_is_whole(self) -> bool:
        """Whether the index is there and can be read; it then shows what is committed now."""
        indexer = self._parts.indexer
        try:
            indexer.refresh()
            next(iter(indexer.runs()), None)
        except StorageError as error:
            logger.warning(UNREADABLE, error)
            return False
        return self._parts.backend.exists(INDEX_PATH)

    def _shadowing_record(self, run: str) -> RunRecord | None:
        """The record of a run from its own container; where that is gone or cannot be read, from the index."""
        try:
            return self.record(run)
        except RunNotFoundError:
            if self._parts.backend.exists(meta_path(run)):
                return None  # it is being deleted
        except StorageError as error:
            logger.warning("run %s cannot be read; what the index says of it is shown, if anything: %s", run, error)
        try:
            tree = self._parts.indexer.tree(run)
        except StorageError:
            return None
        return None if tree is None else self._record_of(run, tree)

    def record(self, run: str) -> RunRecord:
        """What is known of a run, from its own meta container; decoded anew only when that has changed.

        Raises:
            RunNotFoundError: there is no such run, or it is being deleted.
            StorageError: it cannot be read.
        """
        version = self._parts.backend.version(meta_path(run))
        known = self._records.get(run)
        if known is not None and known[0] == version:
            return known[1]
        with self.reading_meta(run) as meta:
            tree = pack(meta)
        if not tree["props"]:  # written before anything else of a run
            raise RunNotFoundError(f"run {run} in {self._parts.path} has not begun")
        record = self._record_of(run, tree)
        if version is not None:
            self._records[run] = version, record
            while len(self._records) > MAX_RECORDS:
                self._records.pop(next(iter(self._records)), None)
        return record

    def _record_of(self, run: str, tree: Mapping[str, Any]) -> RunRecord:
        return RunRecord(run, tree, partial(self._load_leaf, run))

    def _load_leaf(self, run: str, path: TreePath) -> Any:
        with self.reading_meta(run) as meta:
            return attributes(meta)[path]

    @contextmanager
    def reading_meta(self, run: str) -> Iterator[Container]:
        """Lend the meta container of a run; raises `RunNotFoundError` where there is none, or it is being deleted."""
        try:
            with self.reading(meta_path(run)) as meta:
                if meta.exists(DELETED_KEY):
                    raise RunNotFoundError(f"run {run} in {self._parts.path} is being deleted")
                yield meta
        except FileNotFoundError as error:
            raise RunNotFoundError(f"no run {run} in {self._parts.path}") from error

    def reading(self, path: str) -> AbstractContextManager[Container]:
        """Lend a container, open for reading, for the time of a `with` block."""
        return self._pool.reading(path)

    def close(self) -> None:
        """Release what is open for reading."""
        self._pool.close()


def default_properties(run: str) -> RunProperties:
    """The structured properties of a run of which the metadata database says nothing."""
    return RunProperties(run, name=f"Run: {run}", experiment="default")


def _inactive() -> bool:
    return False
