"""Too little room: on the disk when the file could become smaller, and in the address space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aimstore.abc import Mode


def test_closing_on_a_full_disk_keeps_everything(open_container: Any, fill: Any, occupy: Any, small_disk: Path) -> None:
    container = open_container(directory=small_disk / "db")
    for _ in range(4):
        items = fill(container, 10, 8000)  # leaves free pages, which closing would remove
    size = (small_disk / "db" / "data.mdb").stat().st_size
    occupy(small_disk)
    container.close()
    assert {file.name for file in (small_disk / "db").iterdir()} == {"data.mdb"}
    assert (small_disk / "db" / "data.mdb").stat().st_size == size
    assert dict(open_container(Mode.READ, small_disk / "db").items()) == items


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
