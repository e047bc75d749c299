"""`Repo`: the public interface of one repository."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aimstore.abc import CompiledQuery, Subject
from aimstore.process import shield, track_forks
from aimstore.repository.background import BackgroundIndexer, IndexerTiming
from aimstore.repository.catalog import Catalog, CatalogHolder
from aimstore.repository.deletion import delete_run
from aimstore.repository.location import directory_of, is_empty
from aimstore.repository.opening import init_repository, open_repository, shared_repository
from aimstore.repository.reindex import Advance, ReindexReport, reindex
from aimstore.repository.runs import lock_run, marked_runs
from aimstore.repository.selection import Pushdown, Selection
from aimstore.repository.transfer import copy_run, move_run
from aimstore.results import MetricResults, OnError, RunResults, SequenceResults, Window
from aimstore.run import Run, queried_run, reading_run
from aimstore.types import INDEX_PATH, check_run_hash, meta_path, seqs_path

if TYPE_CHECKING:
    from aimstore.config import RepoConfig
    from aimstore.repository.conversion import ConversionReport, Progress

INTERVAL = IndexerTiming().interval


class Repo(CatalogHolder):
    """A collection of runs that behaves as one big tree.

        repo = Repo.init("path")          # make a repository, or open the one that is there
        repo = Repo("path")               # open
        for run in repo.query_runs("run.hparams.lr < 0.01"): ...

    Opening reads the configuration and nothing else; the rest is opened when it is needed. May be used from several
    threads, and in a forked child, where it opens everything anew.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, init: bool = False) -> None:
        """
        Args:
            path: the folder that holds `.aim`, or the `.aim` directory itself; None for the nearest one from the working
                directory upward.
            init: make the repository where there is none.

        Raises:
            RepositoryNotFoundError: there is no repository.
            RepositoryError: the `.aim` directory belongs to another program, Aim itself perhaps; it is left untouched.
            ConfigError: the configuration is broken, from a newer version, or names a plug-in that is not installed.
        """
        make = init and is_empty(directory_of(path or "."))
        self._attach(init_repository(path or ".") if make else open_repository((path or ".") if init else path))

    @classmethod
    def init(
        cls,
        path: str | os.PathLike[str] = ".",
        *,
        backend: str | None = None,
        options: Mapping[str, Any] | None = None,
        metadata_url: str | None = None,
    ) -> Repo:
        """Make a repository in the folder `path`, or open the repository that is there.

        Args:
            path: the folder that is to hold `.aim`; it is made where it is missing.
            backend: name of the storage engine; None is RocksDB.
            options: of the engine.
            metadata_url: SQLAlchemy URL of the metadata database; None is an SQLite file in the repository.

        Raises:
            ConfigError: there is a repository with other settings than those given, or the settings are not valid.
            RepositoryError: as for `Repo`.
        """
        made = init_repository(path, backend=backend, options=options, metadata_url=metadata_url)
        return made.facade()

    @classmethod
    def of(cls, path: str | os.PathLike[str] | None, *, create: bool = True) -> Repo:
        """The repository at a path, shared with all others in this process who asked for it this way.

        Args:
            path: see `Repo`. With `create`, None makes a repository in the working directory where there is none upward.
            create: make the repository where there is none.
        """
        return shared_repository(path, create=create).facade()

    def _attach(self, catalog: Catalog) -> None:
        self._catalog = catalog
        catalog.attach(self)
        self._forget_indexer()
        track_forks(self)

    def _forget_indexer(self) -> None:
        self._mutex = threading.RLock()
        self._indexer: BackgroundIndexer | None = None

    _after_fork_in_child = _forget_indexer

    @property
    def path(self) -> Path:
        """The `.aim` directory."""
        return self._catalog.context.directory

    @property
    def config(self) -> RepoConfig:
        """What `config.toml` said when the repository was opened."""
        return self._catalog.context.config

    # Runs

    def list_runs(self) -> list[str]:
        """Hashes of all runs, sorted."""
        return self._catalog.list_runs()

    def iter_runs(self) -> Iterator[Run]:
        """All runs, archived runs too, as `Run` objects to read."""
        return (queried_run(self._catalog, run) for run in Selection(self._catalog, Pushdown()))

    def get_run(self, run_hash: str) -> Run:
        """A run to read. `Run(run_hash, repo=…)` opens it for writing.

        Raises:
            InvalidRunHashError: `run_hash` is not a run hash.
            RunNotFoundError: there is no such run.
        """
        self._catalog.check_exists(check_run_hash(run_hash))
        return reading_run(self._catalog, run_hash)

    def delete_run(self, run_hash: str) -> None:
        """Remove a run with everything that is known of it.

        A crash in the middle leaves a run that nobody sees and that the next `reindex` removes.

        Raises:
            InvalidRunHashError: `run_hash` is not a run hash.
            RunNotFoundError: there is no such run.
            LockedError: a process writes the run; the message says which process, and since when.
        """
        check_run_hash(run_hash)
        context = self._catalog.context
        with shield, lock_run(context, run_hash, maintenance=True) as lock:
            self._catalog.check_exists(run_hash)
            delete_run(context, run_hash, lock)

    def copy_run(self, run_hash: str, destination: Repo, *, new_hash: bool = False) -> str:
        """Copy a run into another repository, which may have another engine, and return the hash of the copy.

        Parameters, sequences, structured properties and notes are copied as they are, read back, compared and indexed. A
        stalled run is stalled in the copy too. Until the copy is complete nobody sees it; after a crash the next `reindex`
        of the destination removes what is left of it.

        Args:
            run_hash: of a run that nobody writes.
            destination: another repository; or this one, with `new_hash`.
            new_hash: give the copy a hash of its own.

        Raises:
            InvalidRunHashError: `run_hash` is not a run hash.
            RunNotFoundError: there is no such run.
            LockedError: a process writes the run; the message says which process, and since when.
            RepositoryError: the destination has a run of that hash already.
            UnsupportedError: a key is too long for the engine of the destination.
            CorruptionError: the run cannot be read, or the copy did not read back as it was written.
        """
        self._catalog.check_exists(check_run_hash(run_hash))
        return copy_run(self._catalog.context, destination._catalog.context, run_hash, new_hash=new_hash)

    def move_run(self, run_hash: str, destination: Repo) -> None:
        """Copy a run into another repository, as `copy_run` does, and then delete it here.

        A crash in between leaves the run in both repositories; moving it again deletes it here, if both copies are still
        the same. Raises the errors of `copy_run`; the run is still here then.
        """
        self._catalog.check_exists(check_run_hash(run_hash))
        move_run(self._catalog.context, destination._catalog.context, run_hash)

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
        """Runs for which a query is true, found during iteration.

        Args:
            expression: a Python expression over `run`, such as `"run.hparams.lr < 0.01 and run.experiment == 'baseline'"`;
                "" matches every run. Archived runs are left out unless the expression mentions `run.archived`.
            order_by: an attribute, such as `"run.created_at desc"`, or several attributes separated by commas. Runs without
                the attribute come last; runs with equal attributes are ordered by hash. None is no particular order.
            limit: return at most this many runs. Without `order_by` the search ends as soon as they are found.
            offset: skip this many runs first.
            on_error: what to do if the expression or the order raises for a run: "count" the errors and report them at the
                end, or "raise".

        Raises:
            QuerySyntaxError: the expression or the order is not valid; the message points at the fault.
            QueryRuntimeError: during iteration, with `on_error="raise"`.
            TypeError, ValueError: `limit` or `offset` is not an int of 0 or more.
        """
        window = self._window("run", order_by, offset, limit)
        return RunResults(self._catalog, self._compile(expression, "run"), on_error, window)

    def query_metrics(
        self,
        expression: str = "",
        *,
        order_by: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        on_error: OnError = "count",
    ) -> MetricResults:
        """Metrics for which a query is true, such as `"metric.name == 'loss' and metric.last < 0.1"`, in an order such as
        `"metric.last"`; otherwise as `query_runs`."""
        window = self._window("metric", order_by, offset, limit)
        return MetricResults(self._catalog, self._compile(expression, "metric"), on_error, window)

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
            expression: over `run` and `sequence`, which has the attributes of `metric`, and `kind`; otherwise as for
                `query_runs`.
            kind: find only sequences of this kind: "number", "text", "bytes", "array", "value", or the name of an object type
                such as "image"; None is all kinds.
            order_by, limit, offset, on_error: as for `query_runs`.
        """
        window = self._window("sequence", order_by, offset, limit)
        return SequenceResults(self._catalog, self._compile(expression, "sequence"), on_error, window, kind)

    def _compile(self, expression: str, subject: Subject) -> CompiledQuery:
        return self._catalog.context.query_engine.compile(expression, subject)

    def _window(self, subject: Subject, order_by: str | None, offset: int, limit: int | None) -> Window:
        order = None if order_by is None else self._catalog.context.query_engine.order(order_by, subject)
        return Window(order, offset, limit)

    # Maintenance

    def reindex(
        self, run_hash: str | None = None, *, rebuild: bool = False, advance: Advance | None = None
    ) -> ReindexReport:
        """Finalize and index the runs whose process died without doing so. Runs that a process writes are left alone.

        Args:
            run_hash: index only this run, whether or not it needs it.
            rebuild: index all runs anew, which also mends an index that is damaged or was deleted.
            advance: called with the number of runs done and the number of all runs.

        Raises:
            InvalidRunHashError: `run_hash` is not a run hash.
            RunNotFoundError: there is no such run.
        """
        context = self._catalog.context
        if run_hash is not None and check_run_hash(run_hash) not in marked_runs(context.backend):
            self._catalog.check_exists(run_hash)
        return reindex(context, run_hash, rebuild=rebuild, advance=advance)

    def start_indexer(self, interval: float = INTERVAL) -> BackgroundIndexer:
        """Finalize and index stalled runs in a thread of this process, as `reindex` does, but one run at a time.

            with repo.start_indexer():
                ...

        The thread lets everybody else use the index first. It runs until its `stop()`, the end of the `with` block,
        `close()` of this repository, or the end of the process. A `Repo` has one indexer: if it runs already, this
        method returns it. The indexers of several processes share the work.

        Args:
            interval: seconds between two looks at the progress markers; it grows while there is nothing to do.

        Raises:
            ValueError: the interval is not above 0.
        """
        with shield, self._mutex:
            if self._indexer is None or not self._indexer.running:
                self._indexer = BackgroundIndexer(self._catalog.context, IndexerTiming(interval))
                self._indexer.start()
            return self._indexer

    def convert(
        self,
        path: str | os.PathLike[str],
        *,
        backend: str,
        options: Mapping[str, Any] | None = None,
        metadata_url: str | None = None,
        skip_active: bool = False,
        progress: Progress | None = None,
    ) -> ConversionReport:
        """Copy all runs into a new repository with another engine, or continue where an earlier attempt was interrupted.

        The content of the containers is copied as it is and compared by checksums at the end; so are the rows of runs,
        experiments, tags and notes. The index is made anew. Nothing in this repository changes.

        Args:
            path: the folder that is to hold the new `.aim`.
            backend, options, metadata_url: of the new repository; as for `Repo.init`.
            skip_active: leave out runs that a process writes.
            progress: called with the name of each step; returns a context manager that yields a function, which is called
                with the number of runs done and the number of all runs.

        Raises:
            LockedError: a process writes runs, and `skip_active` is false; or another conversion into `path` is running.
                Nothing was written.
            RepositoryError: `path` is in this repository, or holds a repository that is not an interrupted conversion of it.
            ConfigError: settings that are not valid, or not those of the interrupted conversion.
            StorageError: the destination could not be written. What was copied stays, for the next attempt.
        """
        from aimstore.repository.conversion import convert, without_progress  # seldom needed

        return convert(
            self._catalog.context,
            path,
            backend=backend,
            options=options,
            metadata_url=metadata_url,
            skip_active=skip_active,
            progress=progress or without_progress,
        )

    def status(self) -> RepoStatus:
        """Counts of runs by state, and where and how the repository is stored."""
        context = self._catalog.context
        backend = context.backend
        runs = self.list_runs()
        marked = marked_runs(backend)
        active = [run for run in marked if self._catalog.is_active(run)]
        return RepoStatus(
            path=context.path,
            backend=context.config.backend,
            runs=len(runs),
            active=active,
            stalled=sorted(set(marked).difference(active)),
            indexed=sum(1 for _ in context.indexer.runs()) if self._catalog.index_is_whole() else 0,
            nbytes=backend.size(INDEX_PATH)
            + sum(backend.size(meta_path(run)) + backend.size(seqs_path(run)) for run in runs),
        )

    def close(self) -> None:
        """Release what is open for reading, and stop the indexer.

        Runs that are being written stay open. A later use opens again what it needs.
        """
        indexer = self._indexer
        if indexer is not None:
            indexer.stop()
        with self._mutex:
            self._catalog.close()
            self._indexer = None

    def __repr__(self) -> str:
        return f"<Repo {self._catalog.context.path!r} ({self.config.backend})>"


def repo_over(catalog: Catalog) -> Repo:
    """A `Repo` over a catalog that is open already."""
    repo = Repo.__new__(Repo)
    repo._attach(catalog)
    return repo


@dataclass(frozen=True)
class RepoStatus:
    """State of a repository.

    Attributes:
        path: the `.aim` directory.
        backend: name of the storage engine.
        runs: number of runs.
        active: hashes of the runs that a process writes.
        stalled: hashes of the runs whose process died; `reindex` finalizes them.
        indexed: number of entries in the index.
        nbytes: bytes of all containers.
    """

    path: str
    backend: str
    runs: int
    active: list[str]
    stalled: list[str]
    indexed: int
    nbytes: int
