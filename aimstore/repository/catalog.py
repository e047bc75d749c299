"""`Catalog`: what is known of the runs of a repository, from the index, the metadata database and the runs' own containers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Final
from weakref import ReferenceType, ref

from aimstore.abc import Container
from aimstore.errors import RunNotFoundError, StorageError
from aimstore.index.entry import IndexEntry, pack
from aimstore.metadata import RunProperties, default_properties
from aimstore.process import shield, track_forks
from aimstore.repository import runs
from aimstore.repository.context import RepositoryContext
from aimstore.storage.layout import ATTRS, DELETED_KEY
from aimstore.storage.pool import ReaderPool
from aimstore.storage.tree import Tree
from aimstore.types import INDEX_PATH, TreePath, meta_path

if TYPE_CHECKING:
    from aimstore.repo import Repo

logger = logging.getLogger("aimstore")

_FACADE: Final = "aimstore.repo:repo_over"
"""The public class over a catalog. Named as text, like the factories of plug-ins, because no import goes upward."""

UNREADABLE: Final = "the index cannot be read, so every run is read instead; `aimstore reindex --rebuild` mends it: %s"


class CatalogHolder:
    """The base of public classes over a catalog, so that the layers below can take one without importing it."""

    _catalog: Catalog


class Catalog:
    """Reads what a repository holds, and keeps what it read for the next time.

    May be used from several threads, and in a forked child, where it reads everything anew.

    Attributes:
        context: of the repository.
    """

    def __init__(self, context: RepositoryContext) -> None:
        self.context = context
        self._facade: ReferenceType[Repo] | None = None
        self._forget_handles()
        track_forks(self)

    def _forget_handles(self) -> None:
        self._mutex = threading.Lock()
        self._pool: ReaderPool | None = None
        self._records: dict[str, tuple[str, IndexEntry]] = {}

    _after_fork_in_child = _forget_handles

    def facade(self) -> Repo:
        """The `Repo` over this catalog: the same object for as long as somebody holds it."""
        repo = None if self._facade is None else self._facade()
        return resolve_name(_FACADE)(self) if repo is None else repo

    def attach(self, facade: Repo) -> None:
        """Make `facade` the object that `facade` returns."""
        self._facade = ref(facade)

    def list_runs(self) -> list[str]:
        """Hashes of all runs, sorted."""
        return runs.list_runs(self.context.backend)

    def check_exists(self, run_hash: str) -> None:
        """Return if there is such a run; raises `RunNotFoundError`."""
        if not self.context.backend.exists(meta_path(run_hash)):
            raise RunNotFoundError(f"no run {run_hash} in {self.context.path}; `aimstore runs ls` lists the runs")

    def is_active(self, run_hash: str) -> bool:
        """Whether a process has the run open for writing."""
        return runs.writer_of(self.context.backend, run_hash) is not None

    def properties(self, run_hash: str) -> RunProperties:
        """The structured properties of a run; the defaults where the database has no row."""
        with shield:
            return self.context.database.get_run(run_hash) or default_properties(run_hash)

    def rows(self, runs: Collection[str]) -> dict[str, RunProperties]:
        """The structured properties of those of `runs` that have a row."""
        with shield:
            return self.context.database.runs(runs)

    def indexed(self, runs: Iterable[str] | None) -> Iterator[tuple[str, IndexEntry | None]]:
        """What the index says of `runs`, or of all it has; None for an entry that is damaged.

        Raises:
            StorageError: the index cannot be read.
        """
        for run, tree in self.context.indexer.trees(runs):
            yield run, None if tree is None else self._entry_of(run, tree)

    def index_is_whole(self) -> bool:
        """Whether the index is there and can be read; it then shows what is committed now."""
        indexer = self.context.indexer
        try:
            indexer.refresh()
            next(iter(indexer.runs()), None)
        except StorageError as error:
            logger.warning(UNREADABLE, error)
            return False
        return self.context.backend.exists(INDEX_PATH)

    def shadowing_entry(self, run_hash: str) -> IndexEntry | None:
        """The entry of a run from its own container; where that is gone or cannot be read, from the index."""
        try:
            return self.entry(run_hash)
        except RunNotFoundError:
            if self.context.backend.exists(meta_path(run_hash)):
                return None  # it is being deleted
        except StorageError as error:
            logger.warning(
                "run %s cannot be read; what the index says of it is shown, if anything: %s", run_hash, error
            )
        try:
            tree = self.context.indexer.tree(run_hash)
        except StorageError:
            return None
        return None if tree is None else self._entry_of(run_hash, tree)

    def entry(self, run_hash: str) -> IndexEntry:
        """What is known of a run, from its own meta container; decoded anew only when that has changed.

        Raises:
            RunNotFoundError: there is no such run, or it is being deleted.
            StorageError: it cannot be read.
        """
        version = self.context.backend.version(meta_path(run_hash))
        known = self._records.get(run_hash)
        if known is not None and known[0] == version:
            return known[1]
        with self.reading_meta(run_hash) as meta:
            tree = pack(meta)
        if not tree["props"]:  # written before anything else of a run
            raise RunNotFoundError(f"run {run_hash} in {self.context.path} has not begun")
        entry = self._entry_of(run_hash, tree)
        if version is not None:
            self._records[run_hash] = version, entry
            while len(self._records) > self.context.limits.reads.cached_entries:
                self._records.pop(next(iter(self._records)), None)
        return entry

    def _entry_of(self, run_hash: str, tree: Mapping[str, Any]) -> IndexEntry:
        return IndexEntry(run_hash, tree, partial(self._load_leaf, run_hash))

    def _load_leaf(self, run_hash: str, path: TreePath) -> Any:
        with self.reading_meta(run_hash) as meta:
            return Tree(meta, (ATTRS,))[path]  # objects stay as they are stored, as in the entry

    @contextmanager
    def reading_meta(self, run_hash: str) -> Iterator[Container]:
        """Lend the meta container of a run; raises `RunNotFoundError` where there is none, or it is being deleted."""
        try:
            with self.reading(meta_path(run_hash)) as meta:
                if meta.exists(DELETED_KEY):
                    raise RunNotFoundError(f"run {run_hash} in {self.context.path} is being deleted")
                yield meta
        except FileNotFoundError as error:
            raise RunNotFoundError(f"no run {run_hash} in {self.context.path}") from error

    def reading(self, path: str) -> AbstractContextManager[Container]:
        """Lend a container, open for reading, for the time of a `with` block."""
        return (self._pool or self._make_pool()).reading(path)

    def _make_pool(self) -> ReaderPool:
        with self._mutex:
            if self._pool is None:
                self._pool = ReaderPool(self.context.backend)
            return self._pool

    def close(self) -> None:
        """Release what is open for reading; it is opened again when it is needed."""
        if self._pool is not None:
            self._pool.close()
        self._forget_handles()
        self.context.close()
