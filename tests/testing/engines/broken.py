"""Engines with one fault each. What the kit is to find is beside them in `suites.py`."""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_right
from collections.abc import Generator
from pathlib import Path
from typing import Any, ClassVar

from log_engine import LogBackend, LogContainer, frame

from aimstore.abc import Capability, Container, Item, KeyRange, Lock, Mode, Op, State, WriteBatch
from aimstore.errors import LockedError, LockOwner
from aimstore.storage.memory import MemoryBackend, MemoryContainer, MemoryLock


class InMemory(MemoryBackend):
    """Containers in memory, of the class `Kind`."""

    Kind: ClassVar[type[MemoryContainer]] = MemoryContainer

    def __init__(self) -> None:
        super().__init__()
        self.capability = self.Kind.capability  # type: ignore[misc]

    def open(self, path: str, mode: Mode = Mode.READ, *, lock: Lock | None = None) -> Container:
        opened = super().open(path, mode, lock=lock)
        opened.__class__ = self.Kind
        return opened


class LosesLastItem(InMemory):
    class Kind(MemoryContainer):
        def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
            items = list(super()._scan(keys, reverse))
            yield from items if len(items) < 3 else items[:-1]


class EndsScansQuietly(InMemory):
    """Where a block cannot be read, say."""

    class Kind(MemoryContainer):
        def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
            for number, item in enumerate(super()._scan(keys, reverse)):
                if number == 2000:
                    return
                yield item


class ComparesText(InMemory):
    class Kind(MemoryContainer):
        def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
            items = list(super()._scan(keys, False))
            yield from sorted(items, key=lambda item: [(byte + 128) % 256 for byte in item[0]], reverse=reverse)


class IncludesStopInReverse(InMemory):
    class Kind(MemoryContainer):
        def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
            if reverse and keys.stop is not None and keys.start != keys.stop:
                keys = KeyRange(keys.start, keys.stop + b"\x00")
            yield from super()._scan(keys, reverse)


class ScansWhatIsThereNow(InMemory):
    class Kind(MemoryContainer):
        def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
            if reverse:
                yield from super()._scan(keys, reverse)
                return
            last = None
            while True:
                ordered, values = self._seen or self._store.snapshot()
                at = 0 if last is None else bisect_right(ordered, last)
                after = next((key for key in ordered[at:] if key in keys), None)
                if after is None:
                    return
                last = after
                yield after, values[after]


class ScansOutliveClose(InMemory):
    class Kind(MemoryContainer):
        def scan(self, keys: KeyRange, *, reverse: bool = False) -> Generator[Item, None, None]:
            self.check_open()
            keys.check()
            return self._scan(keys, reverse)


class AnswersWhenClosed(InMemory):
    class Kind(MemoryContainer):
        def get(self, key: bytes) -> bytes | None:
            return self._get(key)


class TakesEmptyForMissing(InMemory):
    class Kind(MemoryContainer):
        def _get(self, key: bytes) -> bytes | None:
            return super()._get(key) or None


class WritesOneByOne(InMemory):
    class Kind(MemoryContainer):
        def _write(self, batch: WriteBatch) -> None:
            for op in batch.ops:
                one = WriteBatch()
                one.ops.append(op)
                self._store.write(one)
                time.sleep(0)


class DeletesRangesFirst(InMemory):
    class Kind(MemoryContainer):
        def _write(self, batch: WriteBatch) -> None:
            sorted_batch = WriteBatch()
            sorted_batch.ops = sorted(batch.ops, key=lambda op: op[0] is not Op.DELETE_RANGE)
            super()._write(sorted_batch)


class LeavesTheOldWhenDeleted(InMemory):
    def delete(self, path: str) -> None:
        with self._changed:
            if path in self._stores:
                self.old = self._stores.pop(path)

    def open(self, path: str, mode: Mode = Mode.READ, *, lock: Lock | None = None) -> Container:
        if mode is Mode.WRITE and hasattr(self, "old"):
            self._stores.setdefault(path, self.old)
        return super().open(path, mode, lock=lock)


class NeverRefreshes(InMemory):
    class Kind(MemoryContainer):
        def _refresh(self) -> None:
            """Forgotten."""


class CutsLongKeys(InMemory):
    class Kind(MemoryContainer):
        def _write(self, batch: WriteBatch) -> None:
            cut = WriteBatch()
            cut.ops = [(op, key[:255], value) for op, key, value in batch.ops]
            super()._write(cut)

        def _get(self, key: bytes) -> bytes | None:
            return super()._get(key[:255])


