"""A container as an SQLite database: one table, and a checksum in front of each value."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any, ClassVar

from aimstore.abc import Capability, Container, Item, KeyRange, Lock, Mode, Op, WriteBatch
from aimstore.errors import CorruptionError
from aimstore_sqlite import engine


class SQLiteContainer(Container):
    """One database. Each read sees all batches committed so far; a scan copies its items first."""

    capability: ClassVar[Capability] = Capability(
        persistent=True, multi_process=True, durable_sync=True, native_range_delete=True
    )

    def __init__(self, path: str, file: Path, mode: Mode = Mode.WRITE, lock: Lock | None = None) -> None:
        self._file = file
        with engine.calling(path):  # no fork until the base class knows the database
            if mode is Mode.WRITE and not file.exists():
                engine.make(file)
            self._open(mode)
            super().__init__(path, mode, lock)

    def _open(self, mode: Mode) -> None:
        inode = self._file.stat().st_ino
        self._database, self._inode = engine.connect(self._file, writing=mode is Mode.WRITE), inode

    @contextmanager
    def _calling(self) -> Iterator[Connection]:
        with engine.calling(self.path):
            self.check_open()  # another thread may have closed the container while this one waited
            if self.mode is Mode.READ and self._file.stat().st_ino != self._inode:  # deleted and created anew
                outdated = self._database
                self._open(self.mode)
                outdated.close()
            yield self._database

    def _get(self, key: bytes) -> bytes | None:
        return self._get_many([key])[0]

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        with self._calling() as database, database:
            database.execute("BEGIN")
            return [self._look_up(database, key) for key in keys]

    def _look_up(self, database: Connection, key: bytes) -> bytes | None:
        row = database.execute("SELECT key, value FROM items WHERE key = ?", (key,)).fetchone()
        if row is None:  # missing, or damaged: then a neighbour fails its check
            deque(self._checked(_rows(database, KeyRange(key, key + b"\x00"))), maxlen=0)
            return None
        return next(self._checked([row]))[1]

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        with self._calling() as database:
            rows = _rows(database, keys)
        for item in self._checked(rows[::-1] if reverse else rows):
            if item[0] in keys:
                yield item

    def _checked(self, rows: Iterable[tuple[Any, Any]]) -> Iterator[Item]:
        for key, stored in rows:
            if not (type(key) is type(stored) is bytes and stored[:4] == _checksum(key, stored[4:])):
                raise CorruptionError(f"{self.path}: the item with key {key!r:.80} is damaged")
            yield key, stored[4:]

    def _write(self, batch: WriteBatch) -> None:
        with self._calling() as database, database:
            database.execute("BEGIN IMMEDIATE")
            for op, key, value in batch.ops:
                if op is Op.DELETE_RANGE:
                    database.execute("DELETE FROM items WHERE key >= ? AND (? IS NULL OR key < ?)", (key, value, value))
                elif op is Op.DELETE:
                    database.execute("DELETE FROM items WHERE key = ?", (key,))
                elif value is not None:
                    database.execute("REPLACE INTO items VALUES (?, ?)", (key, _checksum(key, value) + value))
            database.execute(f"PRAGMA user_version = {engine.read_version(database) + 1 & 0x7FFFFFFF}")

    def _close(self) -> None:
        with engine.calling(self.path):
            self._database.close()

    def _handles(self) -> Iterable[object]:
        return (self._database,)


def _checksum(key: bytes, value: bytes) -> bytes:
    return zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "big")


def _rows(database: Connection, keys: KeyRange) -> list[tuple[Any, Any]]:
    """Return the rows of a range and one neighbour on each side, in order: a damaged key is no further away."""
    where, bounds = "key >= coalesce((SELECT max(key) FROM items WHERE key < ?), ?)", [keys.start] * 2
    if keys.stop is not None:
        where += " AND key <= coalesce((SELECT min(key) FROM items WHERE key >= ?), ?)"
        bounds += [keys.stop] * 2
    return database.execute(f"SELECT key, value FROM items WHERE {where} ORDER BY key", bounds).fetchall()
