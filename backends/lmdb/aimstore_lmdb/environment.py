"""One open environment per data file and process, shared by all containers on it: its reads, its writes, its growth.

LMDB allows no more than one, and replacing the memory map of that one ends all reading. So reading is done in steps
under one lock, which is held for a step only, and before the map is replaced each open scan takes what it has yet to
give into memory.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Condition, RLock
from typing import Protocol, TypeVar

from aimstore.abc import Item
from aimstore.errors import ClosedError, CorruptionError, FencedError, StorageError
from aimstore.forking import track_forks
from aimstore_lmdb import engine, files
from aimstore_lmdb.config import LMDBOptions

_T = TypeVar("_T")

_SPARE = 64 << 20
"""Bytes that one scan may take into memory when the map is replaced. Those that have more to give are waited for."""
_PATIENCE = 10.0
"""Seconds for which they are."""
_CATCH_UP = 0.05
"""Seconds that a transaction of another process may take from its appearance in the file to being visible."""
_CHECK_EVERY = 1024
"""Transactions after which a writer looks for readers that were killed; they keep pages from being used again."""


class Reading(Protocol):
    """A read transaction that goes on from step to step: a scan."""

    def detach(self, limit: int) -> bool:
        """Take what is left, and end the transaction; False where it is more than `limit` bytes, for another time."""


class SharedEnvironment:
    """An environment that is open in this process; obtained from `acquire` and given back to `release`.

    Args:
        directory: where it lies.
        path: of the container, for errors.
        options: of whoever opens it first; a writer's take their place.
        writable: whether it is opened for writing.

    All methods may be called from several threads, those that write from one at a time.
    """

    def __init__(self, directory: Path, path: str, options: LMDBOptions, writable: bool) -> None:
        self._directory = directory
        self._path = path
        self._options = options
        self._writable = writable
        self._writing = RLock()  # taken before the next one
        self._reading = RLock()
        self._readings: set[Reading] = set()
        self._fewer_readings = Condition(self._reading)
        self._generation = 0
        self._transactions = 0
        self._map_size = options.map_size
        self._open()

    def _open(self) -> None:
        found = files.state(self._directory)
        if found is None:
            raise FileNotFoundError(f"no container {self._path}: nothing is in {self._directory}")
        self.identity = found.identity
        self._length = files.check(self._directory)
        self._environment: engine.Environment | None
        self._environment, self._items = engine.open_environment(
            self._directory,
            self._path,
            writable=self._writable,
            map_size=self._map_size,
            sync=self._options.sync == "batch",
        )
        self._map_size = self._environment.info()["map_size"]
        self._generation += 1

    def upgrade(self, options: LMDBOptions) -> None:
        """Have it open for writing, with these options."""
        with self._writing:
            if not self._writable or self._options != options:
                self._writable, self._options = True, options
                self._renew(max(self._map_size, options.map_size))

    # Reading

    def get(self, key: bytes) -> bytes | None:
        """What is stored under `key` now."""
        try:
            with self._reading, self._opened().begin(self._items) as transaction:
                return transaction.get(key)
        except engine.Error:
            return self.get_many([key])[0]

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """What is stored under `keys` now, as one transaction sees it."""

        def get(environment: engine.Environment) -> list[bytes | None]:
            with environment.begin(self._items) as transaction:
                return [transaction.get(key) for key in keys]

        return self.read("get", get)

    def read(self, doing: str, action: Callable[[engine.Environment], _T]) -> _T:
        """What `action` gives, called while the environment holds still; a second time where that may help."""
        self.check_length()
        for again in (True, False):
            generation = self._generation
            try:
                with self._reading:
                    return action(self._opened())
            except engine.Error as error:
                if not (again and self._mended(error, generation)):
                    raise engine.error_of(error, self._path, doing) from error
        raise AssertionError

    def _mended(self, error: engine.Error, generation: int) -> bool:
        if isinstance(error, engine.READERS_FULL):
            with self._reading:
                self._opened().reader_check()
            return True
        if isinstance(error, engine.STALE):
            with self._writing:
                if generation == self._generation:
                    self._renew(self._map_size)
            return True
        return False

    def begin(self, reading: Reading) -> engine.Transaction:
        """A read transaction that lasts until `end(reading)`."""

        def begin(environment: engine.Environment) -> engine.Transaction:
            transaction = environment.begin(self._items)
            self._readings.add(reading)
            return transaction

        return self.read("scan", begin)
