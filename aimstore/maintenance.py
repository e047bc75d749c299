"""What is done to runs that nobody writes: indexing those whose process died, and deleting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from aimstore.abc import Container, Lock, Mode
from aimstore.errors import AimstoreError, CorruptionError, LockedError, RunNotFoundError, StorageError
from aimstore.lifecycle import shield
from aimstore.plugins import plugins
from aimstore.session import Parts, RunSession, lock_run, mirrored_properties, unmark
from aimstore.storage.layout import DELETED_KEY, property_key
from aimstore.types import INDEX_PATH, META_PREFIX, meta_path, seqs_path

logger = logging.getLogger("aimstore")

BATCH: Final = 64
"""Runs that are indexed under one index lock."""

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
    marked = {path.removeprefix(META_PREFIX) for path in parts.backend.marked(META_PREFIX)}
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
    parts: Parts, runs: list[str], marked: Collection[str], report: ReindexReport, advance: Advance | None = None
) -> None:
    """Index runs, batch by batch; those of `marked`, which were not ended, are finalized first."""
    done = 0
    for chosen in _batches(runs):
        _index_batch(parts, chosen, marked, report)
        done += len(chosen)
        if advance is not None:
            advance(done, len(runs))
    for each in report.indexed:
        plugins().notify("aimstore_run_indexed", run=each, repo=parts.path)


def _batches(runs: list[str]) -> Iterator[list[str]]:
    return (runs[i : i + BATCH] for i in range(0, len(runs), BATCH))


def _all_runs(parts: Parts) -> list[str]:
    return [path.removeprefix(META_PREFIX) for path in parts.backend.list(META_PREFIX)]


def _begin_rebuild(parts: Parts) -> None:
    """Mark the index itself, so that until the end queries look into every run's own container."""
    with parts.backend.lock(INDEX_PATH, timeout=60.0):
        parts.backend.mark(INDEX_PATH)
    try:
        for _ in parts.indexer.trees():
            pass
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


@dataclass(frozen=True)
class _Pending:
    """A run in an open batch of the index.

    Attributes:
        end: to be called with whether the batch was committed; gives the run's lock up.
        removed: the run goes; otherwise it was indexed.
    """

    run: str
    end: Callable[[bool], None]
    removed: bool = False


def _index_batch(parts: Parts, runs: list[str], marked: Collection[str], report: ReindexReport) -> None:
    with shield, ExitStack() as held:
        pending: list[_Pending] = []
        try:
            with parts.indexer.batch():
                for run in runs:
                    try:
                        each = _index_one(parts, run, run in marked)
                    except LockedError:
                        report.live.append(run)
                    except (AimstoreError, OSError) as error:
                        report.failed[run] = str(error)
                    else:
                        pending.append(each)
                        held.callback(each.end, False)
        except (AimstoreError, OSError) as error:  # the index stayed busy, or cannot be written
            report.failed.update((each.run, str(error)) for each in pending)
            return
        held.pop_all()
        for each in pending:
            each.end(True)
            (report.removed if each.removed else report.indexed).append(each.run)


def _index_one(parts: Parts, run: str, marked: bool) -> _Pending:
    """Hand the record of `run` to the open batch."""
    with ExitStack() as undo:
        lock = undo.enter_context(lock_run(parts.backend, run, brief=True, patience=0.0))
        if not parts.backend.exists(meta_path(run)):
            if not marked:
                raise RunNotFoundError(f"no run {run} in {parts.path}")
            undo.pop_all()  # its process died before it had made its containers
            return _Pending(run, partial(_end_removal, parts, run, lock), removed=True)
        with parts.backend.open(meta_path(run)) as meta:
            if is_remains(meta):
                parts.indexer.remove(run)
                undo.pop_all()
                return _Pending(run, partial(_end_removal, parts, run, lock), removed=True)
            if meta.exists(property_key("finalized_at")):  # all is said; only the index may lack it
                parts.indexer.index(run, meta)
                undo.pop_all()
                return _Pending(run, partial(_end_indexing, parts, run, lock))
    session = RunSession(parts, run, brief=True)
    session.begin()  # a resume: it recomputes from the records what a dead process left unsaid
    with ExitStack() as undo:
        undo.callback(session.release, indexed=False)
        undo.callback(session.close_containers)
        session.finish()
        parts.indexer.index(run, session.meta)
        session.close_containers()
        undo.pop_all()
    return _Pending(run, lambda committed: session.release(indexed=committed))


def _end_indexing(parts: Parts, run: str, lock: Lock, committed: bool) -> None:
    with lock:
        if committed:
            unmark(parts, run)


def _end_removal(parts: Parts, run: str, lock: Lock, committed: bool) -> None:
    with lock:
        if committed:
            _remove(parts, run)


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
