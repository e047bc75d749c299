"""The container contract: one ordered map of bytes, one writer, many readers."""

from __future__ import annotations

import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator
from enum import Enum
from threading import RLock
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from aimstore.abc.batch import KeyRange, WriteBatch
from aimstore.abc.capability import Capability
from aimstore.abc.closing import Closing
from aimstore.abc.state import OPEN, State
from aimstore.errors import ReadOnlyError, UnsupportedError
from aimstore.process.forking import keep_alive, track_forks

if TYPE_CHECKING:
    from aimstore.abc.backend import Lock

Item: TypeAlias = tuple[bytes, bytes]
"""A key and its value."""

_EVERYTHING: Final = KeyRange()
_RETRY_SECONDS: Final = 0.0005


class Mode(Enum):
    """How a container is opened."""

    READ = "read"
    WRITE = "write"


class Container(Closing, ABC):
    """An ordered map `bytes → bytes`.

    The law, for every engine:

    *Order.* Keys have 1 to `capability.max_key_size` bytes and compare as bytes. Scans run in that order or in reverse.

    *Atomicity.* A `WriteBatch` is applied whole or not at all, also across a crash. Within it, operations take effect in
    order. An empty range delete does nothing; a reversed one raises `ValueError` before anything is written.

    *Snapshots.* A scan shows the container as it was when the scan was made, whatever is written meanwhile. It yields
    every item of its range or raises; it never ends early.

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

    *Implementing an engine.* An engine overrides the hooks `_get`, `_scan`, `_write` and `_close`. Where it can do better
    than the defaults it also overrides `_get_many`, `_flush`, `_refresh`, `_handles` and `_keys_in`. The public methods
    check the state and the arguments, then call the hooks; an engine may override them where it is faster. The hooks may
    use:

    - `path`, `mode` and `capability`;
    - `check_open()`, which raises where another thread has closed the container meanwhile;
    - `_mutex`, a reentrant lock that is held while `_write` runs and while the state changes;
    - `_lock`, the lock that the container was opened with, or None.

    Attributes:
        path: the container's path in its backend; shown in errors.
        mode: reading or writing.
        state: whether the container can be used; only this class sets it.
    """

    capability: ClassVar[Capability] = Capability()

    def __init__(self, path: str, mode: Mode = Mode.WRITE, lock: Lock | None = None) -> None:
        """
        Args:
            path: the container's path in its backend.
            mode: reading or writing.
            lock: checked before each write; `close()` releases it where this container owns it.
        """
        self.path = path
        self.mode = mode
        self.state = OPEN
        self._lock = lock
        self._scans: weakref.WeakSet[Generator[Item, None, None]] = weakref.WeakSet()
        self._mutex = RLock()
        track_forks(self)

    # What an engine implements

    @abstractmethod
    def _get(self, key: bytes) -> bytes | None:
        """The value under `key`, or None."""

    @abstractmethod
    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        """A generator over the items of a range: one consistent snapshot, released when the generator is closed.

        Take the snapshot at the first `next()` at the latest; the base class asks for the first item at once. A scan keeps
        no writer waiting, in this process or another: an engine without old versions copies the range.
        """

    @abstractmethod
    def _write(self, batch: WriteBatch) -> None:
        """Apply `batch` atomically. It holds range deletes only where `capability.native_range_delete` is set."""

    @abstractmethod
    def _close(self) -> None:
        """Release the engine's handle. Called once.

        No scan is open, but another thread may be inside `_get` or the first step of a scan. An engine that cannot take
        that serializes its calls, and begins each one with `check_open()`.
        """

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The values under `keys`, in their order. Override it where the engine can look them up in one round trip."""
        return [self._get(key) for key in keys]

    def _keys_in(self, keys: KeyRange) -> Iterator[bytes]:
        """The keys of a range, to turn its deletion into single ones. Override it where reading no values is faster."""
        return (key for key, _ in self._scan(keys, False))

    def _flush(self, sync: bool) -> None:
        """Make what was written survive the end of the process (`sync=False`) or a crash of the machine (`sync=True`)."""

    def _refresh(self) -> None:
        """Show a reader what is committed now."""

    def _handles(self) -> Iterable[object]:
        """Engine objects that must never be released in a forked child; called in the child.

        `__init__` of this class registers the container for forks, so open no handle before it, unless a fork is excluded.
        """
        return ()

    # Reading

    def get(self, key: bytes) -> bytes | None:
        """The value under `key`, or None where there is none."""
        if self.state is not OPEN:  # get() is called most: a comparison costs a third of a call
            self.check_open()
        return self._get(key)

    def get_many(self, keys: Iterable[bytes]) -> list[bytes | None]:
        """The values under `keys`, in their order, None where there is none. One round trip where the engine can."""
        self.check_open()
        return self._get_many(list(keys))

    def exists(self, key: bytes) -> bool:
        """Whether there is a value under `key`."""
        return self.get(key) is not None

    def items(self, prefix: bytes = b"", *, reverse: bool = False) -> Generator[Item, None, None]:
        """The items whose keys begin with `prefix`, in key order; a snapshot taken now."""
        return self.scan(KeyRange.prefix(prefix) if prefix else _EVERYTHING, reverse=reverse)

    def scan(self, keys: KeyRange, *, reverse: bool = False) -> Generator[Item, None, None]:
        """The items of a range, in key order or reversed; a snapshot taken now. Close the generator to free it early."""
        self.check_open()
        keys.check()
        scan = self._scan(keys, reverse)
        with self._mutex:
            self._scans.add(scan)
        first = next(scan, None)  # at once, so that the snapshot is of now
        return self._guarded(scan, first)

    def _guarded(self, scan: Generator[Item, None, None], first: Item | None) -> Generator[Item, None, None]:
        """`first` and the rest of `scan`, which the container's closing or a fork ends with an error."""
        try:
            if first is not None and self.state is OPEN:
                yield first
                if self.state is OPEN:
                    for item in scan:
                        yield item
                        if self.state is not OPEN:  # in a forked child the engine's scan must not be touched
                            break
            self.check_open()  # closing ended the engine's scan; there may have been more items
        finally:
            if self.state is OPEN:
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
        """Show a reader what other processes have committed. On a writer it does nothing."""
        self.check_open()
        self._refresh()

    # Writing

    def put(self, key: bytes, value: bytes) -> None:
        """Store one value. To store several, write a batch: it is much cheaper."""
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
            UnsupportedError: a key is longer than the engine supports; nothing is written.
            FencedError: the lock was lost; nothing is written.
            StorageError: the engine failed; nothing is written, and the same batch may be written again.
        """
        self.check_open()
        if self.mode is Mode.READ:
            raise ReadOnlyError(f"{self.path} is open for reading")
        self._check_key_sizes(batch)
        if not batch.ops:
            return
        with self._mutex:
            self.check_open()
            if self._lock is not None:
                self._lock.check()
            self._write(batch if self.capability.native_range_delete else self._without_ranges(batch))

    def _check_key_sizes(self, batch: WriteBatch) -> None:
        limit = self.capability.max_key_size
        if limit is not None:
            for _, key, _ in batch.ops:
                if len(key) > limit:
                    raise UnsupportedError(
                        f"{self.path}: a key of {len(key)} bytes; this engine takes at most {limit} ({key!r:.60})"
                    )

    def _without_ranges(self, batch: WriteBatch) -> WriteBatch:
        plain = WriteBatch()
        for key, value in batch.final(self._keys_in).items():
            if value is None:
                plain.delete(key)
            else:
                plain.put(key, value)
        return plain

    def flush(self, *, sync: bool = False) -> None:
        """Return when everything written survives the end of the process; with `sync`, a crash of the machine.

        `sync` keeps that promise where the engine declares `durable_sync`.
        """
        self.check_open()
        if self.mode is Mode.WRITE:
            self._flush(sync)

    # Lifecycle

    @property
    def closed(self) -> bool:
        """Whether the container can no longer be used."""
        return self.state is not OPEN

    def check_open(self) -> None:
        """Return if the container can be used.

        Raises:
            ClosedError: the container is closed, or belongs to the parent process.
        """
        if self.state is not OPEN:
            raise self.state.error(f"container {self.path}")

    def close(self) -> None:
        """End open scans, release the handle, and release the lock where the container owns it.

        A second call does nothing.
        """
        with self._mutex:
            if self.state is not OPEN:
                return
            self.state = State.CLOSED
            scans = list(self._scans)
        for scan in scans:
            _end(scan)
        try:
            self._close()
        finally:
            if self._lock is not None and self._lock.owned_by(self):
                self._lock.release()

    def _after_fork_in_child(self) -> None:
        if self.state is OPEN:
            self.state = State.FORKED
            self._mutex = RLock()  # another thread of the parent may have held it
            for handle in (*self._handles(), *self._scans):
                keep_alive(handle)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r} {self.mode.value}{' closed' if self.closed else ''}>"


def _end(scan: Generator[Item, None, None]) -> None:
    while True:
        try:
            return scan.close()
        except ValueError:  # another thread is inside the scan's step, and leaves after that item
            time.sleep(_RETRY_SECONDS)
