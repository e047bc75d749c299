"""RocksDB without the backend, in the shortest correct loops: what containers are measured against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from aimstore_rocksdb.engine import AccessType, Options, Rdict, WriteBatch


class DirectLoops:
    """The loops of `aimstore.testing.benchmarks.Loops`."""

    def __init__(self, database: Rdict) -> None:
        self._database = database

    def get(self, keys: Sequence[bytes]) -> None:
        get = self._database.get
        for key in keys:
            get(key)

    def scan(self) -> int:
        it, found = self._database.iter(), 0
        it.seek_to_first()
        key_of, value_of, step = it.key, it.value, it.next
        while key_of() is not None:
            value_of()
            step()
            found += 1
        it.status()  # an error ends the loop as the end does
        return found

    def put(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in items:
            batch.put(key, value)
        self._database.write(batch)


@contextmanager
def open_directly(directory: Path, writing: bool) -> Iterator[DirectLoops]:
    """See `aimstore.testing.benchmarks.Direct`."""
    access = AccessType.read_write() if writing else AccessType.read_only()
    database = Rdict(str(directory), Options(raw_mode=True), access_type=access)
    yield DirectLoops(database)
    database.close()
