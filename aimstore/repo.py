"""`Repo`: one repository, put together from its configuration. Long because it is one public class, most of it docstrings."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final
from weakref import WeakValueDictionary

from aimstore.abc import Mode, Query, Subject, WriteBatch
from aimstore.catalog import Catalog
from aimstore.config import RepoConfig
from aimstore.errors import (
    ConfigError,
    LockedError,
    PluginError,
    RepositoryNotFoundError,
)
from aimstore.forking import track_forks
from aimstore.indexing import INTERVAL, BackgroundIndexer
from aimstore.lifecycle import shield
from aimstore.locate import CONFIG, create, directory_of, find, is_empty, read_own_config
from aimstore.maintenance import Advance, ReindexReport, delete, reindex
from aimstore.metadata import open_store
from aimstore.plugins import plugins
from aimstore.results import MetricResults, OnError, RunResults, SequenceResults, Window
from aimstore.run import Run
from aimstore.selection import Question, RunSource, Selection
from aimstore.session import Parts, lock_run, marked_runs, put_properties
from aimstore.transfer import copy_run, move_run
from aimstore.types import INDEX_PATH, META_PREFIX, check_run_hash, meta_path, seqs_path

logger = logging.getLogger("aimstore")

DATABASE: Final = "run_metadata.sqlite"

_shared: WeakValueDictionary[Path, Repo] = WeakValueDictionary()
_shared_lock = threading.Lock()


class Repo:
    """A collection of runs that behaves as one big tree.

        repo = Repo.init("path")          # make one, or open the one that is there
        repo = Repo("path")               # open
        for run in repo.query_runs("run.hparams.lr < 0.01"): ...

    Opening reads the configuration and nothing else; the rest is opened when it is needed. May be used from several threads,
    and in a forked child, where it opens everything anew.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, init: bool = False) -> None:
        """
        Args:
            path: the folder that holds `.aim`, or the `.aim` directory itself; None for the nearest one from the working
                directory upward.
            init: make the repository where there is none.

        Raises:
            RepositoryNotFoundError: there is none.
            RepositoryError: the `.aim` directory is of another program, Aim itself perhaps; it is left untouched.
            ConfigError: its configuration is broken, from a newer version, or names what is not installed.
        """
        directory = directory_of(path or ".") if init else find(path)
        if init and is_empty(directory):
            create(directory, RepoConfig())
        self.path = directory
        self.config = read_own_config(directory)
        self._identity = _identity(directory)
        try:
            _check_settings(self.config)
        except (ConfigError, PluginError) as error:
            raise ConfigError(f"{directory / CONFIG}: {error}") from error
        self._forget_handles()
        track_forks(self)

    @classmethod
    def init(
        cls,
        path: str | os.PathLike[str] = ".",
        *,
        backend: str | None = None,
        options: Mapping[str, Any] | None = None,
        metadata_url: str | None = None,
    ) -> Repo:
        """Make a repository in the folder `path`, or open the one that is there.

        Args:
            path: the folder that is to hold `.aim`, made where it is missing.
            backend: name of the storage engine; None is RocksDB.
            options: of the engine.
            metadata_url: SQLAlchemy URL of the metadata database; None is an SQLite file in the repository.

        Raises:
            ConfigError: there is one already, with other settings than those given; or the settings are no good.
            RepositoryError: as for `Repo`.
        """
        if options is not None and not isinstance(options, Mapping):
            raise ConfigError(f"options of an engine are a dict of values by name, not {options!r:.80}")
        directory = directory_of(path)
        given = {"backend": backend, "options": dict(options) if options else None, "metadata_url": metadata_url}
        given = {key: value for key, value in given.items() if value is not None}
        if is_empty(directory):
            config = RepoConfig(**given)  # type: ignore[arg-type]
            _check_settings(config)
            manager = plugins()
            manager.make_backend(manager.backend(config.backend), directory, config.options).close()
            create(directory, config)
        repo = cls(directory)
        for key, value in given.items():
            if getattr(repo.config, key) != value:
                raise ConfigError(
                    f"{directory} is there already, with {key} {getattr(repo.config, key)!r} instead of {value!r}; "
                    f"`aimstore config` shows its settings"
                )
        with shield:
            repo.parts.database.ensure_schema()
        return repo

    @classmethod
    def of(cls, path: str | os.PathLike[str] | None, *, create: bool = True) -> Repo:
        """The repository of a path, shared with all others in this process who asked for it.

        Args:
            path: see `Repo`. With `create`, None makes one in the working directory where there is none upward.
            create: make it where there is none.
        """
        try:
            directory = find(path)
        except RepositoryNotFoundError:
            if not create:
                raise
            directory = cls.init(path or ".").path
        with shield, _shared_lock:
            known = _shared.get(directory)
            if known is None or known._identity != _identity(directory):
                known = _shared[directory] = cls(directory)
            return known

    # The parts

    def _forget_handles(self) -> None:
        self._mutex = threading.RLock()
        self._parts: Parts | None = None
        self._catalog: Catalog | None = None
        self._indexer: BackgroundIndexer | None = None

    @property
    def parts(self) -> Parts:
        """The backend, indexer and database, opened on first use."""
        with shield, self._mutex:
            if self._parts is None:
                manager = plugins()
                backend = manager.make_backend(manager.backend(self.config.backend), self.path, self.config.options)
                indexer = manager.make_indexer(manager.indexer(self.config.indexer), backend)
                url = self.config.metadata_url or self.path / DATABASE
                open_database = partial(open_store, url, lock=partial(backend.lock, "meta/database", timeout=60.0))
                self._parts = Parts(os.fspath(self.path), backend, indexer, open_database)
            return self._parts

    @property
    def catalog(self) -> Catalog:
        """What is known of the runs."""
        with self._mutex:
            if self._catalog is None:
                self._catalog = Catalog(self.parts)
            return self._catalog

    @cached_property
    def query_engine(self) -> Query:
        """What compiles query expressions."""
        manager = plugins()
        return manager.make_query_engine(manager.query_engine(self.config.query))

    def _after_fork_in_child(self) -> None:
        self._forget_handles()

    # Runs

    def list_runs(self) -> list[str]:
        """Hashes of all runs, sorted."""
        return self.catalog.list_runs()

    def iter_runs(self) -> Iterator[Run]:
        """All runs, archived ones too, to be read."""
        return (self.run_of(source) for source in self.sources())

    def get_run(self, run_hash: str) -> Run:
        """A run, to be read. `Run(run_hash, repo=…)` opens it for writing.

        Raises:
            InvalidRunHashError, RunNotFoundError: `run_hash` is not one, or there is no such run.
        """
        self.catalog.check_exists(check_run_hash(run_hash))
        return Run._reading(self, run_hash)

    def delete_run(self, run_hash: str) -> None:
        """Remove a run and all that is known of it. A crash in the middle leaves a run that nobody sees, and that the next
        `reindex` removes.

        Raises:
            InvalidRunHashError, RunNotFoundError: `run_hash` is not one, or there is no such run.
            LockedError: somebody writes it, with who has it since when.
        """
        check_run_hash(run_hash)
        with shield, lock_run(self.parts.backend, run_hash, brief=True) as lock:
            self.catalog.check_exists(run_hash)
            delete(self.parts, run_hash, lock)

    def copy_run(self, run_hash: str, destination: Repo, *, new_hash: bool = False) -> str:
        """Copy a run into another repository, whose engine may be another one, and return the hash of the copy.

        Its parameters, sequences, structured properties and notes are copied as they are, read back, compared and indexed. A
        run whose process died stays one that `reindex` is to finalize. Until all is done nobody sees the copy; what a crash
        leaves of it, the next `reindex` of the destination removes.

        Args:
            run_hash: of a run that nobody writes.
            destination: another repository; or this one, with `new_hash`.
            new_hash: give the copy a hash of its own.

        Raises:
            InvalidRunHashError, RunNotFoundError: `run_hash` is not one, or there is no such run.
            LockedError: somebody writes it, with who has it since when.
            RepositoryError: the destination has a run of that hash already.
            UnsupportedError: a key is too long for the destination's engine.
            CorruptionError: the run cannot be read, or the copy did not read back as it was written.
        """
        self.catalog.check_exists(check_run_hash(run_hash))
        return copy_run(self.parts, destination.parts, run_hash, new_hash=new_hash)

    def move_run(self, run_hash: str, destination: Repo) -> None:
        """Copy a run into another repository, as `copy_run` does, and then delete it here.

        A crash in between leaves it in both; moving it again then deletes it here, if both are still the same. Errors as
        `copy_run`; the run is still here then.
        """
        self.catalog.check_exists(check_run_hash(run_hash))
        move_run(self.parts, destination.parts, run_hash)

    def mirror(self, run: str) -> None:
        """Repeat the properties of a run in its meta container, unless a writer has it open, who does so at its end."""
        backend = self.parts.backend
        with (
            contextlib.suppress(LockedError),
            shield,
            lock_run(backend, run, brief=True) as lock,
            backend.open(meta_path(run), Mode.WRITE, lock=lock) as meta,
        ):
            batch = WriteBatch()
            put_properties(batch, self.catalog.properties(run))
            meta.write(batch)

    # Queries

    def query_runs(
        self,
        expression: str = "",
        *,
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        on_error: OnError = "count",
    ) -> RunResults:
        """Runs for which a query is true, found while one iterates.

        Args:
            expression: a Python expression over `run`, such as `"run.hparams.lr < 0.01 and run.experiment == 'baseline'"`; ""
                is every run. Archived runs are left out unless it mentions `run.archived`.
            order_by: an attribute, such as `"run.created_at desc"`, or several with commas between them. Those without it come
                last, those with the same are ordered by their hash. None is no particular order.
            limit: at most so many. Without `order_by` the search ends with the last of them.
            offset: so many of the first are left out.
            on_error: what happens where the expression or the order raises for a run: "count" reports the number at the end,
                "raise" raises.

        Raises:
            QuerySyntaxError: it is not a query, or the order is none, with the place.
            QueryRuntimeError: while iterating, with `on_error="raise"`.
            TypeError, ValueError: `limit` or `offset` is not an int of 0 or more.
        """
        window = self._window("run", order_by, offset, limit)
        return RunResults(self, self.query_engine.compile(expression, "run"), on_error, window)

    def query_metrics(
        self,
        expression: str = "",
        *,
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        on_error: OnError = "count",
    ) -> MetricResults:
        """Metrics for which a query is true, such as `"metric.name == 'loss' and metric.last < 0.1"`, by an order such as
        `"metric.last"`; else as `query_runs`."""
        window = self._window("metric", order_by, offset, limit)
        return MetricResults(self, self.query_engine.compile(expression, "metric"), on_error, window)

    def query_sequences(
        self,
        expression: str = "",
        *,
        kind: str | None = None,
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        on_error: OnError = "count",
    ) -> SequenceResults:
        """Sequences for which a query is true, such as `"sequence.name == 'samples' and sequence.count > 5"`.

        Args:
            expression: over `run` and `sequence`, which has what `metric` has, and `kind`; else as for `query_runs`.
            kind: only sequences of this kind: "number", "text", "bytes", "array", "record", or the name of a record type such as
                "image"; None is all.
            order_by, limit, offset, on_error: as for `query_runs`.
        """
        window = self._window("sequence", order_by, offset, limit)
        return SequenceResults(self, self.query_engine.compile(expression, "sequence"), on_error, window, kind)

    def _window(self, subject: Subject, order_by: str | None, offset: int, limit: int | None) -> Window:
        order = None if order_by is None else self.query_engine.order(order_by, subject)
        return Window(order, offset, limit)

    def sources(self) -> Iterator[RunSource]:
        """What queries are asked of: every run once, archived ones too."""
        return iter(self.select(Question()))

    def select(self, question: Question) -> Selection:
        """The runs that a question is put to."""
        return Selection(self.catalog, question)

    def run_of(self, source: RunSource) -> Run:
        """A run to be read, with what a query knows of it; one that may be changing is read afresh each time."""
        return Run._reading(self, source.hash, source if source.final else None)

    # Care

    def reindex(
        self, run: str | None = None, *, rebuild: bool = False, advance: Advance | None = None
    ) -> ReindexReport:
        """Finalize the runs whose process died without doing so, and index them. Live runs, known by their lock, are left alone.

        Args:
            run: only this one, whether or not it needs it.
            rebuild: all runs, from nothing; also mends an index that is damaged or was deleted.
            advance: called with the number of runs done and that of all.

        Raises:
            InvalidRunHashError, RunNotFoundError: `run` is not a run hash, or there is no such run.
        """
        if run is not None and meta_path(check_run_hash(run)) not in self.parts.backend.marked(META_PREFIX):
            self.catalog.check_exists(run)
        return reindex(self.parts, run, rebuild=rebuild, advance=advance)

    def start_indexer(self, interval: float = INTERVAL) -> BackgroundIndexer:
        """Index, in a thread of this process, the runs whose process dies without ending them, as `reindex` does, but one at a
        time, and after all others who want to use the index.

            with repo.start_indexer():
                ...

        It runs until its `stop()`, the end of the `with` block, `close()` of this repository, or the end of the process. There is
        one of a `Repo`: where it runs already, that one is returned. Those of several processes share the work.

        Args:
            interval: seconds between two looks at the progress markers; it grows while there is nothing to do.
        """
        with shield, self._mutex:
            if self._indexer is None or not self._indexer.running:
                self._indexer = BackgroundIndexer(self.parts, interval)
                self._indexer.start()
            return self._indexer

    def status(self) -> RepoStatus:
        """Counts of runs by state, and where and how they are stored."""
        backend = self.parts.backend
        runs = self.list_runs()
        marked = marked_runs(backend)
        active = [run for run in marked if self.catalog.is_active(run)]
        return RepoStatus(
            path=os.fspath(self.path),
            backend=self.config.backend,
            runs=len(runs),
            active=active,
            stalled=sorted(set(marked).difference(active)),
            indexed=sum(1 for _ in self.parts.indexer.runs()) if self.catalog.index_is_whole() else 0,
            nbytes=backend.size(INDEX_PATH)
            + sum(backend.size(meta_path(run)) + backend.size(seqs_path(run)) for run in runs),
        )

    def close(self) -> None:
        """Release what is open for reading, and stop the indexer. Runs that are being written stay open; a later use opens again
        what it needs."""
        indexer = self._indexer
        if indexer is not None:
            indexer.stop()
        with self._mutex:
            if self._catalog is not None:
                self._catalog.close()
            if self._parts is not None:
                self._parts.close()
            self._forget_handles()

    def __repr__(self) -> str:
        return f"<Repo {os.fspath(self.path)!r} ({self.config.backend})>"


@dataclass(frozen=True)
class RepoStatus:
    """State of a repository.

    Attributes:
        path: the `.aim` directory.
        backend: name of the storage engine.
        runs: number of runs.
        active: hashes of those that some process writes.
        stalled: hashes of those whose process died; `reindex` finalizes them.
        indexed: number of records in the index.
        nbytes: bytes of all containers.
    """

    path: str
    backend: str
    runs: int
    active: list[str]
    stalled: list[str]
    indexed: int
    nbytes: int


def _check_settings(config: RepoConfig) -> None:
    """Return if there are plug-ins of those names, the engine's library is installed, and it takes those options."""
    manager = plugins()
    backend = manager.backend(config.backend)
    options = manager.load_options(backend)
    if options is not None:
        options.parse(config.options)
    manager.load(backend)
    manager.indexer(config.indexer)
    manager.query_engine(config.query)


def _identity(directory: Path) -> tuple[int, int] | None:
    """Tells a repository from another one made later at the same place."""
    try:
        stat = (directory / CONFIG).stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns
