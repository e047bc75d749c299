"""Reindexing: finalizes and indexes stalled runs, removes the remains of runs, and rebuilds the index."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from aimstore.abc import Container, Lock, Mode
from aimstore.encoding.moments import now_microseconds
from aimstore.errors import AimstoreError, LockedError, RunNotFoundError, StorageError
from aimstore.metadata import RunProperties
from aimstore.plugins import plugins
from aimstore.process import shield
from aimstore.repository.context import RepositoryContext
from aimstore.repository.deletion import remove_remains
from aimstore.repository.properties import mirrored_properties
from aimstore.repository.recovery import recover
from aimstore.repository.runs import is_remains, list_runs, lock_run, marked_runs, unmark
from aimstore.storage.layout import property_key, read_properties
from aimstore.types import INDEX_PATH, meta_path, seqs_path

logger = logging.getLogger("aimstore")

Advance: TypeAlias = Callable[[int, int], None]
"""Called with the number of runs done and the number of all runs."""


@dataclass
class ReindexReport:
    """The result of a reindex.

    Attributes:
        indexed: runs whose entry is now in the index.
        active: runs left alone because a process is writing them.
        removed: remains of runs that never began, or whose deletion was interrupted.
        failed: runs that could not be indexed, with the reason; their progress markers stay.
    """

    indexed: list[str] = field(default_factory=list)
    active: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def reindex(
    context: RepositoryContext, run_hash: str | None, *, rebuild: bool, advance: Advance | None
) -> ReindexReport:
    """See `Repo.reindex`."""
    report = ReindexReport()
    if rebuild:
        _begin_rebuild(context)
    marked = set(marked_runs(context.backend))
    if run_hash is not None:
        runs = [run_hash]
    elif rebuild:
        runs = sorted(marked.union(list_runs(context.backend)))
    else:
        runs = sorted(marked)
    index_runs(context, runs, marked, report, advance)
    if rebuild:
        _end_rebuild(context, report)
    return report


def index_runs(
    context: RepositoryContext,
    runs: Sequence[str],
    marked: Collection[str],
    report: ReindexReport,
    advance: Advance | None = None,
) -> None:
    """Index runs in batches. Stalled runs are finalized first.

    Args:
        context: the opened parts of the repository.
        runs: run hashes.
        marked: the runs that had a progress marker. If the marker is gone by now, another process has indexed the run,
            and it is skipped.
        report: receives the results.
        advance: called after each batch with the progress.
    """
    most = context.limits.reindex.batch_runs
    done, size = 0, most
    while done < len(runs):
        taken = _Batch(context, report).take(runs[done : done + size], marked)
        done, size = done + taken, min(most, 2 * taken)
        if advance is not None:
            advance(done, len(runs))


def _begin_rebuild(context: RepositoryContext) -> None:
    """Mark the index itself, so that queries read every run's own container until the rebuild ends."""
    with context.backend.lock(INDEX_PATH, timeout=context.limits.waits.index):
        context.backend.mark(INDEX_PATH)
    try:
        context.indexer.refresh()
        context.indexer.check()
        if not context.backend.exists(INDEX_PATH):
            context.indexer.clear()  # removes files that are no longer a container
    except StorageError as error:
        logger.warning("the index cannot be read and is rebuilt: %s", error)
        context.indexer.clear()


def _end_rebuild(context: RepositoryContext, report: ReindexReport) -> None:
    existing = set(list_runs(context.backend))
    context.indexer.refresh()
    for gone in [run for run in context.indexer.runs() if run not in existing]:
        context.indexer.remove(gone)
        report.removed.append(gone)
    rows = context.database.all_runs()
    lost = [
        mirrored_properties(run, tree["props"])
        for run, tree in context.indexer.trees()
        if run not in rows and tree is not None
    ]
    if lost:
        context.database.upsert_runs(lost)
    try:
        for run in existing.intersection(report.failed):  # queries read the own containers of only these runs
            with lock_run(context, run, maintenance=True):
                context.backend.mark(meta_path(run))
    except LockedError:
        return
    with context.backend.lock(INDEX_PATH, timeout=context.limits.waits.index):
        context.backend.unmark(INDEX_PATH)


