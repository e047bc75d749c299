"""Too little room: the batch is refused whole, reading goes on, and so does writing when there is room again."""

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


def test_writing_goes_on_when_there_is_room_again(open_container: Any, small_disk: Path) -> None:
    """On a disk smaller than the map."""
    container = open_container(directory=small_disk / "db", map_size="64GiB")
    container.write(batch_of(0))
    ballast, free = small_disk / "ballast", os.statvfs(small_disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - 300_000)
    written = 1
    with pytest.raises(StorageError) as raised:  # noqa: PT012  at some time
        while True:
            refused = batch_of(written)
            container.write(refused)
            written += 1
    assert raised.value.errno == errno.ENOSPC
    for _ in range(3):
        with pytest.raises(StorageError, match="o space left"):
            container.write(refused)
        assert list(container.keys()) == expected(written)
    assert list(open_container(Mode.READ, small_disk / "db").keys()) == expected(written)
    scan = container.items()
    next(scan)
    ballast.unlink()
    container.write(refused)
    assert len(list(scan)) == 10 * written - 1
    for number in range(written + 1, written + 4):
        container.write(batch_of(number))
    container.flush(sync=True)
    container.close()
    assert list(open_container(Mode.READ, small_disk / "db").keys()) == expected(written + 4)


def test_closing_on_a_full_disk_keeps_everything(open_container: Any, small_disk: Path) -> None:
    container = open_container(directory=small_disk / "db")
    for _ in range(4):
        container.write(batch_of(0))  # leaves free pages, which closing would remove
    size = (small_disk / "db" / "data.mdb").stat().st_size
    free = os.statvfs(small_disk)
    with (small_disk / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize)
    container.close()
    assert {file.name for file in (small_disk / "db").iterdir()} == {"data.mdb"}
    assert (small_disk / "db" / "data.mdb").stat().st_size == size
    assert list(open_container(Mode.READ, small_disk / "db").keys()) == expected(1)


LITTLE_ADDRESS_SPACE = """
import resource
from aimstore.errors import StorageError
import aimstore_lmdb.container
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * 4096
resource.setrlimit(resource.RLIMIT_AS, (now + (64 << 20), resource.RLIM_INFINITY))
container = LMDBContainer("db", Path(sys.argv[1]), Mode.WRITE, None, LMDBOptions(map_size=1 << 40))
written = 0
try:
    while True:
        container.put(b"%d" % written, bytes(1 << 20))
        written += 1
except StorageError as error:
    assert "ulimit -v" in str(error), error
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert len(list(container.keys())) == written > 3
container.close()
say(written)
"""


def test_a_limit_of_address_space_is_respected_and_named(spawn: Any, open_container: Any, tmp_path: Path) -> None:
    process = spawn(LITTLE_ADDRESS_SPACE, tmp_path / "db")
    written = int(process.stdout.readline())
    assert len(list(open_container(Mode.READ).keys())) == written
