"""The container contract: one ordered map of bytes, one writer, many readers."""

from __future__ import annotations

import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from enum import Enum
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

from aimstore.abc.batch import KeyRange, WriteBatch
from aimstore.abc.capability import Capability
from aimstore.errors import ClosedError, ReadOnlyError, UnsupportedError
from aimstore.process.forking import keep_alive, track_forks

if TYPE_CHECKING:
    from aimstore.abc.backend import Lock

Item = tuple[bytes, bytes]

_EVERYTHING = KeyRange()


class Mode(Enum):
    """How a container is opened."""

    READ = "read"
    WRITE = "write"


class Container(ABC):
    """An ordered map `bytes → bytes`.

    The law, for every engine:

    *Order.* Keys have 1 byte to `capability.max_key_size` bytes and compare as bytes. Scans run in that order, or in
    reverse.

    *Atomicity.* A `WriteBatch` is applied whole or not at all, also across a crash. Within it, operations take effect in
    order. An empty range delete does nothing; a reversed one raises `ValueError` before anything is written.

    *Snapshots.* A scan sees the container as it was when the scan was made, whatever is written meanwhile. It gives every
    item of its range or raises; it never ends early.

    *Integrity.* Bytes come back as written, or `CorruptionError` is raised. An engine without checksums adds one.

    *Visibility.* A writer reads its own writes at once. Readers in other processes see committed batches when they open
    the container or call `refresh()`, never part of a batch.

    *Ownership.* A container opened for writing owns its lock: `close()` releases it, unless the lock was handed in.
    Every write first checks that the lock is still held, and raises `FencedError` where it was lost.

    *Lifecycle.* `close()` ends open scans (their next step raises) and may be called again; any other later call raises
    `ClosedError`. In a forked child every call raises `ClosedError`, and nothing of the parent's is touched or released.

    *Threads.* All methods may be called from several threads. One scan belongs to one thread at a time.

    *Errors.* Engines raise nothing of their own: `StorageError` (the I/O failed), `CorruptionError`, `ReadOnlyError`,
    `UnsupportedError`, `ClosedError`, `FencedError`.

    An engine implements `_get`, `_scan`, `_write` and `_close`, and where it has them `_flush`, `_refresh` and `_handles`.
    The public methods check their arguments once and derive the rest; each may be overridden where an engine is faster.
    """

    capability: ClassVar[Capability] = Capability()

    def __init__(self, path: str, mode: Mode = Mode.WRITE, lock: Lock | None = None) -> None:
        """
        Args:
            path: where it lies in its backend; shown in errors.
            mode: reading or writing.
            lock: checked before each write; released by `close()` where this container owns it.
        """
        self.path = path
        self.mode = mode
        self._lock = lock
        self._unusable: str | None = None
        self._scans: weakref.WeakSet[Generator[Item, None, None]] = weakref.WeakSet()
        self._mutex = RLock()
        track_forks(self)

    # What an engine implements

    @abstractmethod
    def _get(self, key: bytes) -> bytes | None:
        """The value under `key`, or None."""

    @abstractmethod
    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        """A generator over the items of a range, one consistent snapshot, released when the generator is closed.

        The snapshot must be taken at the first `next()` at the latest; the base class asks for the first item at once.
        It keeps no writer waiting, in this process or another: an engine without old versions copies the range.
        """

    @abstractmethod
    def _write(self, batch: WriteBatch) -> None:
        """Apply `batch` atomically. Holds range deletes only where `capability.native_range_delete`."""

    @abstractmethod
    def _close(self) -> None:
        """Release the engine's handle. Called once; no scan is open, but another thread may be inside `_get` or a scan's first
        step: an engine that cannot take that serializes its calls, and raises `ClosedError` (`_refuse`) in the late one.
        """

    def _flush(self, sync: bool) -> None:  # noqa: B027  an engine that writes through has nothing to do
        """Make what was written survive the process (`sync=False`) or the machine (`sync=True`)."""

    def _refresh(self) -> None:  # noqa: B027  an engine without a reader's snapshot has nothing to do
        """Let a reader see what is committed now."""

    def _handles(self) -> Iterable[object]:
        """Engine objects that must never be released in a forked child.

        Asked for in the child. `__init__` of this class registers for that: until then a fork must not find an open handle.
        """
        return ()

    # Reading

    def get(self, key: bytes) -> bytes | None:
        """The value under `key`, or None where there is none."""
        if self._unusable is not None:
            self._refuse()
        return self._get(key)

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """The values under `keys`, in their order, None where there is none. One round trip where the engine can."""
        if self._unusable is not None:
            self._refuse()
        return self._get_many(list(keys))

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return [self._get(key) for key in keys]

    def exists(self, key: bytes) -> bool:
        """Whether there is a value under `key`."""
        return self.get(key) is not None

    def items(self, prefix: bytes = b"", *, reverse: bool = False) -> Generator[Item, None, None]:
        """The items whose keys begin with `prefix`, in key order; a snapshot taken now."""
        return self.scan(KeyRange.prefix(prefix) if prefix else _EVERYTHING, reverse=reverse)

    def scan(self, keys: KeyRange, *, reverse: bool = False) -> Generator[Item, None, None]:
        """The items of a range, in key order or reversed; a snapshot taken now. Close the generator to free it early."""
        if self._unusable is not None:
            self._refuse()
        keys.check()
        scan = self._guarded(self._scan(keys, reverse))
        next(scan)  # runs to the first item, so that the snapshot is of now
        return scan

    def _guarded(self, scan: Generator[Item, None, None]) -> Generator[Item, None, None]:
        with self._mutex:
            self._scans.add(scan)
        try:
            item = next(scan, None)
            yield b"", b""  # swallowed by scan()
            if item is not None and self._unusable is None:
                yield item
                if self._unusable is None:
                    for item in scan:
                        yield item
                        if self._unusable is not None:  # in a forked child the engine's scan must not be touched
                            break
            if self._unusable is not None:  # closing ends the engine's scan; the items may not have been all
                self._refuse()
        finally:
            if self._unusable is None:
                scan.close()

    def keys(self, prefix: bytes = b"", *, reverse: bool = False) -> Iterator[bytes]:
        """The keys that begin with `prefix`."""
        return (key for key, _ in self.items(prefix, reverse=reverse))

    def first(self, prefix: bytes = b"") -> Item | None:
        """The least item whose key begins with `prefix`, or None."""
        return self._one(prefix, reverse=False)

    def last(self, prefix: bytes = b"") -> Item | None:
        """The greatest item whose key begins with `prefix`, or None."""
        return self._one(prefix, reverse=True)

    def _one(self, prefix: bytes, *, reverse: bool) -> Item | None:
        scan = self.items(prefix, reverse=reverse)
        try:
            return next(scan, None)
        finally:
            scan.close()

    def refresh(self) -> None:
        """Let a reader see what other processes have committed. On a writer it does nothing."""
        if self._unusable is not None:
            self._refuse()
        self._refresh()

    # Writing

    def put(self, key: bytes, value: bytes) -> None:
        """Store one value. Where there are several, a batch is much cheaper."""
        batch = WriteBatch()
        batch.put(key, value)
        self.write(batch)

    def delete(self, key: bytes) -> None:
        """Remove one key; a missing one is no error."""
        batch = WriteBatch()
        batch.delete(key)
        self.write(batch)

    def delete_range(self, keys: KeyRange) -> None:
        """Remove the keys of a range."""
        batch = WriteBatch()
        batch.delete_range(keys)
        self.write(batch)

    def write(self, batch: WriteBatch) -> None:
        """Apply `batch` atomically; when this returns, it is in the engine's log and this container reads it.

        Raises:
            ReadOnlyError: the container is open for reading.
            UnsupportedError: a key is longer than the engine takes; nothing is written.
            FencedError: the lock was lost; nothing is written.
            StorageError: the engine failed; nothing is written, and the same batch may be tried again.
        """
        if self._unusable is not None:
            self._refuse()
        if self.mode is Mode.READ:
            raise ReadOnlyError(f"{self.path} is open for reading")
        self._check_key_sizes(batch)
        if not batch.ops:
            return
        with self._mutex:
            if self._unusable is not None:
                self._refuse()
            if self._lock is not None:
                self._lock.check()
            self._write(batch if self.capability.native_range_delete else self._without_ranges(batch))

    def _check_key_sizes(self, batch: WriteBatch) -> None:
        limit = self.capability.max_key_size
        if limit is not None:
            for _, key, _ in batch.ops:
                if len(key) > limit:
                    raise UnsupportedError(
                        f"{self.path}: a key of {len(key)} bytes; this engine takes {limit} at most ({key!r:.60})"
                    )

    def _without_ranges(self, batch: WriteBatch) -> WriteBatch:
        plain = WriteBatch()
        for key, value in batch.final(self._existing).items():
            if value is None:
                plain.delete(key)
            else:
                plain.put(key, value)
        return plain

    def _existing(self, keys: KeyRange) -> Iterator[bytes]:
        return (key for key, _ in self._scan(keys, False))

    def flush(self, *, sync: bool = False) -> None:
        """Return when all that was written survives the process, or with `sync` (see `durable_sync`) the machine."""
        if self._unusable is not None:
            self._refuse()
        if self.mode is Mode.WRITE:
            self._flush(sync)

    # Lifecycle

    @property
    def closed(self) -> bool:
        return self._unusable is not None

    def close(self) -> None:
        """End open scans, release the handle, and the lock where it is owned. A second call does nothing."""
        with self._mutex:
            if self._unusable is not None:
                return
            self._unusable = "is closed"
            scans = list(self._scans)
        for scan in scans:
            _end(scan)
        try:
            self._close()
        finally:
            if self._lock is not None and self._lock.owned_by(self):
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _after_fork_in_child(self) -> None:
        if self._unusable is None:
            self._unusable = "was opened by the parent process; a forked child opens its own"
            self._mutex = RLock()  # another thread of the parent may have held it
            for handle in (*self._handles(), *self._scans):
                keep_alive(handle)

    def _refuse(self) -> NoReturn:
        raise ClosedError(f"container {self.path} {self._unusable}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r} {self.mode.value}{' closed' if self.closed else ''}>"


def _end(scan: Generator[Item, None, None]) -> None:
    while True:
        try:
            return scan.close()
        except ValueError:  # another thread is inside its step, and leaves after that one item
            time.sleep(0.0005)
