"""Walking along RocksDB's iterators: scans, and the deletion of ranges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aimstore.abc import Item, KeyRange
from aimstore.errors import AimstoreError
from aimstore_rocksdb.engine import Rdict, RdictIter, WriteBatch

_STEP_BYTES: Final = 64 << 10
"""Bytes after which a step of a scan ends early."""


class Cursor:
    """A position in an iterator of RocksDB, which is a snapshot. Between steps only the cursor refers to the iterator."""

    __slots__ = ("__weakref__", "_error", "_it", "_keys", "_reverse", "ended")

    def __init__(self, it: RdictIter, keys: KeyRange, reverse: bool) -> None:
        self._it: RdictIter | None = it
        self._keys = keys
        self._reverse = reverse
        self._error: AimstoreError | None = None
        self.ended = False
        # the bounds are compared here, as those of rocksdict's ReadOptions do not work
        if not reverse:
            it.seek(keys.start)
        elif keys.stop is None:
            it.seek_to_last()
        else:
            it.seek_for_prev(keys.stop)
            if it.key() == keys.stop:
                it.prev()

    def take(self, steps: int) -> list[Item]:
        """The next items: at most `steps`, and fewer where they are large. Sets `ended` after the last.

        Raises:
            AimstoreError: the error that was passed to `fail`.
            Exception: an error of rocksdict; items are missing.
        """
        if self._error is not None:
            raise self._error
        assert self._it is not None
        it, start, stop, reverse = self._it, self._keys.start, self._keys.stop, self._reverse
        key_of, value_of, step = it.key, it.value, it.prev if reverse else it.next
        items: list[Item] = []
        add = items.append
        room = _STEP_BYTES
        try:
            for _ in range(steps):
                key = key_of()
                if key is None:
                    it.status()  # the end, or an error that would look like it
                    self.end()
                    break
                if key < start if reverse else stop is not None and key >= stop:
                    self.end()
                    break
                value = value_of()
                add((key, value))
                step()
                if value:
                    room -= len(value)
                    if room < 0:
                        break
        finally:
            del it, key_of, value_of, step  # a traceback must not keep the database open
        return items

    def end(self) -> None:
        """Release the iterator."""
        self.ended = True
        self._it = None

    def fail(self, error: AimstoreError) -> None:
        """Release the iterator, and raise `error` at the next step."""
        if not self.ended:
            self._error = error
            self._it = None


def erase(native: WriteBatch, db: Rdict, keys: KeyRange, earlier: Iterable[bytes], single_deletes: int) -> None:
    """Add the deletion of a range to a batch: key by key where the keys are few, else as a range.

    Args:
        native: the batch.
        db: the database that holds the keys.
        keys: the range.
        earlier: keys that the batch has put already.
        single_deletes: keys of the database up to which each is deleted by itself.
    """
    doomed = [key for key in earlier if key in keys]
    cursor = db.iter()
    cursor.seek(keys.start)
    for _ in range(single_deletes):
        key = cursor.key()
        if key is None or key not in keys:
            cursor.status()
            break
        doomed.append(key)
        cursor.next()
    else:
        stop = keys.stop
        if stop is None:  # there is no tombstone without an end
            cursor.seek_to_last()
            stop = max(cursor.key(), *doomed) + b"\0"
        native.delete_range(keys.start, stop)
        return
    for key in doomed:
        native.delete(key)
