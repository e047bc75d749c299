"""What lies in a container's directory: little, in LMDB's format, and nothing that a reader changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lmdb
import pytest

from aimstore.abc import KeyRange, Mode
from aimstore_lmdb import files
from aimstore_lmdb.backend import LMDBBackend


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_empty_environment_that_is_made_here_is_lmdbs(tmp_path: Path) -> None:
    lmdb.open(str(tmp_path / "theirs"), map_size=1 << 22, lib_version=0).close()
    assert (tmp_path / "theirs" / files.DATA).read_bytes() == files.empty(1 << 22, os.sysconf("SC_PAGESIZE"))


def test_the_transaction_and_the_pages_are_read_where_lmdb_writes_them(open_container: Any, tmp_path: Path) -> None:
    files.make(tmp_path / "db")
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 24) as environment:
        for n in range(10):
            found = files.state(tmp_path / "db")
            assert found is not None
            assert found.transaction == environment.info()["last_txnid"] == n
            size = files.check(tmp_path / "db")
            assert size >= (environment.info()["last_pgno"] + 1) * files.PAGE == size
            with environment.begin(write=True) as transaction:
                transaction.put(b"%d" % n, bytes(5000 * n))


def test_the_format_does_not_depend_on_the_environment_variable(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from aimstore_lmdb.container import LMDBContainer\n"
        "with LMDBContainer('db', Path(sys.argv[1])) as c: c.put(b'key', b'value')"
    )
    environment = {**os.environ, "LMDB_DEFAULT_LIB_VERSION": "1"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "db")], check=True, env=environment)
    assert files.is_container(tmp_path / "db")


@pytest.mark.parametrize("left", [b"", bytes(2 * files.PAGE)])
def test_a_creation_that_a_crash_ended_is_made_good(open_container: Any, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / files.DATA).write_bytes(left)
    with open_container() as container:
        container.put(b"key", b"value")
    assert open_container(Mode.READ).get(b"key") == b"value"


def test_a_container_that_nothing_was_committed_to_is_none(open_container: Any, tmp_path: Path) -> None:
    files.make(tmp_path / "db")
    assert not files.is_container(tmp_path / "db")
    with pytest.raises(FileNotFoundError, match="no container"):
        open_container(Mode.READ)


def test_keys_have_up_to_511_bytes(open_container: Any) -> None:
    with open_container() as container:
        for n in range(200):
            container.put(b"%03d" % n + b"k" * 508, b"v" * n * 20)
    assert [len(key) for key, _ in open_container(Mode.READ).items()] == [511] * 200
    assert open_container(Mode.READ).get(b"k" * 512) is None


def test_a_closed_container_is_small(open_container: Any, fill: Any, tmp_path: Path) -> None:
    with open_container() as container:
        for n in range(50):
            container.put(b"key%d" % n, b"value")
    assert names(tmp_path / "db") == {files.DATA}
    assert (tmp_path / "db" / files.DATA).stat().st_size <= 4 * files.PAGE


def test_what_was_overwritten_or_deleted_leaves_the_disk_at_close(
    open_container: Any, fill: Any, tmp_path: Path
) -> None:
    with open_container() as container:
        for _ in range(5):
            items = fill(container, 300, 900)
        fill(container, 300, 900, b"gone")
        container.delete_range(KeyRange.prefix(b"gone"))
    assert (tmp_path / "db" / files.DATA).stat().st_size < 1.2 * 300_000
    assert dict(open_container(Mode.READ).items()) == items


def test_closing_after_a_small_change_rewrites_nothing(open_container: Any, fill: Any, tmp_path: Path) -> None:
    with open_container() as container:
        fill(container, 3000, 1000)
    before = (tmp_path / "db" / files.DATA).stat().st_ino
    with open_container() as container:
        container.put(b"more", b"value")
    assert (tmp_path / "db" / files.DATA).stat().st_ino == before


@pytest.mark.parametrize("where", ["here", "elsewhere"])
def test_the_file_stays_where_it_is_while_others_read_it(
    open_container: Any, fill: Any, spawn: Any, tmp_path: Path, where: str
) -> None:
    writer = open_container()
    for _ in range(5):
        items = fill(writer, 100)
    code = """
reader = LMDBContainer("db", Path(sys.argv[1]), Mode.READ)
for line in sys.stdin:
    reader.refresh(); say(len(list(reader.keys())))
"""
    before = (tmp_path / "db" / files.DATA).stat().st_ino
    if where == "here":
        reader = open_container(Mode.READ)
        writer.close()
    else:
        process = spawn(code, tmp_path / "db")
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "100\n"
        writer.close()
    assert (tmp_path / "db" / files.DATA).stat().st_ino == before
    assert files.LOCK in names(tmp_path / "db")
    with open_container() as writer:
        items |= fill(writer, 50, name=b"more")
    if where == "here":
        reader.refresh()
        assert dict(reader.items()) == items
    else:
        print(file=process.stdin, flush=True)
        assert process.stdout.readline() == "150\n"


def test_a_late_writer_does_not_touch_what_was_made_in_its_place(tmp_path: Path) -> None:
    backend = LMDBBackend(tmp_path)
    late = backend.open("meta/chunks/a", Mode.WRITE)
    for n in range(20):
        late.put(b"key", b"%d" % n * 1000)
    backend.delete("meta/chunks/a")
    (tmp_path / "meta/locks/a").unlink()
    with backend.open("meta/chunks/a", Mode.WRITE) as new:
        new.put(b"key", b"new")
        late.close()
        assert files.LOCK in names(tmp_path / "meta/chunks/a")
    with backend.open("meta/chunks/a") as reader:
        assert reader.get(b"key") == b"new"


def test_open_files_are_few(open_container: Any, fill: Any) -> None:
    before = open_files()
    container, reader = open_container(), open_container(Mode.READ)
    fill(container, 100)
    assert sum(1 for _ in reader.items()) == 100
    assert open_files() - before <= 5
    container.close()
    reader.close()
    assert open_files() == before


def test_reading_changes_no_data(open_container: Any, fill: Any, tmp_path: Path) -> None:
    with open_container() as writer:
        fill(writer, 100)
    before = (tmp_path / "db" / files.DATA).stat()
    with open_container(Mode.READ) as reader:
        assert sum(1 for _ in reader.items()) == 100
    after = (tmp_path / "db" / files.DATA).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(tmp_path / "db") == {files.DATA}


def test_the_size_is_what_is_taken_of_the_disk(tmp_path: Path) -> None:
    backend = LMDBBackend(tmp_path, {"map_size": "1TiB"})
    assert backend.size("meta/chunks/a") == 0
    with backend.open("meta/chunks/a", Mode.WRITE) as writer:
        writer.put(b"key", b"value")
        assert 0 < backend.size("meta/chunks/a") <= 64 << 10
