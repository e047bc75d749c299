"""A disk without room: the batch is refused whole, reading goes on, and so does writing when there is room again."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import Mode, WriteBatch
from aimstore.errors import StorageError


def batch_of(number: int) -> WriteBatch:
    batch = WriteBatch()
    for part in range(10):
        batch.put(b"%06d/%d" % (number, part), os.urandom(8000))
    return batch


def expected(batches: int) -> list[bytes]:
    return [b"%06d/%d" % (n, part) for n in range(batches) for part in range(10)]


def write_until_full(container: Any) -> tuple[int, WriteBatch]:
    """How many batches were accepted, and the one that was not."""
    batches: list[WriteBatch] = []
    with pytest.raises(StorageError, match="o space left") as raised:
        write_for_ever(container, batches)
    assert raised.value.errno == errno.ENOSPC
    return len(batches) - 1, batches[-1]


def write_for_ever(container: Any, batches: list[WriteBatch]) -> None:
    while True:
        batches.append(batch_of(len(batches)))
        container.write(batches[-1])


def test_writing_goes_on_when_there_is_room_again(
    engine: str, open_container: Any, occupy: Any, small_disk: Path
) -> None:
    options = {"map_size": "64GiB"} if engine == "lmdb" else {}  # more than there is on the disk
    container = open_container(directory=small_disk / "db", **options)
    ballast = occupy(small_disk, but=300_000)
    written, refused = write_until_full(container)
    assert list(container.keys()) == expected(written)
    for _ in range(3):  # it stays as it is however often it is tried
        with pytest.raises(StorageError, match="o space left"):
            container.write(refused)
        assert list(container.keys()) == expected(written)
    assert list(open_container(Mode.READ, small_disk / "db").keys()) == expected(written)
    scan = container.items()
    next(scan)
    ballast.unlink()
    container.write(refused)
    if engine == "rocksdb":
        with pytest.raises(StorageError, match="reopened"):  # rather than end early
            list(scan)
    else:
        assert len(list(scan)) == 10 * written - 1
    for number in range(written + 1, written + 4):
        container.write(batch_of(number))
    container.flush(sync=True)
    assert list(container.keys()) == expected(written + 4)
    container.close()
    assert list(open_container(Mode.READ, small_disk / "db").keys()) == expected(written + 4)


@pytest.mark.parametrize("buffer", [64 << 10, 4 << 20])
def test_closing_on_a_full_disk_keeps_all_that_was_acknowledged(
    engine: str, open_container: Any, occupy: Any, small_disk: Path, buffer: int
) -> None:
    options = {"map_size" if engine == "lmdb" else "write_buffer_size": buffer}
    container = open_container(directory=small_disk / "db", **options)
    ballast = occupy(small_disk, but=300_000)
    written, _ = write_until_full(container)
    container.close()
    assert list(open_container(Mode.READ, small_disk / "db").keys()) == expected(written)
    ballast.unlink()
    assert list(open_container(directory=small_disk / "db").keys()) == expected(written)
