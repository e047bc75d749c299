"""A container as a RocksDB database: reading, scanning, writing, and going on after an I/O error."""

from __future__ import annotations

import errno
import logging
import weakref
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import ClassVar, TypeVar

from aimstore.abc import Capability, Container, Item, KeyRange, Lock, Mode, Op
from aimstore.abc import WriteBatch as Batch
from aimstore.errors import AimstoreError, StorageError
from aimstore_rocksdb import engine, files
from aimstore_rocksdb.config import RocksDBOptions
from aimstore_rocksdb.cursor import Cursor, erase
from aimstore_rocksdb.engine import Rdict, WriteBatch

_T = TypeVar("_T")
_log = logging.getLogger("aimstore.rocksdb")

_STEPS = 256
"""Items that a scan takes from RocksDB at a time."""


class RocksDBContainer(Container):
    """One database in one directory.

    A write that an I/O error stopped, such as a full disk, is tried once more on the database opened anew, since
    RocksDB refuses every further write otherwise. Where that fails too, nothing of the batch is stored, and each later
    write tries again. Scans that are open when the database is opened anew raise `StorageError` at their next step.
    """

    capability: ClassVar[Capability] = Capability(
        persistent=True, multi_process=True, durable_sync=True, native_range_delete=True
    )

    _db: Rdict
    """Absent while there is no open database: after `close()`, and after it could not be opened anew."""

    def __init__(
        self,
        path: str,
        directory: Path,
        mode: Mode = Mode.WRITE,
        lock: Lock | None = None,
        options: RocksDBOptions | None = None,
    ) -> None:
        """
        Args:
            path: where it lies in its backend; shown in errors.
            directory: of the database. For writing it is made where it does not exist; its parent does.
            mode: reading or writing.
            lock: checked before each write; released by `close()` where this container owns it.
            options: the defaults where None.

        Raises:
            FileNotFoundError: for reading, and there is no database.
            LockedError: for writing, and another process has the database open for writing.
            CorruptionError, StorageError: it cannot be opened.
        """
        super().__init__(path, mode, lock)
        self._directory = directory
        self._options = options or RocksDBOptions()
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._written = 0  # bytes, by this container
        self._logged = 0  # bytes, since the database was opened
        self._failure: AimstoreError | None = None  # of the last write, until one succeeds
        self._state: files.State | None = None
        self._open()

    def _open(self) -> None:
        if self.mode is Mode.READ:
            self._db, self._state = engine.open_for_reading(self._directory, self.path, self._options)
        else:
            if self._lock is not None:
                self._lock.check()  # it may be long since the first opening
            self._db = engine.open_for_writing(self._directory, self.path, self._options)
            self._logged = 0

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
                steps = _STEPS
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
        """What `action` gives where `error` came of another thread that closed the database or opened it anew."""
        with self._mutex:
            if self._unusable is not None:
                self._refuse()
            if not isinstance(error, (AttributeError, *engine.GONE)):
                raise engine.error_of(error, self.path, doing) from error
            if not hasattr(self, "_db"):
                self._open()
            try:
                return action(self._db)
            except Exception as again:  # as above
                raise engine.error_of(again, self.path, doing) from again

    def _refresh(self) -> None:
        with self._mutex:
            if self.mode is Mode.READ and files.state(self._directory) != self._state:
                try:
                    self._open()  # a scan keeps the database that it began with
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
        db: Rdict | None = getattr(self, "_db", None)
        if db is not None and self._failure is None:
            try:
                return action(db)
            except Exception as error:  # rocksdict raises no narrower class
                self._failed(error, doing)
        del db
        with self._mutex:
            if self._unusable is not None:
                self._refuse()
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
        if type(failure) is not StorageError:  # nothing that opening anew could mend
            raise failure from error
        self._failure = failure
        return failure

    def _recover(self, doing: str, nbytes: int) -> None:
        if hasattr(self, "_db") and not files.has_room(self._directory, nbytes):
            # opening anew would fail, and end the reading that is still possible
            full = StorageError(f"{self.path}: {doing}: no space left in {self._directory}; nothing of it is stored")
            full.errno = errno.ENOSPC
            raise full from self._failure
        self._reopen()

    def _reopen(self) -> None:
        for cursor in list(self._cursors):
            cursor.fail(StorageError(f"{self.path}: the scan ended when the database was opened anew"))
        if hasattr(self, "_db"):
            engine.release(self._db, self.path)
            del self._db
        self._open()

    def _write_out(self) -> None:
        """Do in the calling thread what RocksDB's threads do elsewhere. Open scans have precedence."""
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
                erase(native, db, KeyRange(key, value), earlier)
        return native

    # Lifecycle

    def _close(self) -> None:
        if not hasattr(self, "_db"):
            return
        db = self._db
        del self._db
        if self.mode is Mode.READ:
            return  # its last reference goes with this frame, or with the scans of an older state
        whole = False
        if self._failure is not None or not files.is_database(self._directory):  # it may have been deleted
            engine.release(db, self.path)
        elif engine.is_small(db, self._logged):
            engine.release(db, self.path)
            whole = True
        elif engine.without_threads():
            engine.release(db, self.path)
            engine.release(engine.open_for_writing(self._directory, self.path, self._options), self.path)
        else:
            try:
                engine.settle(db, self._written)
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
        return (self._db,) if hasattr(self, "_db") else ()
