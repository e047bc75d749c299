"""The reference indexer: packed records in one container of the repository."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, Final

from aimstore.abc import Backend, Container, Hint, Indexer, Mode, WriteBatch
from aimstore.encoding.keys import decode_path, encode_path
from aimstore.encoding.records import decode_record, encode_record
from aimstore.errors import CorruptionError
from aimstore.index.record import pack
from aimstore.types import INDEX_PATH

logger = logging.getLogger("aimstore")

RUNS: Final = "runs"

PATIENCE: Final = 15.0
"""Seconds to wait for the index before a run is left with its progress marker."""


class ContainerIndexer(Indexer):
    """Keeps the packed record of each run under `("runs", hash)` in the container `meta/index`.

    The index lock is held while a batch is committed, and not while runs are read.
    """

    def __init__(self, backend: Backend, *, patience: float = PATIENCE) -> None:
        """
        Args:
            backend: of the repository.
            patience: seconds that a commit waits for the index lock before it raises `LockedError`.
        """
        self._backend = backend
        self._patience = patience
        self._batch: WriteBatch | None = None
        self._writing = RLock()
        self._reader: Container | None = None
        self._version: str | None = None
        self._reading = RLock()

    # Writing

    def index(self, run: str, meta: Container) -> None:
        packed = encode_record(pack(meta))
        with self._writing, self.batch():
            assert self._batch is not None
            self._batch.put(_key(run), packed)

    def remove(self, run: str) -> None:
        if self._backend.exists(INDEX_PATH):
            with self._writing, self.batch():
                assert self._batch is not None
                self._batch.delete(_key(run))

    @contextmanager
    def batch(self) -> Iterator[None]:
        with self._writing:
            if self._batch is not None:  # within another one, which commits it all
                yield
                return
            batch = self._batch = WriteBatch()
            try:
                yield
            finally:
                self._batch = None
            if batch.ops:
                self._commit(batch)

    def _commit(self, batch: WriteBatch) -> None:
        with (
            self._backend.lock(INDEX_PATH, timeout=self._patience) as lock,
            self._backend.open(INDEX_PATH, Mode.WRITE, lock=lock) as index,
        ):
            index.write(batch)
            index.flush(sync=True)

    def clear(self) -> None:
        with self._writing, self._reading:
            self.close()
            with self._backend.lock(INDEX_PATH, timeout=self._patience):
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
        return iter(()) if reader is None else (_run(key) for key in reader.keys(_PREFIX))

    def tree(self, run: str) -> Mapping[str, Any] | None:
        reader = self._opened()
        data = None if reader is None else reader.get(_key(run))
        return None if data is None else _decoded(run, data)

    def trees(self, runs: Iterable[str] | None = None) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
        reader = self._opened()
        if reader is None:
            return
        if runs is None:
            for key, data in reader.items(_PREFIX):
                run = _run(key)
                yield run, _readable(run, data)
        else:
            wanted = list(runs)
            for run, found in zip(wanted, reader.get_many(map(_key, wanted)), strict=True):
                if found is not None:
                    yield run, _readable(run, found)

    def candidates(self, hints: Hint | None) -> Iterable[str] | None:
        return None

    def close(self) -> None:
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None


_PREFIX: Final = encode_path((RUNS,))


def _key(run: str) -> bytes:
    return encode_path((RUNS, run))


def _run(key: bytes) -> str:
    return str(decode_path(key)[1])


def _decoded(run: str, data: bytes) -> Mapping[str, Any]:
    record = decode_record(data)
    if not isinstance(record, dict):
        raise CorruptionError(f"the packed record of run {run} is a {type(record).__name__}")
    return record


def _readable(run: str, data: bytes) -> Mapping[str, Any] | None:
    try:
        return _decoded(run, data)
    except CorruptionError as error:
        logger.warning(
            "index: %s; its own containers are read instead. `aimstore reindex --run %s` mends it", error, run
        )
        return None
