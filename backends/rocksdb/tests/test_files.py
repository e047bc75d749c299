"""What lies in a container's directory: little, and nothing that a reader changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rocksdict import Options, Rdict

from aimstore.abc import KeyRange, Mode, WriteBatch
from aimstore.errors import CorruptionError, LockedError
from aimstore_rocksdb import files


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def facts(directory: Path) -> dict[str, tuple[int, int]]:
    """Sizes and times of the files, without LOG, to which the threads of a writer add when they like."""
    paths = (directory, *(path for path in directory.iterdir() if path.name != "LOG"))
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in paths}


def test_the_empty_database_that_is_made_here_is_good_for_rocksdb(tmp_path: Path) -> None:
    files.make(tmp_path / "ours")
    assert files.is_database(tmp_path / "ours")
    ours, theirs = Rdict(str(tmp_path / "ours"), Options(raw_mode=True)), Rdict(str(tmp_path / "theirs"), Options(True))
    for database in (ours, theirs):
        database[b"key"] = b"value"
        assert database.latest_sequence_number() == 1
        database.close()
    assert (tmp_path / "ours" / "IDENTITY").read_text() != (tmp_path / "theirs" / "IDENTITY").read_text()


def test_a_killed_creation_is_made_good(open_container: Any, tmp_path: Path) -> None:
    directory = tmp_path / "db"
    directory.mkdir()
    (directory / "IDENTITY").touch()
    (directory / "CURRENT").touch()  # killed between its creation and its first byte
    assert not files.is_database(directory)
    with pytest.raises(FileNotFoundError):
        open_container(Mode.READ)
    with open_container() as container:
        container.put(b"key", b"value")
    assert open_container(Mode.READ).get(b"key") == b"value"


def test_a_database_without_current_is_never_made_anew(open_container: Any, fill: Any, tmp_path: Path) -> None:
    with open_container() as container:
        fill(container, 10)
    (tmp_path / "db" / "CURRENT").write_bytes(b"")
    before = names(tmp_path / "db")
    files.make(tmp_path / "db")
    assert names(tmp_path / "db") == before
    assert not files.is_database(tmp_path / "db")


def test_a_closed_container_is_small(open_container: Any, tmp_path: Path) -> None:
    open_container().close()
    assert size(tmp_path / "db") < 1000
    with open_container() as container:
        container.put(b"key", b"value")
    assert size(tmp_path / "db") < 1000
    assert kinds(tmp_path / "db") == {"CURRENT", "IDENTITY", "LOCK", "MANIFEST", "SEAL", "log"}
    with open_container() as container:
        container.put(b"other", b"value" * 10_000)
    assert size(tmp_path / "db") < 3000
    assert kinds(tmp_path / "db") == {"CURRENT", "IDENTITY", "LOCK", "MANIFEST", "SEAL", "log", "sst"}
    with open_container(mode=Mode.READ) as container:
        assert container.get(b"key") == b"value"


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("damage", ["cut", "empty", "removed", "changed", "longer"])
@pytest.mark.parametrize(("pattern", "size"), [("*.log", 5), ("MANIFEST-*", 5), ("MANIFEST-*", 50_000)])
def test_a_log_or_manifest_that_was_damaged_after_the_close_is_corruption(
    open_container: Any, tmp_path: Path, pattern: str, size: int, damage: str, mode: Mode
) -> None:
    with open_container() as container:
        for number in range(20):
            container.put(b"%d" % number, bytes(size))
    (file,) = (tmp_path / "db").glob(pattern)
    data = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes({"cut": data[:-30], "empty": b"", "changed": data[:-1] + b"!", "longer": data + b"\0"}[damage])
    with pytest.raises(CorruptionError), open_container(mode=mode) as container:
        container.get(b"1")


@pytest.mark.parametrize(
    "note", ["", "\0\0\0", "000004.log 3 00000000\n", "MANIFEST-000001 3 00000000\n", "000004.log 3"]
)
def test_a_note_that_a_loss_of_power_left_is_not_believed(open_container: Any, tmp_path: Path, note: str) -> None:
    with open_container() as container:
        container.put(b"key", bytes(50_000))
    (tmp_path / "db" / "SEAL").write_text(note)
    for mode in Mode:
        with open_container(mode=mode) as container:
            assert container.get(b"key") == bytes(50_000)


def kinds(directory: Path) -> set[str]:
    """The files by their beginnings, or their ends where they are numbered."""
    return {name.partition("-")[0].lstrip("0123456789.") for name in names(directory)}


def test_the_log_of_events_does_not_grow(open_container: Any, fill: Any, tmp_path: Path) -> None:
    container = open_container(write_buffer_size="64KiB")
    fill(container, 5000, 300)
    assert sum(file.stat().st_size for file in (tmp_path / "db").glob("LOG*")) < 400_000
    container.close()
    assert not list((tmp_path / "db").glob("LOG*"))


def test_what_was_overwritten_or_deleted_leaves_the_disk_at_close(
    open_container: Any, fill: Any, tmp_path: Path
) -> None:
    with open_container(write_buffer_size="64KiB", compression="none") as container:
        for _ in range(5):
            fill(container, 300, 1000)
        fill(container, 300, 1000, b"gone")
        container.delete_range(KeyRange.prefix(b"gone"))
    assert size(tmp_path / "db") < 1.2 * 300_000
    assert not any(file.stat().st_size for file in (tmp_path / "db").glob("*.log"))


def test_closing_after_a_small_change_rewrites_little(open_container: Any, fill: Any, tmp_path: Path) -> None:
    with open_container() as container:
        fill(container, 3000, 1000)
    tables = names(tmp_path / "db")
    with open_container() as container:
        container.put(b"more", b"value")
    assert {name for name in tables if name.endswith(".sst")} < names(tmp_path / "db")


def test_files_are_few_even_where_keys_only_ascend(open_container: Any, fill: Any, tmp_path: Path) -> None:
    before = open_files()
    container = open_container(write_buffer_size="64KiB", compression="none")
    fill(container, 30_000, 400)
    reader = open_container(Mode.READ)
    assert open_files() - before < 80
    assert len(list((tmp_path / "db").glob("*.sst"))) < 40
    assert sum(1 for _ in reader.items()) == 30_000
    reader.close()
    container.close()
    assert len(list((tmp_path / "db").glob("*.sst"))) == 1
    assert open_files() == before


def test_reading_changes_nothing(open_container: Any, fill: Any, tmp_path: Path) -> None:
    writer = open_container()
    fill(writer, 100)
    before = facts(tmp_path / "db")
    reader = open_container(Mode.READ)
    assert sum(1 for _ in reader.items()) == 100
    reader.close()
    assert facts(tmp_path / "db") == before


def test_another_writer_is_locked_out(open_container: Any, spawn: Any, tmp_path: Path) -> None:
    process = spawn("c = RocksDBContainer('db', Path(sys.argv[1])); say('open'); sys.stdin.readline()", tmp_path / "db")
    assert process.stdout.readline() == "open\n"
    with pytest.raises(LockedError, match="another writer has the database open"):
        open_container()
    process.kill()
    process.wait()
    open_container().put(b"key", b"value")


@pytest.mark.parametrize(("count", "operations"), [(0, 0), (1, 1), (999, 999), (1000, 1), (5000, 1)])
def test_a_range_is_deleted_by_a_tombstone_only_where_it_holds_many(
    open_container: Any, fill: Any, count: int, operations: int
) -> None:
    container = open_container()
    fill(container, count, 8)
    fill(container, 10, 8, b"other")
    batch = WriteBatch()
    batch.delete_range(KeyRange.prefix(b"key"))
    assert len(container._native(container._db, batch)) == operations
    container.write(batch)
    assert len(list(container.keys())) == 10
