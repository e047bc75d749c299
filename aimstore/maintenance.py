"""What is done to runs that nobody writes: indexing those whose process died, and deleting."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from aimstore.abc import Container, Lock, Mode
from aimstore.errors import AimstoreError, CorruptionError, LockedError, RunNotFoundError, StorageError
from aimstore.lifecycle import shield
from aimstore.metadata import RunProperties
from aimstore.plugins import plugins
from aimstore.recovery import recover
from aimstore.session import Parts, lock_run, marked_runs, mirrored_properties, unmark
from aimstore.storage.layout import DELETED_KEY, property_key, read_properties
from aimstore.types import INDEX_PATH, META_PREFIX, meta_path, seqs_path

logger = logging.getLogger("aimstore")

BATCH: Final = 16
"""Runs that are indexed in one commit, which takes about as many milliseconds on a disk; between two, others get the index."""

LONGEST: Final = 1.0
"""Seconds after which no other run is added to what is to be committed."""

SHORTEST: Final = 0.05
"""Seconds after which none is while somebody waits for one of these runs."""

Advance = Callable[[int, int], None]
"""Called with the number of runs done and the number of all."""


@dataclass
class ReindexReport:
    """What a reindex did.

    Attributes:
        indexed: runs whose record is now in the index.
        live: runs left alone, because some process writes them.
        removed: remains of runs that never began, or whose deletion was interrupted.
        failed: runs that could not be indexed, and why; their progress markers stay.
    """

    indexed: list[str] = field(default_factory=list)
    live: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def reindex(parts: Parts, run: str | None, *, rebuild: bool, advance: Advance | None) -> ReindexReport:
    """See `Repo.reindex`."""
    report = ReindexReport()
    if rebuild:
        _begin_rebuild(parts)
    marked = set(marked_runs(parts.backend))
    if run is not None:
        runs = [run]
    elif rebuild:
        runs = sorted(marked.union(_all_runs(parts)))
    else:
        runs = sorted(marked)
    index_runs(parts, runs, marked, report, advance)
    if rebuild:
        _end_rebuild(parts, report)
    return report


def index_runs(
    parts: Parts, runs: Sequence[str], marked: Collection[str], report: ReindexReport, advance: Advance | None = None
) -> None:
    """Index runs, batch by batch; those that were not ended are finalized first.

    Args:
        marked: those of `runs` that are left out if their progress marker is gone by now: somebody else has taken care of them.
        report: takes what was done.
    """
    done, size = 0, BATCH
    while done < len(runs):
        taken = _Batch(parts, report).take(runs[done : done + size], marked)
        done, size = done + taken, min(BATCH, 2 * taken)
        if advance is not None:
            advance(done, len(runs))


def _all_runs(parts: Parts) -> list[str]:
    return [path.removeprefix(META_PREFIX) for path in parts.backend.list(META_PREFIX)]


def _begin_rebuild(parts: Parts) -> None:
    """Mark the index itself, so that until the end queries look into every run's own container."""
    with parts.backend.lock(INDEX_PATH, timeout=60.0):
        parts.backend.mark(INDEX_PATH)
    try:
        parts.indexer.refresh()
        parts.indexer.check()
        if not parts.backend.exists(INDEX_PATH):
            parts.indexer.clear()  # files of one that is no container any more
    except StorageError as error:
        logger.warning("the index cannot be read, and is made anew: %s", error)
        parts.indexer.clear()


def _end_rebuild(parts: Parts, report: ReindexReport) -> None:
    existing = set(_all_runs(parts))
    parts.indexer.refresh()
    for gone in [run for run in parts.indexer.runs() if run not in existing]:
        parts.indexer.remove(gone)
        report.removed.append(gone)
    rows = parts.database.all_runs()
    lost = [
        mirrored_properties(run, tree["props"])
        for run, tree in parts.indexer.trees()
        if run not in rows and tree is not None
    ]
    if lost:
        parts.database.upsert_runs(lost)
    try:
        for run in existing.intersection(report.failed):  # queries look into these themselves, and into no others
            with lock_run(parts.backend, run, brief=True):
                parts.backend.mark(meta_path(run))
    except LockedError:
        return
    with parts.backend.lock(INDEX_PATH, timeout=60.0):
        parts.backend.unmark(INDEX_PATH)


