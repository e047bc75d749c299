"""A place in the items of an environment: what a scan holds between its steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from aimstore.abc import Item, KeyRange
from aimstore.errors import CorruptionError
from aimstore_lmdb import engine
from aimstore_lmdb.environment import SharedEnvironment
from aimstore_lmdb.integrity import seek, unseal

_STEP_BYTES = 64 << 10


class Cursor:
    """A read transaction, which is a snapshot taken now, and how far it was read."""

    def __init__(self, path: str, shared: SharedEnvironment, keys: KeyRange, reverse: bool) -> None:
        self._path = path
        self._shared = shared
        self._keys = keys
        self._reverse = reverse
        self._ahead: deque[Item] = deque()  # read, but not taken yet
        self._transaction: engine.Transaction | None = None
        self._unread: Iterator[Item] = iter(())
        self._last: bytes | None = None
        shared.begin(self)

    def attach(self, transaction: engine.Transaction) -> None:
        cursor = transaction.cursor()
        start, stop = self._keys.start, self._keys.stop
        if not self._reverse:
            found = seek(self._path, cursor, start) if start else cursor.first()
        elif stop is None:
            found = cursor.last()
        elif not stop:
            found = False
        elif seek(self._path, cursor, stop):
            found = cursor.key() < stop or cursor.prev()  # less than the bound where that is longer than a key can be
        else:
            found = cursor.last()
        self._transaction = transaction
        if found:  # else it would begin at an end
            self._unread = cursor.iterprev() if self._reverse else cursor.iternext()

    def take(self, steps: int) -> list[Item]:
        """The next items: at most `steps`, and not many more bytes than a step may have. Empty after the last."""
        return self._shared.read("scan", lambda _: self._take(steps))

    def _take(self, steps: int) -> list[Item]:
        items: list[Item] = []
        room = _STEP_BYTES
        while len(items) < steps and room > 0 and (item := self._next()) is not None:
            key, stored = item
            items.append((key, unseal(self._path, key, stored)))
            room -= len(stored)
        return items

    def _next(self) -> Item | None:
        return self._ahead.popleft() if self._ahead else self._read()

    def _read(self) -> Item | None:
        start, stop = self._keys.start, self._keys.stop
        for item in self._unread:
            key = item[0]
            if self._last is not None and (key <= self._last if not self._reverse else key >= self._last):
                raise CorruptionError(f"{self._path}: the keys near {key!r:.80} are not in order")
            self._last = key
            below = key < start
            if not below and (stop is None or key < stop):
                return item
            unseal(self._path, *item)  # a damaged key would end the scan early
            if below == self._reverse:  # at its end; at its beginning it is due to a bound longer than a key can be
                break
        self.end()
        return None

    def detach(self, limit: int) -> bool:
        while (item := self._read()) is not None:
            self._ahead.append(item)
            limit -= len(item[0]) + len(item[1])
            if limit < 0:
                return False
        return True

    def end(self) -> None:
        """Let the transaction go. What was read ahead can still be taken."""
        self._unread = iter(())
        if self._transaction is not None:
            self._shared.end(self, self._transaction)
            self._transaction = None
