"""`Catalog`: reads the runs of a repository from the index, the metadata database and the runs' own containers."""

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
"""The public class over a catalog. It is a text reference, as in specs, because imports never go upward."""

UNREADABLE: Final = "the index cannot be read, so every run is read instead; `aimstore reindex --rebuild` mends it: %s"


class CatalogHolder:
    """The base of public classes over a catalog. It lets the layers below accept them without importing them."""

    _catalog: Catalog


class Catalog:
    """Reads the content of a repository, and caches it.

    Several threads may use a catalog. A forked child may use it too, and reads everything again.

    Attributes:
        context: the opened parts of the repository.
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
        """The `Repo` over this catalog: the same object for as long as a reference to it exists."""
        repo = None if self._facade is None else self._facade()
        return resolve_name(_FACADE)(self) if repo is None else repo

    def attach(self, facade: Repo) -> None:
        """Register `facade` as the object that the method `facade` returns."""
        self._facade = ref(facade)

    def list_runs(self) -> list[str]:
        """Hashes of all runs, sorted."""
        return runs.list_runs(self.context.backend)

    def check_exists(self, run_hash: str) -> None:
        """Return if the run exists; else raise `RunNotFoundError`."""
        if not self.context.backend.exists(meta_path(run_hash)):
            raise RunNotFoundError(f"no run {run_hash} in {self.context.path}; `aimstore runs ls` lists the runs")

    def is_active(self, run_hash: str) -> bool:
        """Whether a process has the run open for writing."""
        return runs.writer_of(self.context.backend, run_hash) is not None

    def properties(self, run_hash: str) -> RunProperties:
        """The structured properties of a run; the defaults if the database has no row for it."""
        with shield:
            return self.context.database.get_run(run_hash) or default_properties(run_hash)

    def rows(self, runs: Collection[str]) -> dict[str, RunProperties]:
        """The structured properties of those of `runs` that have a row."""
        with shield:
            return self.context.database.runs(runs)

    def indexed(self, runs: Iterable[str] | None) -> Iterator[tuple[str, IndexEntry | None]]:
        """The index entries of `runs`, or of all indexed runs; None for a damaged entry.

        Raises:
            StorageError: the index cannot be read.
        """
        for run, tree in self.context.indexer.trees(runs):
            yield run, None if tree is None else self._entry_of(run, tree)

    def index_is_whole(self) -> bool:
        """Whether the index exists and can be read. This call also makes the latest commits visible."""
        indexer = self.context.indexer
        try:
            indexer.refresh()
            next(iter(indexer.runs()), None)
        except StorageError as error:
            logger.warning(UNREADABLE, error)
            return False
        return self.context.backend.exists(INDEX_PATH)

    def shadowing_entry(self, run_hash: str) -> IndexEntry | None:
        """The entry of a run from its own container, or from the index if the container is gone or unreadable."""
        try:
            return self.entry(run_hash)
        except RunNotFoundError:
            if self.context.backend.exists(meta_path(run_hash)):
                return None  # the run is being deleted
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
        """The entry of a run from its own meta container; it is decoded again only if the container has changed.

        Raises:
            RunNotFoundError: the run does not exist, or it is being deleted.
            StorageError: the container cannot be read.
        """
        version = self.context.backend.version(meta_path(run_hash))
        known = self._records.get(run_hash)
        if known is not None and known[0] == version:
            return known[1]
        with self.reading_meta(run_hash) as meta:
            tree = pack(meta)
        if not tree["props"]:  # the properties are the first thing written of a run
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
            return Tree(meta, (ATTRS,))[path]  # objects keep their stored form, as in the entry

    @contextmanager
    def reading_meta(self, run_hash: str) -> Iterator[Container]:
        """Lend the meta container of a run. Raises `RunNotFoundError` if the run does not exist or is being deleted."""
        try:
            with self.reading(meta_path(run_hash)) as meta:
                if meta.exists(DELETED_KEY):
                    raise RunNotFoundError(f"run {run_hash} in {self.context.path} is being deleted")
                yield meta
        except FileNotFoundError as error:
            raise RunNotFoundError(f"no run {run_hash} in {self.context.path}") from error

    def reading(self, path: str) -> AbstractContextManager[Container]:
        """Lend a container, open for reading, during a `with` block."""
        return (self._pool or self._make_pool()).reading(path)

    def _make_pool(self) -> ReaderPool:
        with self._mutex:
            if self._pool is None:
                self._pool = ReaderPool(self.context.backend)
            return self._pool

    def close(self) -> None:
        """Release everything open for reading; it is opened again when needed."""
        if self._pool is not None:
            self._pool.close()
        self._forget_handles()
        self.context.close()
