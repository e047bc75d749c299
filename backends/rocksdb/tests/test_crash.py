"""What survives: kills, damage, and readers beside a writer in another process."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import KeyRange, Mode, WriteBatch
from aimstore.errors import ClosedError, CorruptionError

WRITE_BATCHES = """
container = RocksDBContainer("db", Path(sys.argv[1]), Mode.WRITE, None, RocksDBOptions(write_buffer_size=256 << 10))
for n in range(10**9):
    batch = WriteBatch()
    for part in range(10):
        batch.put(b"%08d/%d" % (n, part), b"%08d" % n * 100)
    container.write(batch)
    if n % 50 == 0:
        say(n)
"""


@pytest.mark.parametrize("batches", [1, 20])
def test_a_killed_writer_loses_nothing_that_was_acknowledged(
    open_container: Any, spawn: Any, tmp_path: Path, batches: int
) -> None:
    writer = spawn(WRITE_BATCHES, tmp_path / "db")
    for _ in range(batches):
        acknowledged = int(writer.stdout.readline())
    writer.kill()
    writer.wait()
    for mode in (Mode.READ, Mode.WRITE):
        keys = list(open_container(mode).keys())
        assert len(keys) % 10 == 0  # no part of a batch
        assert len(keys) >= 10 * (acknowledged + 1)
        assert keys == [b"%08d/%d" % (n, part) for n in range(len(keys) // 10) for part in range(10)]


OVERWRITE = """
container = RocksDBContainer("db", Path(sys.argv[1]), Mode.WRITE, None, RocksDBOptions(write_buffer_size=64 << 10))
for n in range(10**9):
    batch = WriteBatch()
    for part in range(10):
        batch.put(b"%03d/%d" % (n % 500, part), b"%012d" % n * 100)
    container.write(batch)
    if n % 50 == 0:
        say(n)
"""


def test_readers_beside_a_writer_see_all_that_was_written_before(
    open_container: Any, spawn: Any, tmp_path: Path
) -> None:
    """Logs are written out, tables merged and removed all the time; a plain read-only open fails or misses data then."""
    writer = spawn(OVERWRITE, tmp_path / "db")
    written = int(writer.stdout.readline())
    reader = open_container(Mode.READ)
    for _ in range(40):
        reader.refresh()
        for container in (reader, open_container(Mode.READ)):
            seen = {key: int(value[:12]) for key, value in container.items()}
            last = max(seen.values())
            assert last >= written
            assert seen == {
                b"%03d/%d" % (n % 500, part): n for n in range(max(0, last - 499), last + 1) for part in range(10)
            }
        container.close()
        written = int(writer.stdout.readline())


def settled(open_container: Any, fill: Any, directory: Path) -> tuple[dict[bytes, bytes], Path]:
    with open_container(compression="none") as container:
        items = fill(container, 500, 1000)
    (table,) = directory.glob("*.sst")
    return items, table


@pytest.mark.parametrize("mode", [Mode.READ, Mode.WRITE])
def test_a_flipped_bit_is_an_error_and_not_an_early_end(
    open_container: Any, fill: Any, tmp_path: Path, mode: Mode
) -> None:
    items, table = settled(open_container, fill, tmp_path / "db")
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    container = open_container(mode)
    for reverse in (False, True):
        with pytest.raises(CorruptionError, match=f"db: scan: Corruption.*{table.name}"):
            list(container.items(reverse=reverse))
        with pytest.raises(CorruptionError):
            list(container.keys(reverse=reverse))
    right = 0
    with pytest.raises(CorruptionError, match="db: get: Corruption"):  # noqa: PT012  whatever is read before is right
        for key, value in items.items():
            assert container.get(key) == value
            right += 1
    assert 0 < right < 500
    with pytest.raises(CorruptionError):
        container.get_many(list(items))


@pytest.mark.parametrize("mode", [Mode.READ, Mode.WRITE])
def test_a_truncated_table_is_an_error(open_container: Any, fill: Any, tmp_path: Path, mode: Mode) -> None:
    _, table = settled(open_container, fill, tmp_path / "db")
    table.write_bytes(table.read_bytes()[:-1000])
    with pytest.raises(CorruptionError, match=table.name):
        open_container(mode)


def test_a_missing_table_is_an_error(open_container: Any, fill: Any, tmp_path: Path) -> None:
    _, table = settled(open_container, fill, tmp_path / "db")
    table.unlink()
    with pytest.raises(CorruptionError, match=table.name):
        open_container(Mode.READ)


def unclean(open_container: Any, fill: Any, directory: Path) -> Path:
    """A copy of the files of a database whose writer was killed; its log."""
    container = open_container()
    fill(container, 500, 1000)
    shutil.copytree(directory, directory.parent / "copy")
    (log,) = (directory.parent / "copy").glob("*.log")
    return log


@pytest.mark.parametrize("mode", [Mode.READ, Mode.WRITE])
def test_a_flipped_bit_in_the_log_is_an_error(open_container: Any, fill: Any, tmp_path: Path, mode: Mode) -> None:
    log = unclean(open_container, fill, tmp_path / "db")
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    with pytest.raises(CorruptionError, match="Corruption"):
        open_container(mode, log.parent)
    with open_container(mode, log.parent, log_recovery="salvage") as salvaged:
        assert len(list(salvaged.keys())) == 200  # of five batches of 100, the third is damaged


@pytest.mark.parametrize("tail", [b"", bytes(5000)])
def test_a_log_that_ends_in_the_middle_of_a_batch_holds_those_before(
    open_container: Any, fill: Any, tmp_path: Path, tail: bytes
) -> None:
    log = unclean(open_container, fill, tmp_path / "db")
    log.write_bytes(log.read_bytes()[:-10_000] + tail)
    assert len(list(open_container(Mode.READ, log.parent).keys())) == 400
    assert len(list(open_container(Mode.WRITE, log.parent).keys())) == 400


def test_closing_ends_scans_and_frees_the_database(open_container: Any, fill: Any) -> None:
    container = open_container()
    fill(container, 1000)
    scans = [container.items(), container.scan(KeyRange(b"key00000500"), reverse=True)]
    for scan in scans:
        next(scan)
    container.close()
    for scan in scans:
        with pytest.raises(ClosedError):
            next(scan)
    with pytest.raises(ClosedError):
        container.get(b"key")
    assert len(list(open_container().keys())) == 1000  # RocksDB's lock was free


def test_threads_that_read_while_another_closes_get_an_answer_or_closed_error(open_container: Any, fill: Any) -> None:
    container = open_container()
    items = fill(container, 1000, 8)
    started, wrong = threading.Barrier(4), []

    def read() -> None:
        started.wait()
        try:
            while True:
                for key, value in items.items():
                    assert container.get(key) == value
                assert len(container.get_many(list(items))) == 1000
                container.flush(sync=True)
        except ClosedError:
            pass
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait()
    container.write(_one(b"more"))
    container.close()
    for thread in threads:
        thread.join()
    assert not wrong
    assert open_container().get(b"more") == b"value"


def _one(key: bytes) -> WriteBatch:
    batch = WriteBatch()
    batch.put(key, b"value")
    return batch