class _Batch:
    """Runs whose locks are held until the index has their records."""

    def __init__(self, parts: Parts, report: ReindexReport) -> None:
        self.parts = parts
        self.report = report
        self.locks: dict[str, Lock] = {}
        self.marked: set[str] = set()
        self.ended: dict[str, int] = {}  # what the metadata database does not know yet
        self.lost: list[RunProperties] = []

    def take(self, runs: Sequence[str], expected: Collection[str]) -> int:
        """Index the first of `runs`, as many as `LONGEST` allows; the number of those that are dealt with."""
        refused: dict[str, Exception] = {}
        with shield, ExitStack() as held:
            for run in runs:
                try:
                    self.locks[run] = held.enter_context(lock_run(self.parts.backend, run, brief=True, patience=0.0))
                except (AimstoreError, OSError) as error:
                    refused[run] = error
            self.marked = set(marked_runs(self.parts.backend))
            for run in [run for run in self.locks if run in expected and run not in self.marked]:
                self.locks.pop(run).release()
            done = self._index(runs)
        for run in [run for run in runs[:done] if run in refused]:
            if isinstance(refused[run], LockedError):
                self.report.live.append(run)
            else:
                self.report.failed[run] = str(refused[run])
        return done

    def _index(self, runs: Sequence[str]) -> int:
        begun = time.monotonic()
        done = len(runs)
        pending: dict[str, bool] = {}
        try:
            # alone it is committed at once, and keeps no thread that ends a run of its own from the index meanwhile
            with nullcontext() if len(self.locks) == 1 else self.parts.indexer.batch():
                for run in self.locks:
                    if pending and self._is_enough(time.monotonic() - begun):
                        done = runs.index(run)
                        break
                    try:
                        pending[run] = self._index_one(run)
                    except (AimstoreError, OSError) as error:
                        self.report.failed[run] = str(error)
        except (AimstoreError, OSError) as error:  # the index stayed busy, or cannot be written
            self.report.failed.update(dict.fromkeys(pending, str(error)))
            return done
        self._tell_database()
        for run, removed in pending.items():
            self._release(run, removed=removed)
        return done

    def _is_enough(self, seconds: float) -> bool:
        return seconds > LONGEST or (seconds > SHORTEST and any(lock.contended() for lock in self.locks.values()))

    def _index_one(self, run: str) -> bool:
        """Hand the record of a run to the indexer; whether the run is to be removed instead."""
        parts, path = self.parts, meta_path(run)
        if not parts.backend.exists(path):
            if run not in self.marked:
                raise RunNotFoundError(f"no run {run} in {parts.path}")
            return True  # its process died before it had made its containers
        if not self._seems_stalled(run):
            with parts.backend.open(path) as meta:
                if (removed := self._index_ended(run, meta)) is not None:
                    return removed
        with parts.backend.open(path, Mode.WRITE, lock=self.locks[run]) as meta:
            if (removed := self._index_ended(run, meta)) is not None:
                return removed
            properties = self._row(run)
            if properties is None or properties.created_at is None:
                properties = mirrored_properties(run, read_properties(meta))
            properties = replace(properties, finalized_at=time.time_ns() // 1000)
            with parts.backend.open(seqs_path(run), Mode.WRITE) as seqs:
                recover(meta, seqs, properties)
            self._compare(properties)
            parts.indexer.index(run, meta)
        return False

    def _index_ended(self, run: str, meta: Container) -> bool | None:
        """As `_index_one` for a run that has ended, of which only the index may lack something, and the database; else None."""
        if is_remains(meta):
            self.parts.indexer.remove(run)
            return True
        if not meta.exists(property_key("finalized_at")):
            return None
        if run in self.marked:
            self._compare(mirrored_properties(run, read_properties(meta)))
        self.parts.indexer.index(run, meta)
        return False

    def _seems_stalled(self, run: str) -> bool:
        """A guess, which spares opening the run twice."""
        return run in self.marked and (row := self._row(run)) is not None and row.finalized_at is None

    def _row(self, run: str) -> RunProperties | None:
        return None if self.rows is None else self.rows.get(run)

    @cached_property
    def rows(self) -> dict[str, RunProperties] | None:
        """What the metadata database says of the runs; None where it cannot be read."""
        try:
            return self.parts.database.runs(self.locks)
        except AimstoreError as error:
            logger.warning("the metadata database cannot be read, the runs' own data are used: %s", error)
            return None

    def _compare(self, properties: RunProperties) -> None:
        """Note what of a run that has ended the database is to be told."""
        if self.rows is None or properties.finalized_at is None:
            return
        row = self.rows.get(properties.hash)
        if row is None or (row.created_at is None and properties.created_at is not None):
            self.lost.append(properties)
        elif row.finalized_at != properties.finalized_at:
            self.ended[properties.hash] = properties.finalized_at

    def _tell_database(self) -> None:
        try:
            if self.ended:
                self.parts.database.finish_runs(self.ended)
            if self.lost:
                self.parts.database.upsert_runs(self.lost)
        except AimstoreError as error:
            many = len(self.ended) + len(self.lost)
            logger.warning("the metadata database does not know that %d runs have ended: %s", many, error)

    def _release(self, run: str, *, removed: bool) -> None:
        try:
            if removed:
                _remove(self.parts, run)
            elif run in self.marked:
                unmark(self.parts, run)
        except (AimstoreError, OSError) as error:
            self.report.failed[run] = str(error)
            return
        self.locks[run].release()
        if removed:
            self.report.removed.append(run)
        else:
            self.report.indexed.append(run)
            plugins().notify("aimstore_run_indexed", run=run, repo=self.parts.path)


def is_remains(meta: Container) -> bool:
    """Whether a meta container is that of a run that is being deleted, or of which nothing was written yet."""
    return meta.exists(DELETED_KEY) or meta.first() is None


def delete(parts: Parts, run: str, lock: Lock) -> None:
    """Remove a run whose lock is held. See `Repo.delete_run`."""
    parts.backend.mark(meta_path(run))
    with suppress(CorruptionError), parts.backend.open(meta_path(run), Mode.WRITE, lock=lock) as meta:
        meta.put(DELETED_KEY, b"1")
        meta.flush(sync=True)
    parts.indexer.remove(run)
    _remove(parts, run)


def _remove(parts: Parts, run: str) -> None:
    parts.database.delete_run(run)
    with parts.backend.lock(seqs_path(run)):
        parts.backend.delete(seqs_path(run))
        parts.backend.unmark(seqs_path(run))
    parts.backend.delete(meta_path(run))
    parts.backend.unmark(meta_path(run))
