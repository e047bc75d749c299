"""A container as a RocksDB database: reading, scanning, writing, and going on after an I/O error."""

from __future__ import annotations

import errno
import logging
import weakref
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from itertools import islice
from typing import ClassVar, Final, TypeVar

from aimstore.abc import Capability, Item, KeyRange, Mode, Op
from aimstore.abc import WriteBatch as Batch
from aimstore.errors import AimstoreError, StorageError
from aimstore.storage import EmbeddedContainer
from aimstore_rocksdb import engine, files
from aimstore_rocksdb.config import RocksDBOptions
from aimstore_rocksdb.cursor import Cursor, erase
from aimstore_rocksdb.engine import NOT_OPEN, Rdict, WriteBatch
from aimstore_rocksdb.limits import RocksDBLimits

_T = TypeVar("_T")
_log: Final = logging.getLogger("aimstore.rocksdb")

_STEP_ITEMS: Final = 256
"""Items that a scan takes from RocksDB at a time."""


class RocksDBContainer(EmbeddedContainer[RocksDBOptions, RocksDBLimits]):
    """One database in one directory.

    After an I/O error, such as a full disk, RocksDB refuses every further write. So the container reopens the database
    and writes the batch once more. Where that fails too, nothing of the batch is stored, and each later write tries again.
    Scans that are open when the database is reopened raise `StorageError` at their next step.
    """

    capability: ClassVar[Capability] = Capability(
        persistent=True, multi_process=True, durable_sync=True, native_range_delete=True
    )

    options_type: ClassVar = RocksDBOptions
    limits_type: ClassVar = RocksDBLimits

    _db: Rdict = NOT_OPEN
    """`NOT_OPEN` before the database is opened, after `close()`, and after reopening failed."""
    _state: files.State | None = None
    _failure: AimstoreError | None = None
    """The error of the last write, until a write succeeds."""
    _written = 0
    """Bytes that this container wrote."""
    _logged = 0
    """Bytes that were written since the database was opened."""

    def _start(self) -> None:
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._open()

    def _open(self) -> None:
        if self.mode is Mode.READ:
            self._db, self._state = engine.open_for_reading(self._directory, self.path, self._options, self._limits)
        else:
            if self._lock is not None:
                self._lock.check()  # it may be long since the first opening
            self._db = self._opened_for_writing()
            self._logged = 0

    def _opened_for_writing(self) -> Rdict:
        return engine.open_for_writing(self._directory, self.path, self._options, self._limits)

    # Reading

    def _get(self, key: bytes) -> bytes | None:
        try:
            return self._db.get(key)
        except Exception as error:  # rocksdict raises no narrower class
            return self._once_more(error, "get", lambda db: db.get(key))

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        try:
            get = self._db.get
            return [get(key) for key in keys]  # 1.3 µs each; passing the list to RocksDB costs 2.3
        except Exception as error:  # as above
            return self._once_more(error, "get", lambda db: [db.get(key) for key in keys])

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        try:
            cursor = Cursor(self._db.iter(), keys, reverse)
        except Exception as error:  # as above
            cursor = self._once_more(error, "scan", lambda db: Cursor(db.iter(), keys, reverse))
        self._cursors.add(cursor)
        try:
            steps = 1  # many a scan is for one item
            while not cursor.ended:
                yield from self._take(cursor, steps)
                steps = _STEP_ITEMS
        finally:
            cursor.end()

    def _take(self, cursor: Cursor, steps: int) -> list[Item]:
        try:
            return cursor.take(steps)
        except AimstoreError:
            raise
        except Exception as error:  # as above
            raise engine.error_of(error, self.path, "scan") from error

    def _once_more(self, error: Exception, doing: str, action: Callable[[Rdict], _T]) -> _T:
        """Repeat `action` after an `error` that another thread caused by closing or reopening the database."""
        with self._mutex:
            self.check_open()
            if not isinstance(error, engine.GONE):
                raise engine.error_of(error, self.path, doing) from error
            if self._db is NOT_OPEN:
                self._open()
            try:
                return action(self._db)
            except Exception as again:  # as above
                raise engine.error_of(again, self.path, doing) from again

    def _refresh(self) -> None:
        with self._mutex:
            if self.mode is Mode.READ and files.state(self._directory) != self._state:
                try:
                    self._open()  # open scans keep the database that they began with
                except FileNotFoundError as error:
                    raise StorageError(f"{self.path} was deleted") from error

    # Writing

    def _write(self, batch: Batch) -> None:
        if engine.without_threads() and self._logged > self._options.write_buffer_size:
            self._write_out()
        self._change("write", lambda db: db.write(self._native(db, batch)), batch.nbytes)
        self._written += batch.nbytes
        self._logged += batch.nbytes

    def _flush(self, sync: bool) -> None:
        if sync:  # else there is nothing to do: a write has reached the operating system when it returns
            self._change("flush", lambda db: db.flush_wal(True), 0)

    def _change(self, doing: str, action: Callable[[Rdict], None], nbytes: int) -> None:
        if self._failure is None:
            try:
                return action(self._db)
            except Exception as error:  # rocksdict raises no narrower class
                self._failed(error, doing)
        with self._mutex:
            self.check_open()
            self._recover(doing, nbytes)
            try:
                action(self._db)
            except Exception as error:  # as above
                raise self._failed(error, doing) from error
            self._failure = None
        return None

    def _failed(self, error: Exception, doing: str) -> AimstoreError:
        if isinstance(error, AimstoreError):
            failure = error
        elif isinstance(error, engine.GONE):
            failure = StorageError(f"{self.path}: {doing}: the database was closed by an earlier error")
        else:
            failure = engine.error_of(error, self.path, doing)
        if type(failure) is not StorageError:  # reopening would not help
            raise failure from error
        self._failure = failure
        return failure

    def _recover(self, doing: str, nbytes: int) -> None:
        if self._db is not NOT_OPEN and not files.has_room(self._directory, nbytes):
            # reopening would fail, and end the reading that is still possible
            full = StorageError(f"{self.path}: {doing}: no space left in {self._directory}; nothing of it is stored")
            full.errno = errno.ENOSPC
            raise full from self._failure
        self._reopen()

    def _reopen(self) -> None:
        for cursor in list(self._cursors):
            cursor.fail(StorageError(f"{self.path}: the scan ended because the database was reopened; scan again"))
        if self._db is not NOT_OPEN:
            engine.release(self._db, self.path)
            self._db = NOT_OPEN
        self._open()

    def _write_out(self) -> None:
        """Do RocksDB's background work in the calling thread, unless scans are open."""
        if all(cursor.ended for cursor in list(self._cursors)):
            self._reopen()

    def _native(self, db: Rdict, batch: Batch) -> WriteBatch:
        native = WriteBatch(raw_mode=True)
        put, delete, is_put, is_delete = native.put, native.delete, Op.PUT, Op.DELETE
        for index, (op, key, value) in enumerate(batch.ops):
            if op is is_put:
                put(key, value)
            elif op is is_delete:
                delete(key)
            else:
                earlier = (key for op, key, _ in islice(batch.ops, index) if op is is_put)
                erase(native, db, KeyRange(key, value), earlier, self._limits.single_deletes)
        return native

    # Lifecycle

    def _close(self) -> None:
        if self._db is NOT_OPEN:
            return
        db, self._db = self._db, NOT_OPEN
        if self.mode is Mode.READ:
            return  # its last reference goes with this frame, or with the scans of an older state
        whole = False
        if self._failure is not None or not files.is_database(self._directory):  # it may have been deleted
            engine.release(db, self.path)
        elif engine.is_small(db, self._logged, self._limits):
            engine.release(db, self.path)
            whole = True
        elif engine.without_threads():
            engine.release(db, self.path)
            engine.release(self._opened_for_writing(), self.path)
        else:
            try:
                engine.settle(db, self._written, self._limits)
                whole = True
            except Exception as error:  # rocksdict raises no narrower class
                failure = engine.error_of(error, self.path, "not merged at close; the log keeps all that was written")
                _log.warning("%s", failure)
                engine.release(db, self.path)
        del db
        if whole:
            with suppress(OSError):  # without a seal it reads like one whose process died
                files.seal(self._directory)
        with suppress(FileNotFoundError):  # the container may have been deleted
            files.remove_events(self._directory)

    def _handles(self) -> Iterable[object]:
        return () if self._db is NOT_OPEN else (self._db,)
