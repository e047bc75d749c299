"""Forked children write containers of their own, without the threads of the parent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aimstore.testing.waiting import WAIT_SECONDS

CHILD_THAT_WRITES = """
import threading
leave = {"sys.exit": sys.exit, "os._exit": os._exit}[sys.argv[2]]
parent = RocksDBContainer("db", Path(sys.argv[1]) / "parent")
parent.put(b"key", b"value")
if sys.argv[3] == "closed":
    parent.close()
child = os.fork()
if not child:
    threads = [threading.Thread(target=lambda: None) for _ in range(3)]  # on the stacks of RocksDB's
    for thread in threads: thread.start()
    options = RocksDBOptions(write_buffer_size=100_000)
    for again in range(2):
        own = RocksDBContainer("db", Path(sys.argv[1]) / "own", Mode.WRITE, None, options)
        for n in range(100):
            batch = WriteBatch()
            for part in range(10): batch.put(b"%d/%d/%d" % (again, n, part), os.urandom(500))
            own.write(batch)
        own.flush(sync=True)
        assert sum(file.stat().st_size for file in (Path(sys.argv[1]) / "own").glob("*.log")) < 200_000
        assert len(list(own.items())) == 1000 * (again + 1)
        own.close()
    assert not sum(file.stat().st_size for file in (Path(sys.argv[1]) / "own").glob("*.log"))
    leave(0)
say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
with RocksDBContainer("db", Path(sys.argv[1]) / "own") as own:
    say(len(list(own.keys())))
parent.close()
"""


@pytest.mark.parametrize("leave", ["sys.exit", "os._exit"])
@pytest.mark.parametrize("parent", ["open", "closed"])
def test_a_child_writes_containers_of_its_own(spawn: Any, tmp_path: Path, leave: str, parent: str) -> None:
    """Without the threads that RocksDB lost in the fork: a flush would wait for them for ever."""
    said = spawn(CHILD_THAT_WRITES, tmp_path, leave, parent).communicate(timeout=WAIT_SECONDS)[0]
    assert said.split() == ["0", "2000"]