class PromisesTooLongKeys(InMemory):
    class Kind(MemoryContainer):
        capability: ClassVar[Capability] = Capability(native_range_delete=True, max_key_size=200)

        def _write(self, batch: WriteBatch) -> None:
            if any(len(key) >= 200 for _, key, _ in batch.ops):
                raise ValueError("bad size")
            super()._write(batch)


class MakesWhatItReads(InMemory):
    def open(self, path: str, mode: Mode = Mode.READ, *, lock: Lock | None = None) -> Container:
        if mode is Mode.READ and path not in self._stores:
            super().open(path, Mode.WRITE).close()
        return super().open(path, mode, lock=lock)


class KnowsVersionsBySize(InMemory):
    def version(self, path: str) -> str | None:
        return str(self.size(path)) if self.exists(path) else None


class WritesWithoutItsLock(InMemory):
    class Kind(MemoryContainer):
        def write(self, batch: WriteBatch) -> None:
            self._lock = None
            super().write(batch)


class LockAdmitsTwo(InMemory):
    def lock(self, path: str, *, timeout: float = 0.0, maintenance: bool = False) -> Lock:
        if path in self._held and timeout > 0:  # breaks what it takes for stale
            self._held[path] = MemoryLock(self, path, self._held[path].owner)
            return self._held[path]
        return super().lock(path, timeout=timeout, maintenance=maintenance)


class ForgetsMarkers(InMemory):
    def mark(self, path: str) -> None:
        self._marked = {path}


# In files


class HalfBatchesInFiles(LogBackend):
    class Kind(LogContainer):
        def _append(self, ops: list[list[Any]]) -> None:
            for op in ops:
                super()._append([op])


class WritesLater(LogBackend):
    """When it is closed."""

    class Kind(LogContainer):
        def _append(self, ops: list[list[Any]]) -> None:
            vars(self).setdefault("_later", []).append(ops)

        def _close(self) -> None:
            for ops in vars(self).get("_later", ()):
                super()._append(ops)
            super()._close()


class OpensOnlyCleanLogs(LogBackend):
    class Kind(LogContainer):
        def _append(self, ops: list[list[Any]]) -> None:
            data = frame(json.dumps(ops).encode())
            for at in range(0, len(data), len(data) // 4):
                self._end += os.pwrite(self._file, data[at : at + len(data) // 4], self._end)
                time.sleep(0.0002)

        def _replay(self) -> None:
            super()._replay()
            if self._end < os.fstat(self._file).st_size:
                self._corrupt()


class SwallowsCorruption(LogBackend):
    class Kind(LogContainer):
        def _corrupt(self) -> None:
            """Takes it for the end."""


class ChildrenReleaseLocks(LogBackend):
    class Kind(LogContainer):
        def close(self) -> None:
            super().close()
            if self._lock is not None and self.state is State.FORKED:
                Path(self._lock._file).unlink(missing_ok=True)  # type: ignore[attr-defined]


class _PidLock(Lock):
    """A file with a process id in it, which is how it is done in many places."""

    def __init__(self, path: str, file: Path) -> None:
        super().__init__(path, LockOwner("host", os.getpid(), time.time(), str(time.time_ns())))
        self.file = file

    def check(self) -> None:
        """It is believed to be held."""

    def contended(self) -> bool:
        return False

    def release(self) -> None:
        self.file.unlink(missing_ok=True)


class LocksAreFilesLeftBehind(LogBackend):
    def lock(self, path: str, *, timeout: float = 0.0, maintenance: bool = False) -> Lock:
        file = self.files_of(path).lock
        file.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + min(timeout, 1)
        while True:
            try:
                os.close(os.open(file, os.O_CREAT | os.O_EXCL))
                return _PidLock(path, file)
            except FileExistsError:
                if time.monotonic() > deadline:
                    raise LockedError(f"{path} is locked", LockOwner("host", 1, 0.0, "")) from None
                time.sleep(0.001)


class LocksAreLookedAtFirst(LogBackend):
    """Between looking and making there is time for another."""

    def lock(self, path: str, *, timeout: float = 0.0, maintenance: bool = False) -> Lock:
        file = self.files_of(path).lock
        file.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + min(timeout, 1)
        while file.exists():
            if time.monotonic() > deadline:
                raise LockedError(f"{path} is locked", LockOwner("host", 1, 0.0, ""))
            time.sleep(0.001)
        time.sleep(0.0005)
        file.touch()
        return _PidLock(path, file)
