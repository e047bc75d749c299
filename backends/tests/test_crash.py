"""Writers in other processes: what one that is killed had acknowledged is there, and readers beside one see whole batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import Mode

OVERWRITE = """
import json
container = Container("db", Path(sys.argv[1]), Mode.WRITE, None, Options.parse(json.loads(sys.argv[2])))
for n in range(10**9):
    batch = WriteBatch()
    for part in range(10):
        batch.put(b"%03d/%d" % (n % 500, part), b"%012d" % n * 100)
    container.write(batch)
    if n % 50 == 0:
        say(n)
"""

with_options = pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("lmdb", {"map_size": "64KiB", "sync": "batch"}),
        ("lmdb", {"map_size": "64KiB", "sync": "flush"}),
        ("rocksdb", {"write_buffer_size": "64KiB"}),
        ("rocksdb", {"write_buffer_size": "256KiB"}),
    ],
    indirect=["engine"],
)
"""With which the map grows, or logs are written out, tables merged and removed, all the time."""


def last_of(container: Any) -> int:
    """The number of the last batch; all of it has to be there, of the 500 before it what was not overwritten, and no more."""
    seen = {key: int(value[:12]) for key, value in container.items()}
    last = max(seen.values())
    assert seen == {b"%03d/%d" % (n % 500, part): n for n in range(max(0, last - 499), last + 1) for part in range(10)}
    return last


@with_options
@pytest.mark.parametrize("batches", [1, 5, 20])
def test_a_killed_writer_loses_nothing_that_was_acknowledged(
    open_container: Any, spawn: Any, tmp_path: Path, batches: int, options: dict[str, str]
) -> None:
    writer = spawn(OVERWRITE, tmp_path / "db", json.dumps(options))
    for _ in range(batches):
        acknowledged = int(writer.stdout.readline())
    writer.kill()
    writer.wait()
    for mode in (Mode.READ, Mode.WRITE):
        assert last_of(open_container(mode)) >= acknowledged


@with_options
def test_readers_beside_a_writer_see_all_that_was_written_before(
    open_container: Any, spawn: Any, tmp_path: Path, options: dict[str, str]
) -> None:
    writer = spawn(OVERWRITE, tmp_path / "db", json.dumps(options))
    written = int(writer.stdout.readline())
    reader = open_container(Mode.READ, **options)
    for _ in range(40):
        reader.refresh()
        assert last_of(reader) >= written
        with open_container(Mode.READ, **options) as another:
            assert last_of(another) >= written
        written = int(writer.stdout.readline())
