"""The law of containers, against a dict, with reopening, refreshing and settling in between."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from aimstore.abc import KeyRange, Mode, Op, WriteBatch
from aimstore_rocksdb import cursor
from aimstore_rocksdb.config import RocksDBOptions
from aimstore_rocksdb.container import RocksDBContainer

KEYS = st.binary(min_size=1, max_size=3) | st.sampled_from([b"\xff", b"\xff\xff", b"\x00", b"a", b"b", b"a\x00"])
SIZES = st.integers(0, 40) | st.sampled_from([3000, 70_000])
RANGES = st.tuples(st.binary(max_size=2), st.none() | st.binary(max_size=2)).map(
    lambda bounds: KeyRange(*(bounds if bounds[1] is None else sorted(bounds)))  # type: ignore[type-var, arg-type]
)
OPERATIONS = st.lists(
    st.tuples(st.just(Op.PUT), KEYS, SIZES)
    | st.tuples(st.just(Op.DELETE), KEYS, st.none())
    | st.tuples(st.just(Op.DELETE_RANGE), RANGES, st.none()),
    max_size=12,
)


Operations = list[tuple[Op, bytes | KeyRange, int | None]]


class Containers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="aimstore-test-"))
        self.count = 0
        self.model: dict[bytes, bytes] = {}
        self.seen: dict[bytes, bytes] = {}  # what the reader has to see, until it refreshes

    @initialize(buffer=st.sampled_from([64 << 10, 4 << 20]))
    def start(self, buffer: int) -> None:
        self.options = RocksDBOptions(write_buffer_size=buffer)
        self.writer = RocksDBContainer("db", self.place / "db", Mode.WRITE, None, self.options)
        self.reader = RocksDBContainer("db", self.place / "db", Mode.READ, None, self.options)

    def teardown(self) -> None:
        if hasattr(self, "reader"):
            self.writer.close()
            self.reader.close()
        shutil.rmtree(self.place)

    @rule(operations=OPERATIONS)
    def write(self, operations: Operations) -> None:
        batch = WriteBatch()
        for op, key, size in operations:
            if op is Op.PUT:
                assert isinstance(key, bytes)
                assert size is not None
                self.count += 1
                batch.put(key, b"%d" % self.count * size)
                self.model[key] = b"%d" % self.count * size
            elif op is Op.DELETE:
                assert isinstance(key, bytes)
                batch.delete(key)
                self.model.pop(key, None)
            else:
                assert isinstance(key, KeyRange)
                batch.delete_range(key)
                self.model = {k: v for k, v in self.model.items() if k not in key}
        self.writer.write(batch)

    @rule(keys=st.lists(KEYS, max_size=4))
    def get(self, keys: list[bytes]) -> None:
        assert self.writer.get_many(keys) == [self.model.get(key) for key in keys]
        assert [self.reader.get(key) for key in keys] == [self.seen.get(key) for key in keys]

    @rule(keys=RANGES, reverse=st.booleans())
    def scan(self, keys: KeyRange, reverse: bool) -> None:
        for container, model in ((self.writer, self.model), (self.reader, self.seen)):
            expected = sorted(((k, v) for k, v in model.items() if k in keys), reverse=reverse)
            assert list(container.scan(keys, reverse=reverse)) == expected

    @rule(operations=OPERATIONS)
    def scan_a_snapshot(self, operations: Operations) -> None:
        expected = sorted(self.model.items())
        scan = self.writer.items()
        self.write(operations)
        assert list(scan) == expected

    @rule()
    def refresh(self) -> None:
        self.reader.refresh()
        self.seen = dict(self.model)

    @rule(sync=st.booleans())
    def flush(self, sync: bool) -> None:
        self.writer.flush(sync=sync)

    @rule()
    def reopen(self) -> None:
        self.writer.close()
        self.writer = RocksDBContainer("db", self.place / "db", Mode.WRITE, None, self.options)


Containers.TestCase.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("few", [1, 2, 1000])
def test_containers_obey_the_law(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    """`few`: so that ranges are deleted natively, key by key, or either."""
    monkeypatch.setattr(cursor, "_FEW", few)
    machine = Containers.TestCase()
    machine.runTest()  # type: ignore[attr-defined]
