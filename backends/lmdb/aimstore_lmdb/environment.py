"""An open environment, which all its containers share: reads, writes, growth.

Replacing the memory map ends all reading. So scans read in steps under one lock, which is held for one step at a time, and
before the map is replaced each open scan reads the rest of its items into memory.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Condition, RLock
from typing import Final, Protocol, TypeVar

from aimstore.abc import OPEN, Item, State
from aimstore.errors import AimstoreError, CorruptionError, FencedError, StorageError
from aimstore_lmdb import engine, files
from aimstore_lmdb.config import LMDBOptions
from aimstore_lmdb.integrity import seek
from aimstore_lmdb.limits import LMDBLimits
from aimstore_lmdb.presence import Presence

_T = TypeVar("_T")

_POLL_SECONDS: Final = 0.0005


class Scan(Protocol):
    """A read transaction that continues from step to step."""

    def attach(self, transaction: engine.Transaction) -> None:
        """Begin to read from `transaction`."""

    def detach(self, limit: int) -> bool:
        """Read the rest and end the transaction. Returns False after `limit` bytes; then call it again later."""


class SharedEnvironment:
    """An environment that is open in this process; see `aimstore_lmdb.registry`.

    Args:
        directory: where the environment lies.
        path: the container's path, for errors.
        options: the options of whoever opens it first; a writer's options replace them.
        limits: the limits of whoever opens it first.
        writable: whether it is opened for writing.

    All methods may be called from several threads, those that write from one at a time.
    """

    def __init__(self, directory: Path, path: str, options: LMDBOptions, limits: LMDBLimits, writable: bool) -> None:
        self.identity = (0, 0)
        self._directory = directory
        self._file = os.fspath(directory / files.DATA)
        self._path = path
        self._options = options
        self._limits = limits
        self._writable = writable
        self._writing = RLock()  # taken before the next one
        self._reading = RLock()
        self._scans: set[Scan] = set()
        self._fewer_scans = Condition(self._reading)
        self._environment: engine.Environment | None = None
        self._check_due = 0.0
        self._state: State = OPEN
        self._entered = False
        self._generation = 0
        self._transactions = 0
        self._map_size = options.map_size
        self.users = 0
        self._presence = Presence(directory)
        try:
            self._open()
        except BaseException:
            self._presence.end()
            raise

    def _open(self) -> None:
        found = files.state(self._directory)
        if self._generation and (found is None or found.identity != self.identity):
            raise StorageError(f"{self._path} was deleted")
        if found is None:
            raise FileNotFoundError(errno.ENOENT, f"no container {self._path}", os.fspath(self._directory))
        self.identity = found.identity
        self._length = files.check(self._directory)
        self._environment, self._items = engine.open_environment(
            self._directory,
            self._path,
            writable=self._writable,
            map_size=max(self._map_size, 2 * self._length),
            sync=self._options.sync == "batch",
        )
        self._map_size = self._environment.info()["map_size"]
        self._generation += 1

    def _opened(self) -> engine.Environment:
        self._state.check(f"container {self._path}")
        if self._environment is None:  # reopening failed before
            self._open()
        assert self._environment is not None
        return self._environment

    def upgrade(self, options: LMDBOptions) -> None:
        """Reopen the environment for writing, with these options, unless it is open like that."""
        with self._writing:
            if not self._writable or self._options != options:
                self._writable, self._options = True, options
                self._renew(max(self._map_size, options.map_size))

    def close(self, owner: bytes | None = None) -> None:
        """Close the environment. All later calls raise `ClosedError`.

        Where no other process has it open, the table of readers is removed; where many pages are free, a dense copy
        replaces the data file.

        Args:
            owner: the writer that closes; without one, or where another writer has claimed the container, no copy is made.
        """
        with self._writing, self._reading:
            self._state = State.CLOSED
            alone = self._presence.alone()
            compacted = False
            if self._environment is not None:
                if alone and owner is not None and self._is_whole():
                    compacted = engine.compact(
                        self._environment, self._items, owner, self._presence.directory, self._limits.compacted_bytes
                    )
                self._environment.close()
                self._environment = None
            if alone:
                files.settle(self._presence.directory, compacted)
            self._presence.end()

    # Reading

    def get(self, key: bytes) -> bytes | None:
        """The stored bytes under `key` now; None where there are none, or only `get_many` can tell."""
        if time.monotonic() > self._check_due:  # looking each time would take twice as long as what it is for
            self._check_length()
        try:
            with self._reading:
                if self._environment is not None:
                    with self._environment.begin(self._items) as transaction:
                        return transaction.get(key)
        except engine.Error:
            return None
        return None

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The stored bytes under `keys` now, as one transaction sees them."""

        def get(environment: engine.Environment) -> list[bytes | None]:
            with environment.begin(self._items) as transaction:
                found = [transaction.get(key) for key in keys]
                if None in found:
                    cursor = transaction.cursor()
                    for key, stored in zip(keys, found, strict=True):
                        if stored is None:
                            seek(self._path, cursor, key)
                return found

        return self.read("get", get)

    def read(self, doing: str, action: Callable[[engine.Environment], _T]) -> _T:
        """The result of `action`, called while the environment cannot change; repeated once where that may help."""
        for again in (True, False):
            generation = self._generation
            try:
                with self._reading:
                    self._check_length()
                    return action(self._opened())
            except engine.Error as error:
                if not (again and self._mended(error, generation)):
                    raise engine.error_of(error, self._path, doing) from error
        raise AssertionError("the second attempt returns or raises")

    def _mended(self, error: engine.Error, generation: int) -> bool:
        if isinstance(error, engine.READERS_FULL):
            with self._reading:
                self._opened().reader_check()
        elif isinstance(error, engine.STALE):
            with self._writing:
                if generation == self._generation:
                    self._renew(self._map_size)
        else:
            return False
        return True

    def _check_length(self) -> None:
        """Raise `CorruptionError` where the file was cut off: reading beyond its end would kill this process."""
        if not self._is_whole():
            raise CorruptionError(f"{self._path}: {self._file} was cut off while it was open")
        self._check_due = time.monotonic() + self._limits.length_check_seconds

    def _is_whole(self) -> bool:
        try:
            stat = os.stat(self._file)  # noqa: PTH116  Path.stat takes twice as long
        except OSError:
            return True  # deleted; open files stay readable
        if (stat.st_dev, stat.st_ino) == self.identity:
            if stat.st_size < self._length:
                return False
            self._length = stat.st_size
        return True

    def begin(self, scan: Scan) -> None:
        """Give `scan` a read transaction, which lasts until `end(scan, …)`."""

        def begin(environment: engine.Environment) -> None:
            transaction = environment.begin(self._items)
            try:
                scan.attach(transaction)
            except BaseException:
                transaction.abort()
                raise
            self._scans.add(scan)

        self.read("scan", begin)

    def end(self, scan: Scan, transaction: engine.Transaction) -> None:
        """End the transaction that `begin` gave; a second call does nothing."""
        with self._reading:
            if scan in self._scans:
                self._scans.discard(scan)
                transaction.abort()
                self._fewer_scans.notify_all()

    def catch_up(self, transaction: int) -> None:
        """Return when a committed transaction is visible; the file shows it shortly before."""
        self._length = files.check(self._directory)
        deadline = time.monotonic() + self._limits.catch_up_seconds
        while self.read("refresh", _last_transaction) < transaction and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    # Writing

    def claim(self, owner: bytes) -> None:
        """Let `owner` alone write from now on."""
        self._change("claim", lambda environment, transaction: engine.write_owner(environment, transaction, owner), 512)

    def write(self, owner: bytes, puts: list[Item], deletes: list[bytes], nbytes: int) -> None:
        """Store and remove items in one transaction. No key occurs twice.

        Raises:
            FencedError: another writer has claimed the container after `owner`; nothing is stored.
            StorageError: nothing is stored.
        """

        def write(environment: engine.Environment, transaction: engine.Transaction) -> None:
            if engine.read_owner(environment, transaction) != owner:
                raise FencedError(
                    f"{self._path}: another writer has opened the container since; nothing of the batch is stored"
                )
            for key in deletes:
                transaction.delete(key)
            with transaction.cursor() as cursor:
                cursor.putmulti(puts)

        self._change("write", write, nbytes)

    def _change(
        self, doing: str, action: Callable[[engine.Environment, engine.Transaction], None], nbytes: int
    ) -> None:
        with self._writing:
            again = True
            while True:
                try:
                    with self._reading:
                        self._check_length()
                        environment = self._opened()
                    with environment.begin(self._items, write=True) as transaction:
                        action(environment, transaction)
                    break
                except engine.FULL as error:
                    self._grow(nbytes, error)
                except engine.STALE as error:
                    if not again:
                        raise engine.error_of(error, self._path, doing) from error
                    again = False
                    self._renew(self._map_size)
                except engine.Error as error:
                    raise self._failure(error, doing, nbytes) from error
            self._transactions += 1
            if self._transactions % self._limits.reader_check_transactions == 0:
                environment.reader_check()

    def _failure(self, error: engine.Error, doing: str, nbytes: int) -> AimstoreError:
        failure = engine.error_of(error, self._path, doing)
        cut_short = isinstance(failure, StorageError) and failure.errno == errno.EIO  # as LMDB says of such a write
        if not cut_short or files.has_room(self._directory, nbytes):
            return failure
        full = StorageError(f"{self._path}: {doing}: no space left in {self._directory}; nothing of it is stored")
        full.errno = errno.ENOSPC
        return full

    def flush(self) -> None:
        """Put everything that was written on the disk."""
        with self._writing:
            try:
                self._opened().sync(True)
            except engine.Error as error:
                raise engine.error_of(error, self._path, "flush") from error
            if not self._entered:
                files.sync_directories(self._directory)
                self._entered = True

    def _grow(self, nbytes: int, error: Exception) -> None:
        before = self._map_size
        self._renew(2 * before + 4 * nbytes)
        if self._map_size <= before:
            full = StorageError(
                f"{self._path}: the memory map of {before} bytes is full, and this process may not have a larger one. "
                "Nothing of the batch is stored; raise the limit of address space (`ulimit -v`)"
            )
            full.errno = errno.ENOMEM
            raise full from error

    def _renew(self, map_size: int) -> None:
        """Reopen the environment. The caller holds `_writing` and has no transaction open."""
        with self._reading:
            self._detach_scans()
            if self._environment is not None:
                self._environment.close()
                self._environment = None
            self._map_size = map_size
            self._opened()

    def _detach_scans(self) -> None:
        spare = self._limits.detached_scan_bytes
        deadline = time.monotonic() + self._limits.detached_scan_seconds
        while not all(scan.detach(spare) for scan in list(self._scans)):
            if not self._fewer_scans.wait(deadline - time.monotonic()):
                raise StorageError(
                    f"{self._path}: the memory map has to grow, which waits for scans that are open in this process and "
                    f"have more than {spare} bytes left. Nothing of the batch is stored; close the scans, and write again"
                )


def _last_transaction(environment: engine.Environment) -> int:
    with environment.begin() as transaction:
        return transaction.id()
