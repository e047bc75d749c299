"""What survives: growth, damage, late writers, and readers that were killed."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import KeyRange, Mode, WriteBatch
from aimstore.errors import ClosedError, CorruptionError, FencedError
from aimstore_lmdb import files
from aimstore_lmdb.limits import LMDBLimits

HOLD_A_SCAN = """
reader = LMDBContainer("db", Path(sys.argv[1]), Mode.READ)
scan = reader.items(); next(scan); say("reading"); sys.stdin.readline()
"""


@pytest.mark.parametrize("limit", [64 << 20, 0])
def test_growth_spares_open_scans_of_the_process(open_container: Any, fill: Any, limit: int) -> None:
    writer = open_container(map_size="1MiB", limits=LMDBLimits(detached_scan_bytes=limit))
    items = fill(writer, 400)
    reader = open_container(Mode.READ)
    scans = [writer.items(), reader.items(), reader.items(reverse=True)]
    found = [[next(scan)] for scan in scans]

    def drain() -> None:
        for scan, start in zip(scans, found, strict=True):
            start.extend(scan)

    if limit:
        fill(writer, 5000, name=b"more")
        drain()
    else:  # too large to be taken into memory, so that the writer waits until they have come to their end
        thread = threading.Thread(target=drain)
        thread.start()
        fill(writer, 5000, name=b"more")
        thread.join()
    assert found == [sorted(items.items()), sorted(items.items()), sorted(items.items(), reverse=True)]
    assert len(list(reader.keys())) == 5400


def test_growth_that_waits_in_vain_loses_nothing(open_container: Any, fill: Any) -> None:
    writer = open_container(map_size="1MiB", limits=LMDBLimits(detached_scan_bytes=0, detached_scan_seconds=0.01))
    items = fill(writer, 400)
    scan = writer.items()
    next(scan)
    batch = WriteBatch()
    batch.put(b"large", bytes(2 << 20))
    with pytest.raises(OSError, match="waits for scans"):
        writer.write(batch)
    assert len(list(scan)) == 399
    writer.write(batch)
    assert dict(writer.items()) == items | {b"large": bytes(2 << 20)}


def test_readers_that_were_killed_do_not_keep_pages(open_container: Any, fill: Any, spawn: Any, tmp_path: Path) -> None:
    with open_container() as writer:
        fill(writer, 100)
    killed = spawn(HOLD_A_SCAN, tmp_path / "db")
    assert killed.stdout.readline() == "reading\n"
    killed.kill()
    killed.wait()
    writer = open_container()
    fill(writer, 100)
    size = (tmp_path / "db" / files.DATA).stat().st_size
    for _ in range(20):
        fill(writer, 100)
    assert (tmp_path / "db" / files.DATA).stat().st_size < 3 * size


def test_readers_beyond_the_table_are_refused_clearly(open_container: Any, fill: Any) -> None:
    writer = open_container()
    fill(writer, 10)
    scans = []
    with pytest.raises(OSError, match="all 1024 reader slots are taken"):  # noqa: PT012  at some time
        for _ in range(1025):
            scans.append(writer.items())
    assert len(scans) > 1000
    scans.clear()
    assert len(list(writer.items())) == 10


def test_a_writer_that_another_one_followed_is_fenced(open_container: Any, spawn: Any, tmp_path: Path) -> None:
    late = open_container()
    late.put(b"key", b"early")
    with open_container() as here:
        here.put(b"key", b"here")
        with pytest.raises(FencedError, match="nothing of the batch is stored"):
            late.put(b"key", b"late")
    code = "c = LMDBContainer('db', Path(sys.argv[1])); c.put(b'key', b'there'); c.close(); say('done')"
    assert spawn(code, tmp_path / "db").stdout.readline() == "done\n"
    for container in (late, here):
        with pytest.raises((FencedError, ClosedError)):
            container.put(b"key", b"late")
    late.close()  # puts nothing in the place of what the others wrote
    assert open_container(Mode.READ).get(b"key") == b"there"


def written(open_container: Any, fill: Any, directory: Path) -> tuple[dict[bytes, bytes], Path]:
    with open_container() as container:
        items = fill(container, 500, 1000)
    return items, directory / files.DATA


@pytest.mark.parametrize("mode", [Mode.READ, Mode.WRITE])
def test_a_flipped_bit_is_an_error_and_not_an_early_end(
    open_container: Any, fill: Any, tmp_path: Path, mode: Mode
) -> None:
    items, data = written(open_container, fill, tmp_path / "db")
    content = bytearray(data.read_bytes())
    content[content.index(b"key00000250")] ^= 1  # of a key
    content[content.index(items[b"key00000100"]) + 500] ^= 1
    data.write_bytes(content)
    container = open_container(mode)
    for keys in (KeyRange(), KeyRange.prefix(b"key"), KeyRange(b"key00000250", b"key00000260")):
        for reverse in (False, True):
            with pytest.raises(CorruptionError, match=r"db: the item with key .* is damaged"):
                list(container.scan(keys, reverse=reverse))
    for key in (b"key00000100", b"key00000250"):
        with pytest.raises(CorruptionError):
            container.get(key)
        with pytest.raises(CorruptionError):
            container.get_many([key])
    assert container.get(b"key00000007") == items[b"key00000007"]


@pytest.mark.parametrize("length", [100, 4096, 5000, 100_000, -1])
@pytest.mark.parametrize("mode", [Mode.READ, Mode.WRITE])
def test_a_truncated_file_is_an_error(open_container: Any, fill: Any, tmp_path: Path, mode: Mode, length: int) -> None:
    _, data = written(open_container, fill, tmp_path / "db")
    data.write_bytes(data.read_bytes()[:length])
    with pytest.raises(CorruptionError, match=r"data\.mdb"):
        open_container(mode)


@pytest.mark.parametrize("mode", [Mode.READ, Mode.WRITE])
def test_a_file_truncated_while_it_is_open_is_an_error(
    open_container: Any, fill: Any, tmp_path: Path, mode: Mode
) -> None:
    _, data = written(open_container, fill, tmp_path / "db")
    container = open_container(mode)
    scan = container.items()
    next(scan)
    with data.open("r+b") as file:
        file.truncate(20_000)
    for use in (lambda: list(scan), container.keys, lambda: container.get_many([b"key00000400"]), container.refresh):
        if use != container.refresh or mode is Mode.READ:
            with pytest.raises(CorruptionError, match="was cut off"):
                use()
    if mode is Mode.WRITE:
        with pytest.raises(CorruptionError, match="was cut off"):
            container.put(b"key", b"value")


def test_a_file_that_ends_before_pages_that_are_free_is_whole(tmp_path: Path) -> None:
    """What a transaction uses and frees at the end of the file is never written."""
    import lmdb

    files.make(tmp_path / "db")
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 24, max_dbs=1) as environment:
        items = environment.open_db(b"items")
        for n in range(3):
            with environment.begin(items, write=True) as transaction:
                transaction.put(b"%d" % n, bytes(100))
                transaction.put(b"large", bytes(1 << 20))
                transaction.delete(b"large")
        used = (environment.info()["last_pgno"] + 1) * files.PAGE
    data = tmp_path / "db" / files.DATA
    assert data.stat().st_size < used - (1 << 19)
    assert files.check(tmp_path / "db") == data.stat().st_size
    data.write_bytes(data.read_bytes()[: -files.PAGE])
    with pytest.raises(CorruptionError):
        files.check(tmp_path / "db")


def test_what_is_not_of_lmdb_is_an_error(open_container: Any, tmp_path: Path) -> None:
    import lmdb

    (tmp_path / "db").mkdir()
    (tmp_path / "db" / files.DATA).write_bytes(b"something else" * 1000)
    for mode in Mode:
        with pytest.raises(CorruptionError, match="not a data file of LMDB"):
            open_container(mode)
    shutil.rmtree(tmp_path / "db")
    with lmdb.open(str(tmp_path / "db")) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"key", b"value")
    with pytest.raises(CorruptionError, match="of another program"):
        open_container(Mode.READ)
