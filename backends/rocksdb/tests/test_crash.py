"""What survives: damage, logs that end too early, closing, and errors that pass."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import KeyRange, Mode
from aimstore.errors import ClosedError, CorruptionError


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


def test_a_passing_error_is_not_seen(open_container: Any, fill: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What RocksDB refuses after an error that is over by now is written to the database opened anew."""
    container = open_container()
    items = fill(container, 10)
    native, failed = container._native, []

    def fail_once(*arguments: Any) -> Any:
        if not failed:
            failed.append(True)
            raise Exception("IO error: Input/output error: while appending to the log")
        return native(*arguments)

    monkeypatch.setattr(container, "_native", fail_once)
    items |= fill(container, 10, name=b"more")
    assert failed
    assert dict(container.items()) == items