class _Batch:
    """Runs whose locks are held until the index has their entries."""

    def __init__(self, context: RepositoryContext, report: ReindexReport) -> None:
        self.context = context
        self.report = report
        self.locks: dict[str, Lock] = {}
        self.marked: set[str] = set()
        self.ended: dict[str, int] = {}  # ends of runs that the metadata database does not have yet
        self.lost: list[RunProperties] = []

    def take(self, runs: Sequence[str], expected: Collection[str]) -> int:
        """Index the first of `runs`, as many as the limits allow; return how many runs are done."""
        refused: dict[str, Exception] = {}
        with shield, ExitStack() as held:
            for run in runs:
                try:
                    self.locks[run] = held.enter_context(lock_run(self.context, run, maintenance=True, timeout=0.0))
                except (AimstoreError, OSError) as error:
                    refused[run] = error
            self.marked = set(marked_runs(self.context.backend))
            for run in [run for run in self.locks if run in expected and run not in self.marked]:
                self.locks.pop(run).release()
            done = self._index(runs)
        for run in [run for run in runs[:done] if run in refused]:
            if isinstance(refused[run], LockedError):
                self.report.active.append(run)
            else:
                self.report.failed[run] = str(refused[run])
        return done

    def _index(self, runs: Sequence[str]) -> int:
        begun = time.monotonic()
        done = len(runs)
        pending: dict[str, bool] = {}
        try:
            # a single run is committed at once, so it does not block a thread that finalizes its own run
            with nullcontext() if len(self.locks) == 1 else self.context.indexer.batch():
                for run in self.locks:
                    if pending and self._is_enough(time.monotonic() - begun):
                        done = runs.index(run)
                        break
                    try:
                        pending[run] = self._index_one(run)
                    except (AimstoreError, OSError) as error:
                        self.report.failed[run] = str(error)
        except (AimstoreError, OSError) as error:  # the index stayed locked, or cannot be written
            self.report.failed.update(dict.fromkeys(pending, str(error)))
            return done
        known = self._tell_database()
        for run, removed in pending.items():
            self._release(run, removed=removed, known=known)
        return done

    def _is_enough(self, seconds: float) -> bool:
        limits = self.context.limits.reindex
        return seconds > limits.batch_seconds or (
            seconds > limits.contended_batch_seconds and any(lock.contended() for lock in self.locks.values())
        )

    def _index_one(self, run_hash: str) -> bool:
        """Pass the entry of a run to the indexer. Returns whether the run must be removed instead."""
        context, path = self.context, meta_path(run_hash)
        if not context.backend.exists(path):
            if run_hash not in self.marked:
                raise RunNotFoundError(f"no run {run_hash} in {context.path}")
            return True  # its process died before it created the containers
        if not self._seems_stalled(run_hash):
            with context.backend.open(path) as meta:
                if (removed := self._index_ended(run_hash, meta)) is not None:
                    return removed
        with context.backend.open(path, Mode.WRITE, lock=self.locks[run_hash]) as meta:
            if (removed := self._index_ended(run_hash, meta)) is not None:
                return removed
            properties = self._row(run_hash)
            if properties is None or properties.created_at is None:
                properties = mirrored_properties(run_hash, read_properties(meta))
            properties = replace(properties, finalized_at=now_microseconds())
            with context.backend.open(seqs_path(run_hash), Mode.WRITE) as seqs:
                recover(meta, seqs, properties)
            self._compare(properties)
            context.indexer.index(run_hash, meta)
        return False

    def _index_ended(self, run_hash: str, meta: Container) -> bool | None:
        """`_index_one` for a run that has ended, of which only the index and the database may lack data; else None."""
        if is_remains(meta):
            self.context.indexer.remove(run_hash)
            return True
        if not meta.exists(property_key("finalized_at")):
            return None
        if run_hash in self.marked:
            self._compare(mirrored_properties(run_hash, read_properties(meta)))
        self.context.indexer.index(run_hash, meta)
        return False

    def _seems_stalled(self, run_hash: str) -> bool:
        """Guess whether the run is stalled, to avoid opening it twice."""
        return run_hash in self.marked and (row := self._row(run_hash)) is not None and row.finalized_at is None

    def _row(self, run_hash: str) -> RunProperties | None:
        return None if self.rows is None else self.rows.get(run_hash)

    @cached_property
    def rows(self) -> dict[str, RunProperties] | None:
        """The rows of the runs in the metadata database; None if it cannot be read."""
        try:
            return self.context.database.runs(self.locks)
        except AimstoreError as error:
            logger.warning("the metadata database cannot be read, the runs' own data are used: %s", error)
            return None

    def _compare(self, properties: RunProperties) -> None:
        """Collect what the database must be told about a run that has ended."""
        if self.rows is None or properties.finalized_at is None:
            return
        row = self.rows.get(properties.hash)
        if row is None or (row.created_at is None and properties.created_at is not None):
            self.lost.append(properties)
        elif row.finalized_at != properties.finalized_at:
            self.ended[properties.hash] = properties.finalized_at

    def _tell_database(self) -> bool:
        """Tell the metadata database of the runs that ended; whether it knows of all of them now."""
        try:
            if self.ended:
                self.context.database.finish_runs(self.ended)
            if self.lost:
                self.context.database.upsert_runs(self.lost)
        except AimstoreError as error:
            many = len(self.ended) + len(self.lost)
            logger.warning("the metadata database does not know that %d runs have ended: %s", many, error)
            return False
        return self.rows is not None

    def _release(self, run_hash: str, *, removed: bool, known: bool) -> None:
        try:
            if removed:
                remove_remains(self.context, run_hash)
            elif run_hash in self.marked and known:  # else the marker stays until the database knows, too
                unmark(self.context.backend, run_hash)
        except (AimstoreError, OSError) as error:
            self.report.failed[run_hash] = str(error)
            return
        self.locks[run_hash].release()
        if removed:
            self.report.removed.append(run_hash)
        else:
            self.report.indexed.append(run_hash)
            plugins().notify("aimstore_run_indexed", run_hash=run_hash, repo=self.context.path)
