"""The loops over LMDB alone do what containers do; what these cost beside them is printed, and not judged, by `pytest -s`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aimstore.errors import CorruptionError
from aimstore.testing.benchmarks import run
from aimstore_lmdb.direct import open_directly


def test_overhead_is_measured() -> None:
    timings = run("lmdb", count=2_000, rounds=2)
    assert [timing.work for timing in timings] == ["put", "get", "scan", "open", "close"]
    assert all(timing.overhead is not None for timing in timings)
    print("", *timings, sep="\n")


def test_the_loops_notice_damage_as_containers_do(open_container: Any, tmp_path: Path) -> None:
    with open_container() as container:
        container.put(b"key", b"value" * 100)
    data = tmp_path / "db/data.mdb"
    data.write_bytes(data.read_bytes().replace(b"value" * 100, b"value" * 99 + b"valve"))
    with open_directly(tmp_path / "db", False) as loops:
        for work in (loops.scan, lambda: loops.get([b"key"])):
            with pytest.raises(CorruptionError, match="b'key' is damaged"):
                work()
