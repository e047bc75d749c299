"""Containers in memory: the oracle of the tests, and the backend `memory` for repositories that end with the process."""

from __future__ import annotations

import builtins
import itertools
import os
import secrets
import socket
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, RLock
from typing import Any, ClassVar, Final

from aimstore.abc import OPEN, Backend, Capability, Container, Item, KeyRange, Lock, Mode, Op, State, WriteBatch
from aimstore.errors import LockedError, LockOwner
from aimstore.plugins.options import Options
from aimstore.process.forking import track_forks

_versions: Final = itertools.count(1)


class _Store:
    """The data of one container. `snapshot()` is free; the first write after it copies."""

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._values: dict[bytes, bytes] = {}
        self._shared = False
        self._mutex = RLock()
        self.version = next(_versions)

    def snapshot(self) -> tuple[list[bytes], dict[bytes, bytes]]:
        """Keys in order, and the values; neither changes any more."""
        with self._mutex:
            self._shared = True
            return self._keys, self._values

    def get(self, key: bytes) -> bytes | None:
        with self._mutex:
            return self._values.get(key)

    def write(self, batch: WriteBatch) -> None:
        with self._mutex:
            if self._shared:
                self._keys, self._values, self._shared = self._keys.copy(), self._values.copy(), False
            for op, key, value in batch.ops:
                if op is Op.DELETE_RANGE:
                    self._drop(_span(self._keys, KeyRange(key, value)))
                elif op is Op.DELETE:
                    if key in self._values:
                        at = bisect_left(self._keys, key)
                        self._drop(slice(at, at + 1))
                else:
                    assert value is not None
                    if key not in self._values:
                        insort(self._keys, key)
                    self._values[key] = value
            self.version = next(_versions)

    def _drop(self, span: slice) -> None:
        for key in self._keys[span]:
            del self._values[key]
        del self._keys[span]


def _span(ordered: list[bytes], keys: KeyRange) -> slice:
    stop = len(ordered) if keys.stop is None else bisect_left(ordered, keys.stop)
    return slice(bisect_left(ordered, keys.start), stop)


class MemoryContainer(Container):
    """A container in the memory of this process. A reader sees the state of its opening or last refresh.

    Args:
        path, mode, lock: see `Container`.
        store: data shared with other containers; by default its own.
    """

    capability: ClassVar[Capability] = Capability(native_range_delete=True)

    def __init__(
        self, path: str = "memory", mode: Mode = Mode.WRITE, lock: Lock | None = None, store: _Store | None = None
    ) -> None:
        super().__init__(path, mode, lock)
        self._store = store or _Store()
        self._seen = self._store.snapshot() if mode is Mode.READ else None

    def _get(self, key: bytes) -> bytes | None:
        return self._store.get(key) if self._seen is None else self._seen[1].get(key)

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        ordered, values = self._seen or self._store.snapshot()
        span = range(len(ordered))[_span(ordered, keys)]
        for at in reversed(span) if reverse else span:
            yield ordered[at], values[ordered[at]]

    def _write(self, batch: WriteBatch) -> None:
        self._store.write(batch)

    def _refresh(self) -> None:
        if self._seen is not None:
            self._seen = self._store.snapshot()

    def _close(self) -> None:
        self._seen = None


