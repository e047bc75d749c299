"""Deletes a run in steps that a crash may interrupt: mark the run, declare it deleted, remove it."""

from __future__ import annotations

from contextlib import suppress

from aimstore.abc import Lock, Mode
from aimstore.errors import CorruptionError
from aimstore.repository.context import RepositoryContext
from aimstore.storage.layout import DELETED_KEY
from aimstore.types import meta_path, seqs_path


def delete_run(context: RepositoryContext, run_hash: str, lock: Lock) -> None:
    """Delete a run whose `lock` the caller holds. After a crash, the run is invisible, and a reindex removes it."""
    backend, path = context.backend, meta_path(run_hash)
    backend.mark(path)
    with suppress(CorruptionError), backend.open(path, Mode.WRITE, lock=lock) as meta:
        meta.put(DELETED_KEY, b"1")
        meta.flush(sync=True)
    context.indexer.remove(run_hash)
    remove_remains(context, run_hash)


def remove_remains(context: RepositoryContext, run_hash: str) -> None:
    """Remove the row, containers and markers of a run that the index does not have. The caller holds its lock."""
    backend = context.backend
    context.database.delete_run(run_hash)
    with backend.lock(seqs_path(run_hash)):
        backend.delete(seqs_path(run_hash))
        backend.unmark(seqs_path(run_hash))
    backend.delete(meta_path(run_hash))
    backend.unmark(meta_path(run_hash))
