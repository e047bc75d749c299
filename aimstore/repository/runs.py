"""The runs of a repository as containers, locks and progress markers: which runs exist, and who may change them.

A run is *active* while a process holds its lock for writing, *stalled* if that process died and left the progress
marker behind, and *finalized* otherwise.
"""

from __future__ import annotations

import time
from contextlib import suppress

from aimstore.abc import Backend, Container, Lock
from aimstore.errors import LockedError, LockOwner, RunNotFoundError
from aimstore.repository.context import RepositoryContext
from aimstore.storage.layout import DELETED_KEY
from aimstore.types import INDEX_PATH, META_PREFIX, meta_path, seqs_path


def list_runs(backend: Backend) -> list[str]:
    """Hashes of the runs that have a meta container, sorted; includes remains of deletions."""
    return _hashes(backend.list(META_PREFIX))


def marked_runs(backend: Backend) -> list[str]:
    """Hashes of the runs that have a progress marker, sorted."""
    return _hashes(backend.marked(META_PREFIX))


def marked_runs_and_index(backend: Backend) -> tuple[list[str], bool]:
    """`marked_runs`, and whether the index is marked and thus incomplete; both as of one moment."""
    paths = backend.marked("meta/")
    return _hashes([path for path in paths if path.startswith(META_PREFIX)]), INDEX_PATH in paths


def _hashes(paths: list[str]) -> list[str]:
    return [path.removeprefix(META_PREFIX) for path in paths]


def mark(backend: Backend, run_hash: str) -> None:
    """Set the progress markers of a run."""
    backend.mark(meta_path(run_hash))
    backend.mark(seqs_path(run_hash))


def unmark(backend: Backend, run_hash: str) -> None:
    """Remove the progress markers of a run; the meta container's last, because it decides what queries see."""
    backend.unmark(seqs_path(run_hash))
    backend.unmark(meta_path(run_hash))


def writer_of(backend: Backend, run_hash: str) -> LockOwner | None:
    """The process that has the run open for writing; None if there is none, or the run is held for maintenance only."""
    owner = backend.lock_owner(meta_path(run_hash))
    return None if owner is None or owner.maintenance else owner


def lock_run(
    context: RepositoryContext, run_hash: str, *, maintenance: bool = False, timeout: float | None = None
) -> Lock:
    """Take the lock of a run.

    Args:
        context: the opened parts of the repository.
        run_hash: the run.
        maintenance: the lock is held for maintenance only and released soon, so that a writer waits for it.
        timeout: seconds to wait while another process holds the run for maintenance; None uses the wait of the context.

    Raises:
        LockedError: a process has the run open for writing (raised at once), or maintenance took longer than `timeout`.
    """
    path, backend = meta_path(run_hash), context.backend
    deadline = time.monotonic() + (context.limits.waits.run if timeout is None else timeout)
    while True:
        try:
            return backend.lock(path, maintenance=maintenance)
        except LockedError as error:
            passing = error.owner is None or error.owner.maintenance
            if not passing or time.monotonic() >= deadline:
                raise
        with suppress(LockedError):
            return backend.lock(path, timeout=0.05, maintenance=maintenance)


def is_remains(meta: Container) -> bool:
    """Whether a meta container belongs to a run that is being deleted, or to a run that has no data yet."""
    return meta.exists(DELETED_KEY) or meta.first() is None


def is_run(backend: Backend, run_hash: str) -> bool:
    """Whether the run exists: not only the remains of a deletion or a copy."""
    if not backend.exists(meta_path(run_hash)):
        return False
    with backend.open(meta_path(run_hash)) as meta:
        return not is_remains(meta)


def check_is_run(context: RepositoryContext, run_hash: str) -> None:
    """Return if `is_run`; else raise `RunNotFoundError`."""
    if not is_run(context.backend, run_hash):
        raise RunNotFoundError(f"no run {run_hash} in {context.path}; `aimstore runs ls` lists the runs")
