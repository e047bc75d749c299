"""When closing merges the tables of a database, by what RocksDB says of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aimstore.abc import Mode, WriteBatch
from aimstore_rocksdb import engine
from aimstore_rocksdb.container import RocksDBContainer
from aimstore_rocksdb.limits import RocksDBLimits

MIB = 1 << 20


class Tables:
    """A database of tables: (MiB, entries, deletions, level) of each."""

    def __init__(self, *tables: tuple[float, int, int, int]) -> None:
        self.tables = tables
        self.flushed = self.merged = 0

    def flush(self) -> None:
        self.flushed += 1

    def live_files(self) -> list[dict[str, object]]:
        return [
            {
                "name": f"{number}.sst",
                "level": level,
                "size": int(size * MIB),
                "num_entries": n,
                "num_deletions": deleted,
            }
            for number, (size, n, deleted, level) in enumerate(self.tables)
        ]

    def compact_range(self, begin: object, end: object) -> None:
        assert self.flushed
        self.merged += 1


@pytest.mark.parametrize(
    ("tables", "written", "merged"),
    [
        ([], 0, False),
        ([(1, 1000, 0, 0)], MIB, False),
        ([(1, 1000, 0, 0), (1, 1000, 0, 0)], 2 * MIB, True),
        ([(10, 1000, 0, 6), (1, 1000, 0, 0)], MIB, False),
        ([(10, 1000, 0, 6), (1, 1000, 0, 0)], 3 * MIB, True),
        ([(10, 1000, 0, 6), (4, 1000, 0, 0)], MIB, True),
        ([(10, 1000, 0, 6), (10, 1000, 0, 6), (1, 1000, 0, 0)], MIB, False),
        ([(100, 1000, 0, 0), (100, 1000, 0, 0)], 200 * MIB, False),
        ([(100, 1000, 300, 0), (100, 1000, 300, 0)], 200 * MIB, True),
        ([(1000, 1000, 500, 0), (1000, 1000, 500, 0)], 2000 * MIB, False),
    ],
    ids=[
        "nothing", "one table", "two alike", "little beside much", "much of it written", "much beside it",
        "a level is one", "objects", "deletions", "deletions among gigabytes",
    ],
)  # fmt: skip
def test_tables_are_merged_where_that_is_worth_its_cost(
    tables: list[tuple[float, int, int, int]], written: int, merged: bool
) -> None:
    database = Tables(*tables)
    engine.settle(database, written, RocksDBLimits())  # type: ignore[arg-type]
    assert database.flushed
    assert bool(database.merged) is merged


def test_a_closed_database_of_common_size_is_one_table(tmp_path: Path) -> None:
    directory = tmp_path / "db"
    container = RocksDBContainer("db", directory)
    for part in range(3):
        batch = WriteBatch()
        for key in range(20):
            batch.put(b"%d/%d" % (key, part % 2), os.urandom(20_000))
        container.write(batch)
        container.flush()
    container.close()
    assert len(list(directory.glob("*.sst"))) == 1
    with RocksDBContainer("db", directory, Mode.READ) as again:
        assert len(list(again.keys())) == 40
