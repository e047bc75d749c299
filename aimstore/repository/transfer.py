"""Copies a run into another repository, whatever their engines: item by item, verified by checksums.

An incomplete copy is invisible, and the next `reindex` removes it: the sequences are copied first, while the meta
container does not exist. The meta container begins with the key that marks a run as being deleted; the last step
removes that key.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Final

from aimstore.abc import Backend, Container, Lock, Mode, WriteBatch
from aimstore.encoding.keys import decode_path, format_path
from aimstore.errors import AimstoreError, RepositoryError, UnsupportedError
from aimstore.plugins import plugins
from aimstore.process import shield
from aimstore.repository.checksums import Checksum, Checksums, checksums, verify
from aimstore.repository.context import RepositoryContext
from aimstore.repository.deletion import delete_run
from aimstore.repository.properties import mirrored_properties
from aimstore.repository.runs import check_is_run, is_run, lock_run, mark, marked_runs, unmark
from aimstore.storage.layout import ATTRS, DELETED_KEY, read_properties
from aimstore.types import meta_path, new_run_hash, seqs_path

logger = logging.getLogger("aimstore")

BATCH_BYTES: Final = 1 << 20
"""Bytes of keys and values after which a batch is written; a larger value gets its own batch."""

BATCH_ITEMS: Final = 4096
"""Number of items after which a batch is written."""


def copy_run(source: RepositoryContext, destination: RepositoryContext, run_hash: str, *, new_hash: bool) -> str:
    """See `Repo.copy_run`."""
    if source.path == destination.path and not new_hash:
        raise RepositoryError(f"{source.path} is the same repository; a copy of a run in it needs a new hash")
    target = new_run_hash() if new_hash else run_hash
    with lock_run(source, run_hash):
        _copy_alone(source, destination, run_hash, target)
    return target


def move_run(source: RepositoryContext, destination: RepositoryContext, run_hash: str) -> None:
    """See `Repo.move_run`."""
    if source.path == destination.path:
        raise RepositoryError(f"{source.path} is the same repository; nothing is to be moved")
    with lock_run(source, run_hash) as lock:
        check_is_run(source, run_hash)
        if not _is_there(source, destination, run_hash):
            _copy_alone(source, destination, run_hash, run_hash)
        with shield:
            delete_run(source, run_hash, lock)


def _is_there(source: RepositoryContext, destination: RepositoryContext, run_hash: str) -> bool:
    """Whether an earlier move was interrupted when only the deletion was left to do."""
    backend = destination.backend
    if not backend.exists(meta_path(run_hash)):
        return False
    with backend.lock(meta_path(run_hash)):
        return is_run(backend, run_hash) and checksums(source.backend, run_hash) == checksums(backend, run_hash)


def _copy_alone(source: RepositoryContext, destination: RepositoryContext, run_hash: str, target: str) -> None:
    check_is_run(source, run_hash)
    with shield:
        row = source.database.get_run(run_hash)
        if row is not None:
            copy_labels(source, destination, {row.experiment}, row.tags)
    copy(source, destination, run_hash, target)
    if target not in marked_runs(destination.backend):
        plugins().notify("aimstore_run_indexed", run_hash=target, repo=destination.path)


def copy_labels(
    source: RepositoryContext,
    destination: RepositoryContext,
    experiments: Collection[str | None],
    tags: Collection[str],
) -> None:
    """Create those of the experiments and tags that the destination lacks; existing ones stay unchanged."""
    known = {each.name for each in destination.database.experiments()}
    for experiment in source.database.experiments():
        if experiment.name in experiments and experiment.name not in known:
            destination.database.update_experiment(
                experiment.name, description=experiment.description, archived=experiment.archived
            )
    known = {each.name for each in destination.database.tags()}
    for tag in source.database.tags():
        if tag.name in tags and tag.name not in known:
            destination.database.update_tag(
                tag.name, color=tag.color, description=tag.description, archived=tag.archived
            )


def copy(
    source: RepositoryContext, destination: RepositoryContext, run_hash: str, target: str, *, bulk: bool = False
) -> Checksums:
    """Copy a run, its row in the metadata database and its notes. The copy of a stalled run is stalled too.

    Args:
        source, destination: the repositories. The caller holds the run's lock in `source`.
        run_hash, target: the hash of the run, and the hash of the copy.
        bulk: the caller verifies and indexes the copies, many at a time.

    Raises:
        RepositoryError: the destination has a run with the hash `target`.
        LockedError: a process is writing the run `target`.
        UnsupportedError: a key is too long for the destination's engine; the message names it.
        CorruptionError: the source cannot be read, or the destination reads back other data than was written.
        StorageError: the destination could not be written. After any error, nothing of the copy stays.
    """
    backend = destination.backend
    stalled = run_hash in marked_runs(source.backend)
    with backend.lock(meta_path(target)) as lock, ExitStack() as undo:
        with shield:
            _clear(destination, target, lock)
            undo.callback(_remove, destination, target, lock)
            mark(backend, target)
            _copy_rows(source, destination, run_hash, target)
        seqs = _copy_sequences(source.backend, backend, run_hash, target)
        with ExitStack() as opened:
            with shield:
                original = opened.enter_context(source.backend.open(meta_path(run_hash)))
                meta = opened.enter_context(backend.open(meta_path(target), Mode.WRITE, lock=lock))
                meta.put(DELETED_KEY, b"1")
            found = Checksums(_copy_items(original, meta, run_hash), seqs)
            meta.flush(sync=True)
            if not bulk:
                verify(backend, target, found)
            with shield:
                if not bulk and not stalled:
                    destination.indexer.index(target, meta)
                meta.delete(DELETED_KEY)
                meta.flush(sync=True)
                undo.pop_all()
                if not stalled:
                    opened.close()
                    unmark(backend, target)
    return found


def _clear(destination: RepositoryContext, target: str, lock: Lock) -> None:
    """Remove what an interrupted copy or deletion has left under this hash."""
    backend = destination.backend
    if is_run(backend, target):
        raise RepositoryError(
            f"{destination.path} has a run {target} already; delete that run, or copy with a new hash"
        )
    if backend.exists(meta_path(target)) or backend.exists(seqs_path(target)):
        delete_run(destination, target, lock)


def _remove(destination: RepositoryContext, target: str, lock: Lock) -> None:
    try:
        with shield:
            delete_run(destination, target, lock)
    except (AimstoreError, OSError) as error:  # the first error is the one to raise
        logger.warning(
            "%s: part of a copy of run %s stays, unseen, until the next `aimstore reindex`: %s",
            destination.path, target, error,
        )  # fmt: skip


def _copy_rows(source: RepositoryContext, destination: RepositoryContext, run_hash: str, target: str) -> None:
    row = source.database.get_run(run_hash)
    if row is None:
        with source.backend.open(meta_path(run_hash)) as meta:
            row = mirrored_properties(run_hash, read_properties(meta))
    destination.database.upsert_runs([replace(row, hash=target)])
    notes = source.database.notes(run_hash)
    if notes:
        destination.database.replace_notes(target, notes)


def _copy_sequences(source: Backend, destination: Backend, run_hash: str, target: str) -> str:
    if not source.exists(seqs_path(run_hash)):
        return Checksum().hexdigest()
    with ExitStack() as opened:
        with shield:
            original = opened.enter_context(source.open(seqs_path(run_hash)))
            copied = opened.enter_context(destination.open(seqs_path(target), Mode.WRITE))
        checksum = _copy_items(original, copied, run_hash)
        copied.flush(sync=True)
        return checksum


def _copy_items(source: Container, destination: Container, run_hash: str) -> str:
    """Copy all items from one snapshot; return their checksum."""
    checksum = Checksum()
    with closing(source.items()) as items:
        while True:
            with shield:  # a signal waits for one batch, not for all of them
                batch = _next_batch(items, destination, run_hash)
                destination.write(batch)
            if not batch:
                return checksum.hexdigest()
            for _, key, value in batch.ops:
                assert value is not None
                checksum.add(key, value)


def _next_batch(items: Generator[tuple[bytes, bytes], None, None], destination: Container, run_hash: str) -> WriteBatch:
    limit = destination.capability.max_key_size
    batch = WriteBatch()
    for key, value in items:
        if limit is not None and len(key) > limit:
            raise UnsupportedError(
                f"run {run_hash}: the key of {_described(key)} takes {len(key)} bytes, and the engine of the destination takes "
                f"{limit} at most; shorten it, or choose another engine"
            )
        batch.put(key, value)
        if batch.nbytes >= BATCH_BYTES or len(batch) >= BATCH_ITEMS:
            break
    return batch


def _described(key: bytes) -> str:
    path = decode_path(key)
    return f"the parameter {format_path(path[1:])}" if path[0] == ATTRS else format_path(path)
