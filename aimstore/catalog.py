"""What is known of the runs of a repository: from the index, the metadata database, and the runs' own containers."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

from aimstore.abc import Container
from aimstore.errors import RunNotFoundError, StorageError
from aimstore.index.record import RunRecord, pack
from aimstore.lifecycle import shield
from aimstore.metadata import RunProperties, default_properties
from aimstore.session import Parts
from aimstore.storage.layout import ATTRS, DELETED_KEY
from aimstore.storage.pool import ReaderPool
from aimstore.storage.tree import Tree
from aimstore.types import INDEX_PATH, META_PREFIX, TreePath, meta_path

logger = logging.getLogger("aimstore")

MAX_RECORDS: Final = 2000
"""Decoded records of unfinished runs that are kept for the next query."""

UNREADABLE: Final = "the index cannot be read, every run is; `aimstore reindex --rebuild` mends it: %s"


class Catalog:
    """Reads what a repository holds, and keeps what it read for the next time. May be used from several threads.

    Attributes:
        parts: of the repository.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._pool = ReaderPool(parts.backend)
        self._records: dict[str, tuple[str, RunRecord]] = {}

    def list_runs(self) -> list[str]:
        """Hashes of all runs, sorted."""
        return [path.removeprefix(META_PREFIX) for path in self.parts.backend.list(META_PREFIX)]

    def check_exists(self, run: str) -> None:
        """Return if there is such a run; raises `RunNotFoundError`."""
        if not self.parts.backend.exists(meta_path(run)):
            raise RunNotFoundError(f"no run {run} in {self.parts.path}; `aimstore runs ls` shows those there are")

    def is_active(self, run: str) -> bool:
        """Whether some process has the run open for writing."""
        owner = self.parts.backend.lock_owner(meta_path(run))
        return owner is not None and not owner.brief

    def properties(self, run: str) -> RunProperties:
        """The structured properties of a run; the defaults where the database has no row."""
        with shield:
            return self.parts.database.get_run(run) or default_properties(run)

    def rows(self, runs: Collection[str]) -> dict[str, RunProperties]:
        """The structured properties of those of `runs` that have a row."""
        with shield:
            return self.parts.database.runs(runs)

    def indexed(self, runs: Iterable[str] | None) -> Iterator[tuple[str, RunRecord | None]]:
        """What the index says of `runs`, or of all it has; None for a record that is damaged.

        Raises:
            StorageError: the index cannot be read.
        """
        for run, tree in self.parts.indexer.trees(runs):
            yield run, None if tree is None else self._record_of(run, tree)

    def index_is_whole(self) -> bool:
        """Whether the index is there and can be read; it then shows what is committed now."""
        indexer = self.parts.indexer
        try:
            indexer.refresh()
            next(iter(indexer.runs()), None)
        except StorageError as error:
            logger.warning(UNREADABLE, error)
            return False
        return self.parts.backend.exists(INDEX_PATH)

    def shadowing_record(self, run: str) -> RunRecord | None:
        """The record of a run from its own container; where that is gone or cannot be read, from the index."""
        try:
            return self.record(run)
        except RunNotFoundError:
            if self.parts.backend.exists(meta_path(run)):
                return None  # it is being deleted
        except StorageError as error:
            logger.warning("run %s cannot be read; what the index says of it is shown, if anything: %s", run, error)
        try:
            tree = self.parts.indexer.tree(run)
        except StorageError:
            return None
        return None if tree is None else self._record_of(run, tree)

    def record(self, run: str) -> RunRecord:
        """What is known of a run, from its own meta container; decoded anew only when that has changed.

        Raises:
            RunNotFoundError: there is no such run, or it is being deleted.
            StorageError: it cannot be read.
        """
        version = self.parts.backend.version(meta_path(run))
        known = self._records.get(run)
        if known is not None and known[0] == version:
            return known[1]
        with self.reading_meta(run) as meta:
            tree = pack(meta)
        if not tree["props"]:  # written before anything else of a run
            raise RunNotFoundError(f"run {run} in {self.parts.path} has not begun")
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
            return Tree(meta, (ATTRS,))[path]  # objects stay as they are stored, as in the packed record

    @contextmanager
    def reading_meta(self, run: str) -> Iterator[Container]:
        """Lend the meta container of a run; raises `RunNotFoundError` where there is none, or it is being deleted."""
        try:
            with self.reading(meta_path(run)) as meta:
                if meta.exists(DELETED_KEY):
                    raise RunNotFoundError(f"run {run} in {self.parts.path} is being deleted")
                yield meta
        except FileNotFoundError as error:
            raise RunNotFoundError(f"no run {run} in {self.parts.path}") from error

    def reading(self, path: str) -> AbstractContextManager[Container]:
        """Lend a container, open for reading, for the time of a `with` block."""
        return self._pool.reading(path)

    def close(self) -> None:
        """Release what is open for reading."""
        self._pool.close()
