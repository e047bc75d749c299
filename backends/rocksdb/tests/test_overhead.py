"""What the container costs beside rocksdict in the shortest loops that are correct: printed, and not judged, by `pytest -s`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rocksdict import AccessType, Options, Rdict, WriteBatch

from aimstore.testing.benchmarks import Loops, measure
from aimstore_rocksdb.backend import RocksDBBackend


class RocksdictLoops:
    def __init__(self, database: Rdict) -> None:
        self.database = database

    def get(self, keys: Sequence[bytes]) -> None:
        get = self.database.get
        for key in keys:
            get(key)

    def scan(self) -> int:
        it, found = self.database.iter(), 0
        it.seek_to_first()
        key_of, value_of, step = it.key, it.value, it.next
        while key_of() is not None:
            value_of()
            step()
            found += 1
        it.status()
        return found

    def put(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        batch = WriteBatch(raw_mode=True)
        for key, value in items:
            batch.put(key, value)
        self.database.write(batch)


@contextmanager
def rocksdict_loops(directory: Path, writing: bool) -> Iterator[Loops]:
    options = Options(raw_mode=True)
    access = AccessType.read_write() if writing else AccessType.read_only()
    database = Rdict(str(directory), options, access_type=access)
    yield RocksdictLoops(database)
    database.close()


def test_overhead_is_measured(tmp_path: Path) -> None:
    timings = measure(RocksDBBackend, tmp_path, rocksdict_loops, count=2_000, rounds=2)
    assert {timing.work for timing in timings} == {"put", "get", "scan", "open", "close"}
    assert all(timing.overhead is not None for timing in timings)
    print("", *timings, sep="\n")
