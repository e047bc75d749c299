"""The loops over RocksDB alone do what containers do; what these cost beside them is printed, and not judged, by `pytest -s`."""

from __future__ import annotations

from aimstore.testing.benchmarks import run


def test_overhead_is_measured() -> None:
    timings = run("rocksdb", count=2_000, rounds=2)
    assert [timing.work for timing in timings] == ["put", "get", "scan", "open", "close"]
    assert all(timing.overhead is not None for timing in timings)
    print("", *timings, sep="\n")
