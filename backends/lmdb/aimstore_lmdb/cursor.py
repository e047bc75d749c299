"""A position in the items of an environment, which a scan holds between its steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Final
from zlib import crc32

from aimstore.abc import Item, KeyRange
from aimstore.errors import CorruptionError
from aimstore_lmdb import engine
from aimstore_lmdb.environment import SharedEnvironment
from aimstore_lmdb.integrity import WHOLE, damage, seek

_STEP_BYTES: Final = 64 << 10
_STEPS: Final = 256
_BEHIND_ALL: Final = b"\xff" * (engine.MAX_KEY_SIZE + 1)


class Cursor:
    """A read transaction, which is a snapshot taken now, and how far it has been read."""

    def __init__(self, path: str, shared: SharedEnvironment, keys: KeyRange, reverse: bool) -> None:
        self._path = path
        self._shared = shared
        self._keys = keys
        self._reverse = reverse
        self._ahead: deque[Item] = deque()  # read, but not taken yet
        self._transaction: engine.Transaction | None = None
        self._unread: Iterator[Item] = iter(())
        self._last = _BEHIND_ALL if reverse else b""  # the key read last, or what comes before all keys
        shared.begin(self)

    def attach(self, transaction: engine.Transaction) -> None:
        cursor = transaction.cursor()
        start, stop = self._keys.start, self._keys.stop
        # a bound longer than a key can be is looked for by its beginning, which may be a key on its wrong side
        if not self._reverse:
            found = seek(self._path, cursor, start) if start else cursor.first()
            if found and cursor.key() < start:
                found = cursor.next()
        elif stop is None:
            found = cursor.last()
        elif not stop:
            found = False
        elif seek(self._path, cursor, stop):
            found = cursor.key() < stop or cursor.prev()
        else:
            found = cursor.last()
        self._transaction = transaction
        if found:  # else it would begin at an end
            self._unread = cursor.iterprev() if self._reverse else cursor.iternext()

    def take(self, steps: int) -> list[Item]:
        """The next items: at most `steps`, and fewer where they are large. Empty after the last."""
        return self._shared.read("scan", lambda _: self._take(steps))

    def _take(self, steps: int) -> list[Item]:
        if not self._ahead:
            return self._read(steps)
        return [self._ahead.popleft() for _ in range(min(steps, len(self._ahead)))]

    def _read(self, steps: int) -> list[Item]:
        start, stop, reverse, last = self._keys.start, self._keys.stop, self._reverse, self._last
        items: list[Item] = []
        room = _STEP_BYTES
        for key, stored in islice(self._unread, steps):
            if crc32(stored, crc32(key)) != WHOLE:  # beyond the range too, as a damaged key would end the scan early
                raise damage(self._path, key)
            if key >= last if reverse else key <= last:
                raise CorruptionError(f"{self._path}: the keys near {key!r:.80} are not in order")
            last = key
            if key < start if reverse else stop is not None and key >= stop:
                break
            items.append((key, stored[:-4]))
            room -= len(stored)
            if room < 0:
                self._last = last
                return items
        if len(items) < steps:
            self.end()
        self._last = last
        return items

    def detach(self, limit: int) -> bool:
        while items := self._read(_STEPS):
            self._ahead.extend(items)
            limit -= sum(len(key) + len(value) for key, value in items)
            if limit < 0:
                return False
        return True

    def end(self) -> None:
        """End the transaction. Items that were read ahead can still be taken."""
        self._unread = iter(())
        if self._transaction is not None:
            self._shared.end(self, self._transaction)
            self._transaction = None
