"""Forked children: the parent's containers are refused and unharmed, their own work, on the same files too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

LEAVE = "import sys, os; leave = {'sys.exit': sys.exit, 'os._exit': os._exit}[sys.argv[2]]\n"

CHILD_OF_AN_OPEN_WRITER = (
    LEAVE
    + """
from aimstore.errors import ClosedError
parent = LMDBContainer("db", Path(sys.argv[1]) / "db")
reader = LMDBContainer("db", Path(sys.argv[1]) / "db", Mode.READ)
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
    import gc; gc.collect()
    for again in range(2):
        with LMDBContainer("db", Path(sys.argv[1]) / "db", Mode.READ) as own:
            assert len(list(own.keys())) == 2000
            grandchild = os.fork()
            if not grandchild:
                with LMDBContainer("db", Path(sys.argv[1]) / "db", Mode.READ) as own:
                    assert len(list(own.keys())) == 2000
                leave(0)
            assert os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0
    with LMDBContainer("db", Path(sys.argv[1]) / "own") as own:
        own.put(b"key", b"value")
    leave(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
for n in range(2000):  # uses the pages again that no reader is known to need
    parent.put(b"%04d" % n, b"other")
assert [value for _, value in scan] == [b"value"] * 1999
parent.put(b"after", b"value")
parent.close()
reader.close()
with LMDBContainer("db", Path(sys.argv[1]) / "db", Mode.READ) as again:
    assert len(list(again.keys())) == 2001
with LMDBContainer("db", Path(sys.argv[1]) / "own", Mode.READ) as own:
    assert own.get(b"key") == b"value"
say("well")
"""
)


@pytest.mark.parametrize("leave", ["sys.exit", "os._exit"])
def test_a_child_refuses_its_parents_containers_and_opens_its_own(spawn: Any, tmp_path: Path, leave: str) -> None:
    assert spawn(CHILD_OF_AN_OPEN_WRITER, tmp_path, leave).communicate(timeout=60)[0] == "well\n"
