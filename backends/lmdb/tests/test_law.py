"""The law of containers, against a dict, with reopening, refreshing and a map that has to grow in between."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from aimstore.abc import KeyRange, Mode, Op, WriteBatch
from aimstore_lmdb.config import LMDBOptions
from aimstore_lmdb.container import LMDBContainer

LONG = b"long" * 127 + b"end"
KEYS = st.binary(min_size=1, max_size=3) | st.sampled_from(
    [b"\xff", b"\xff\xff", b"\x00", b"a", b"a\x00", LONG, LONG[:-1]]
)
SIZES = st.integers(0, 40) | st.sampled_from([3000, 70_000])
BOUNDS = st.binary(max_size=2) | st.sampled_from([LONG, LONG + b"\x00", LONG + b"more", LONG[:-1]])
RANGES = st.tuples(BOUNDS, st.none() | BOUNDS).map(
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
        self.options = LMDBOptions(map_size=64 << 10)
        self.writer = LMDBContainer("db", self.place / "db", Mode.WRITE, None, self.options)
        self.reader = LMDBContainer("db", self.place / "db", Mode.READ, None, self.options)

    def teardown(self) -> None:
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
                if len(key.start) <= 511:  # else the base class refuses it, as it does with keys
                    batch.delete_range(key)
                    self.model = {k: v for k, v in self.model.items() if k not in key}
        self.writer.write(batch)

    @rule(keys=st.lists(KEYS | BOUNDS, max_size=4))
    def get(self, keys: list[bytes]) -> None:
        expected = [self.model.get(key) for key in keys]
        assert self.writer.get_many(keys) == expected
        assert [self.reader.get(key) for key in keys] == expected

    @rule(keys=RANGES, reverse=st.booleans())
    def scan(self, keys: KeyRange, reverse: bool) -> None:
        expected = sorted(((k, v) for k, v in self.model.items() if k in keys), reverse=reverse)
        for container in (self.writer, self.reader):
            assert list(container.scan(keys, reverse=reverse)) == expected

    @rule(operations=OPERATIONS, reverse=st.booleans(), taken=st.integers(0, 3))
    def scan_a_snapshot(self, operations: Operations, reverse: bool, taken: int) -> None:
        expected = sorted(self.model.items(), reverse=reverse)
        scan = self.reader.items(reverse=reverse)
        found = [item for _, item in zip(range(taken), scan, strict=False)]
        self.write(operations)
        assert found + list(scan) == expected

    @rule(sync=st.booleans())
    def flush(self, sync: bool) -> None:
        self.writer.flush(sync=sync)
        self.reader.refresh()

    @rule(both=st.booleans())
    def reopen(self, both: bool) -> None:
        self.writer.close()
        if both:
            self.reader.close()
        self.writer = LMDBContainer("db", self.place / "db", Mode.WRITE, None, self.options)
        if both:
            self.reader = LMDBContainer("db", self.place / "db", Mode.READ, None, self.options)


TestContainers = Containers.TestCase
TestContainers.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
