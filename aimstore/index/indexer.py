"""The reference indexer: stores entries in one container of the repository."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final

from aimstore.abc import Backend, Candidates, Container, Hint, Indexer, WriteBatch
from aimstore.encoding.values import decode_value
from aimstore.errors import CorruptionError
from aimstore.index.candidates import find_candidates
from aimstore.index.entry import PackedEntry, pack_entry
from aimstore.index.limits import INDEX_LIMITS, IndexLimits
from aimstore.index.postings import ALL, POSTINGS, RUN_BYTES, RUNS, UNPOSTED, postings, run_key, run_of
from aimstore.index.waiting import WaitingRuns
from aimstore.index.writer import IndexWriter
from aimstore.types import INDEX_PATH

logger = logging.getLogger("aimstore")

_MAX_KEY_BYTES: Final = 0xFFFF
"""Length in bytes of the longest key if the engine sets no limit."""

_Batch = dict[str, PackedEntry | None]
"""Entries to write, by run; None removes the run's entry."""


class ContainerIndexer(Indexer):
    """Stores the entry of each run, and its postings, in the container `meta/index`.

    A commit holds the index lock; reading takes no lock.
    """

    def __init__(self, backend: Backend, limits: IndexLimits = INDEX_LIMITS) -> None:
        """
        Args:
            backend: the backend of the repository.
            limits: how long a commit waits for the index lock before it raises `LockedError`, and how long the lock is
                kept.
        """
        self._backend = backend
        self._limits = limits
        self._waiting = WaitingRuns(backend, limits.waiting_runs)
        self._writer = IndexWriter(backend, limits, waiting=self._waiting)
        self._batch: _Batch | None = None
        self._writing = RLock()
        self._reader: Container | None = None
        self._version: str | None = None
        self._reading = RLock()

    # Writing

    def index(self, run_hash: str, meta: Container) -> None:
        entry = pack_entry(
            run_hash, meta
        )  # before the batch, so that a run that cannot be packed leaves the others alone
        with self._writing:
            if self._batch is not None:
                self._batch[run_hash] = entry
                return
        # alone, and without the lock of batches: runs that finish together in this process wait together
        self._commit({run_hash: entry}, finished=run_hash)

    def remove(self, run_hash: str) -> None:
        if self._backend.exists(INDEX_PATH):
            with self._writing, self.batch():
                assert self._batch is not None
                self._batch[run_hash] = None

    @contextmanager
    def batch(self) -> Iterator[None]:
        with self._writing:
            if self._batch is not None:  # this batch is inside another batch, which commits everything
                yield
                return
            batch: _Batch = {}
            self._batch = batch
            try:
                yield
            finally:
                self._batch = None
            if batch:
                self._commit(batch)

    def _commit(self, batch: _Batch, finished: str | None = None) -> None:
        taken: list[str] = []

        def make(index: Container) -> WriteBatch:
            waiting, taken[:] = self._waiting.take(but=batch)
            return self._writes(index, {**batch, **waiting})

        self._writer.commit(make, batch, durable=lambda: self._waiting.confirm(taken), finished=finished)

    def _writes(self, index: Container, batch: _Batch) -> WriteBatch:
        max_key = self._backend.capability.max_key_size or _MAX_KEY_BYTES
        writes = WriteBatch()
        for (run, entry), old in zip(batch.items(), index.get_many(map(run_key, batch)), strict=True):
            new = set() if entry is None else postings(entry.tree, max_key)
            _replace(writes, run, _old_postings(index, run, old, max_key), new)
            listed = ALL + bytes.fromhex(run)
            if entry is None:
                writes.delete(run_key(run))
                writes.delete(listed)
            else:
                writes.put(run_key(run), entry.data)
                writes.put(listed, b"")
        return writes

    def clear(self) -> None:
        with self._writing, self._reading:
            self.close()
            with self._backend.lock(INDEX_PATH, timeout=self._limits.lock_wait_seconds):
                self._backend.delete(INDEX_PATH)

    # Reading

    def refresh(self) -> None:
        with self._reading:
            version = self._backend.version(INDEX_PATH)
            if version is None:
                self.close()
            elif self._reader is None:
                self._reader = self._backend.open(INDEX_PATH)
            elif version != self._version:
                self._reader.refresh()
            self._version = version

    def _opened(self) -> Container | None:
        with self._reading:
            if self._reader is None:
                self.refresh()
            return self._reader

    def runs(self) -> Iterator[str]:
        reader = self._opened()
        return iter(()) if reader is None else (key[-RUN_BYTES:].hex() for key in reader.keys(ALL))

    def tree(self, run_hash: str) -> Mapping[str, Any] | None:
        reader = self._opened()
        data = None if reader is None else reader.get(run_key(run_hash))
        return None if data is None else _decoded(run_hash, data)

    def trees(self, runs: Iterable[str] | None = None) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
        reader = self._opened()
        if reader is None:
            return
        if runs is None:
            for key, data in reader.items(RUNS):
                run = run_of(key)
                yield run, _readable(run, data)
        else:
            wanted = list(runs)
            for run, found in zip(wanted, reader.get_many(map(run_key, wanted)), strict=True):
                if found is not None:
                    yield run, _readable(run, found)

    def check(self) -> None:
        reader = self._opened()
        for _ in () if reader is None else reader.items():
            pass

    def candidates(self, hints: Hint | None) -> Candidates | None:
        if hints is None:
            return None
        reader = self._opened()
        return Candidates((), exact=True) if reader is None else find_candidates(reader, hints)

    def close(self) -> None:
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        self._writer.let_go()


def _old_postings(index: Container, run_hash: str, entry: bytes | None, max_key: int) -> set[bytes]:
    if entry is None:
        return set()
    try:
        return postings(_decoded(run_hash, entry), max_key)
    except (
        CorruptionError,
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
    ):  # damaged: its postings must be searched for
        end = bytes.fromhex(run_hash)
        keys = itertools.chain(index.keys(POSTINGS), index.keys(UNPOSTED))
        return {key.removesuffix(end) for key in keys if key.endswith(end)}


def _replace(writes: WriteBatch, run_hash: str, before: set[bytes], after: set[bytes]) -> None:
    """Delete the postings of a run's old entry, and put the postings of the new entry."""
    end = bytes.fromhex(run_hash)
    for key in before - after:
        writes.delete(key + end)
    for key in after - before:
        writes.put(key + end, b"")


def _decoded(run_hash: str, data: bytes) -> Mapping[str, Any]:
    entry = decode_value(data, check_depth=False)  # many entries are read at once, and this class wrote all of them
    if not isinstance(entry, dict):
        raise CorruptionError(f"the entry of run {run_hash} is a {type(entry).__name__}")
    return entry


def _readable(run_hash: str, data: bytes) -> Mapping[str, Any] | None:
    try:
        return _decoded(run_hash, data)
    except CorruptionError as error:
        logger.warning(
            "index: %s; its own containers are read instead. `aimstore reindex --run %s` mends it", error, run_hash
        )
        return None
