"""Forked children: the parent's containers are refused and unharmed, their own work, on the same files too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import Mode
from aimstore.testing.waiting import WAIT_SECONDS

BESIDE_AN_OPEN_WRITER = """
import gc
from aimstore.errors import ClosedError
leave = {"sys.exit": sys.exit, "os._exit": os._exit}[sys.argv[2]]
db, own = Path(sys.argv[1]) / "db", Path(sys.argv[1]) / "own"
parent = Container("db", db)
reader = Container("db", db, Mode.READ)
for n in range(2000):
    parent.put(b"%04d" % n, b"value")
scan = parent.items(); next(scan)
child = os.fork()
if not child:
    for use in (lambda: parent.get(b"0000"), lambda: parent.put(b"child", b""), lambda: next(scan), parent.flush,
                lambda: list(reader.items()), lambda: parent.flush(sync=True)):
        try:
            use()
        except ClosedError:
            continue
        os._exit(3)
    parent.close(); reader.close()
    del parent, reader, scan
    gc.collect()
    for again in range(2):
        with Container("db", db, Mode.READ) as mine:
            assert len(list(mine.keys())) == 2000
            grandchild = os.fork()
            if not grandchild:
                with Container("db", db, Mode.READ) as mine:
                    assert len(list(mine.keys())) == 2000
                leave(0)
            assert os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
    with Container("db", own) as mine:
        mine.put(b"key", b"value")
    leave(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
for n in range(2000):  # an engine that reuses pages takes those that no reader is known to need
    parent.put(b"%04d" % n, b"other")
assert [value for _, value in scan] == [b"value"] * 1999
parent.put(b"after", b"value")
parent.close()
reader.close()
say("well")
"""


@pytest.mark.parametrize("leave", ["sys.exit", "os._exit"])
def test_a_child_refuses_its_parents_containers_and_opens_its_own(
    open_container: Any, spawn: Any, tmp_path: Path, leave: str
) -> None:
    assert spawn(BESIDE_AN_OPEN_WRITER, tmp_path, leave).communicate(timeout=WAIT_SECONDS)[0] == "well\n"
    assert len(list(open_container(Mode.READ).keys())) == 2001
    assert open_container(Mode.READ, tmp_path / "own").get(b"key") == b"value"