class MemoryBackend(Backend):
    """A repository in the memory of this process, which ends with the backend. A forked child finds it empty."""

    capability: ClassVar[Capability] = MemoryContainer.capability

    def __init__(self) -> None:
        self._reset()
        track_forks(self)

    def _reset(self) -> None:
        self._stores: dict[str, _Store] = {}
        self._marked: set[str] = set()
        self._held: dict[str, MemoryLock] = {}
        self._queues: dict[str, deque[object]] = {}
        self._changed = Condition()

    def _after_fork_in_child(self) -> None:
        for held in self._held.values():
            held.state = State.FORKED
        self._reset()

    def open(self, path: str, mode: Mode = Mode.READ, *, lock: Lock | None = None) -> Container:
        if mode is Mode.READ:
            with self._changed:
                if path not in self._stores:
                    raise FileNotFoundError(f"no container {path}")
                return MemoryContainer(path, mode, None, self._stores[path])
        if lock is not None and lock.path != path:
            raise ValueError(f"the lock of {lock.path} does not open {path} for writing")
        held = lock or self.lock(path)
        held.check()
        with self._changed:
            container = MemoryContainer(path, mode, held, self._stores.setdefault(path, _Store()))
        if lock is None:
            held.give_to(container)
        return container

    def list(self, prefix: str) -> builtins.list[str]:
        with self._changed:
            return sorted(path for path in self._stores if path.startswith(prefix))

    def exists(self, path: str) -> bool:
        return path in self._stores

    def delete(self, path: str) -> None:
        with self._changed:
            self._stores.pop(path, None)

    def version(self, path: str) -> str | None:
        with self._changed:
            return str(self._stores[path].version) if path in self._stores else None

    def size(self, path: str) -> int:
        with self._changed:
            _, values = self._stores[path].snapshot() if path in self._stores else ([], {})
        return sum(len(key) + len(value) for key, value in values.items())

    def lock(self, path: str, *, timeout: float = 0.0, maintenance: bool = False) -> Lock:
        with self._changed:
            if not (path not in self._held if timeout <= 0 else self._wait(path, timeout)):
                owner = self.lock_owner(path)
                raise LockedError(f"{path} is locked by another writer in this process; close that writer", owner)
            owner = LockOwner(socket.gethostname(), os.getpid(), time.time(), secrets.token_hex(8), maintenance)
            self._held[path] = MemoryLock(self, path, owner)
            return self._held[path]

    def _wait(self, path: str, timeout: float) -> bool:
        queue = self._queues.setdefault(path, deque())
        place = object()
        queue.append(place)
        try:
            return self._changed.wait_for(lambda: path not in self._held and queue[0] is place, timeout)
        finally:
            queue.remove(place)
            if not queue:
                del self._queues[path]
            self._changed.notify_all()

    def lock_owner(self, path: str) -> LockOwner | None:
        held = self._held.get(path)
        return held.owner if held else None

    def mark(self, path: str) -> None:
        with self._changed:
            self._marked.add(path)

    def unmark(self, path: str) -> None:
        with self._changed:
            self._marked.discard(path)

    def marked(self, prefix: str) -> builtins.list[str]:
        with self._changed:
            return sorted(path for path in self._marked if path.startswith(prefix))


class MemoryLock(Lock):
    """A lock of a `MemoryBackend`."""

    def __init__(self, backend: MemoryBackend, path: str, owner: LockOwner) -> None:
        super().__init__(path, owner)
        self._backend = backend

    def check(self) -> None:
        self.check_held()

    def contended(self) -> bool:
        self.check_held()
        return bool(self._backend._queues.get(self.path))

    def release(self) -> None:
        with self._backend._changed:
            if self.state is OPEN:
                self.state = State.RELEASED
                del self._backend._held[self.path]
                self._backend._changed.notify_all()


_shared: Final[dict[str, MemoryBackend]] = {}
_shared_mutex: Final = RLock()


@dataclass(frozen=True)
class MemoryOptions(Options, engine="memory"):
    """The options of the memory backend: none."""


class _OpenShared:
    capability: ClassVar[Capability] = MemoryBackend.capability

    def __call__(self, root: Path | str, options: Mapping[str, Any] | None = None) -> MemoryBackend:
        MemoryOptions.parse(options or {})
        with _shared_mutex:
            return _shared.setdefault(os.path.realpath(root), MemoryBackend())


open_shared: Final = _OpenShared()
"""`open_shared(root, options)` is the backend of the repository at `root`: the same for everyone in this process.

Raises `ConfigError` where options are given, since there are none.
"""
