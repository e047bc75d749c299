"""Compares a container with a dict over random histories of writes, scans, reopenings and refreshes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from aimstore.abc import Backend, Container, Item, KeyRange, Mode, WriteBatch
from aimstore.testing.data import PATH, within
from aimstore.testing.harness import Harness

_BYTES: Final = st.sampled_from(b"\x00\x01ab\xff")  # few values, so that keys and bounds coincide
_KEYS: Final = st.lists(_BYTES, min_size=1, max_size=3).map(bytes)
_VALUES: Final = st.binary(max_size=6) | st.integers(1000, 30_000).map(lambda size: b"%d" % size * (size // 4))
_BOUNDS: Final = st.lists(_BYTES, max_size=3).map(bytes)


def _range(start: bytes, stop: bytes | None) -> KeyRange:
    return KeyRange(start, stop) if stop is None or start <= stop else KeyRange(stop, start)


_RANGES: Final = st.builds(_range, _BOUNDS, st.none() | _BOUNDS)
_OPERATIONS: Final = st.lists(
    st.tuples(st.just("put"), _KEYS, _VALUES)
    | st.tuples(st.just("delete"), _KEYS, st.none())
    | st.tuples(st.just("delete range"), _RANGES, st.none()),
    max_size=10,
)


class ContainerMachine(RuleBasedStateMachine):
    """A writer and a reader of one container, and dicts that must equal them.

    A reader may show a later state than that of its last refresh, if the container has had that state since then.
    """

    def __init__(self, open_backend: Callable[[], Backend], finish: Callable[[Mapping[bytes, bytes]], None]) -> None:
        super().__init__()
        self._open_backend = open_backend
        self._finish = finish
        self.model: dict[bytes, bytes] = {}
        self.since: list[dict[bytes, bytes]] = []
        self.scans: list[tuple[list[Item], Generator[Item, None, None]]] = []

    @initialize()
    def start(self) -> None:
        self.backend = self._open_backend()
        self.writer: Container = self.backend.open(PATH, Mode.WRITE)
        self.reader: Container = self.backend.open(PATH)
        self.since = [{}]

    def teardown(self) -> None:
        if self.since:
            self.reader.close()
            self.writer.close()
            self.backend.close()
            self._finish(self.model)

    @rule(operations=_OPERATIONS)
    def write(self, operations: list[tuple[str, Any, Any]]) -> None:
        batch, model = WriteBatch(), dict(self.model)
        for operation, what, value in operations:
            if operation == "put":
                batch.put(what, value)
                model[what] = value
            elif operation == "delete":
                batch.delete(what)
                model.pop(what, None)
            else:
                batch.delete_range(what)
                model = {key: value for key, value in model.items() if key not in what}
        self.writer.write(batch)
        self.model = model
        self.since.append(model)

    @rule(key=_KEYS, value=_VALUES)
    def put(self, key: bytes, value: bytes) -> None:
        self.writer.put(key, value)
        self.model = self.model | {key: value}
        self.since.append(self.model)

    @rule(keys=_RANGES)
    def delete_range(self, keys: KeyRange) -> None:
        self.writer.delete_range(keys)
        self.model = {key: value for key, value in self.model.items() if key not in keys}
        self.since.append(self.model)

    @rule(keys=st.lists(_KEYS, max_size=4))
    def get(self, keys: list[bytes]) -> None:
        keys += list(self.model)[:4]
        expected = [self.model.get(key) for key in keys]
        assert self.writer.get_many(keys) == expected
        assert [self.writer.get(key) for key in keys] == expected
        assert [self.writer.exists(key) for key in keys] == [value is not None for value in expected]

    @rule(keys=_RANGES, reverse=st.booleans())
    def scan(self, keys: KeyRange, reverse: bool) -> None:
        assert list(self.writer.scan(keys, reverse=reverse)) == within(self.model, keys, reverse=reverse)

    @rule(at=st.integers(0, 30), reverse=st.booleans())
    def scan_to_and_from_a_key(self, at: int, reverse: bool) -> None:
        bound = sorted(self.model)[at % len(self.model)] if self.model else b"a"
        for keys in (KeyRange(b"", bound), KeyRange(bound)):
            assert list(self.writer.scan(keys, reverse=reverse)) == within(self.model, keys, reverse=reverse)

    @rule(prefix=_BOUNDS)
    def ends(self, prefix: bytes) -> None:
        items = sorted(item for item in self.model.items() if item[0].startswith(prefix))
        assert self.writer.first(prefix) == (items[0] if items else None)
        assert self.writer.last(prefix) == (items[-1] if items else None)

    @rule(keys=_RANGES, reverse=st.booleans())
    def begin_a_scan(self, keys: KeyRange, reverse: bool) -> None:
        if len(self.scans) < 5:
            self.scans.append((within(self.model, keys, reverse=reverse), self.writer.scan(keys, reverse=reverse)))

    @rule(operations=_OPERATIONS, reverse=st.booleans())
    def write_during_a_scan(self, operations: list[tuple[str, Any, Any]], reverse: bool) -> None:
        expected, scan = sorted(self.model.items(), reverse=reverse), self.writer.items(reverse=reverse)
        self.write(operations)
        assert list(scan) == expected

    @rule(steps=st.integers(0, 3))
    def go_on_with_the_scans(self, steps: int) -> None:
        for expected, scan in self.scans:
            taken = list(itertools.islice(scan, steps))
            assert taken == expected[:steps]
            del expected[:steps]

    @rule()
    def finish_the_scans(self) -> None:
        for expected, scan in self.scans:
            assert list(scan) == expected
        self.scans.clear()

    @rule()
    def read(self) -> None:
        found = dict(self.reader.items())
        assert found in self.since, "the reader shows what the container never held since the last refresh"

    @rule(reverse=st.booleans())
    def refresh(self, reverse: bool) -> None:
        self.reader.refresh()
        self.since = [self.model]
        assert list(self.reader.items(reverse=reverse)) == sorted(self.model.items(), reverse=reverse)

    @rule()
    def open_another_reader(self) -> None:
        with self.backend.open(PATH) as another:
            assert list(another.items()) == sorted(self.model.items())

    @rule(sync=st.booleans())
    def flush(self, sync: bool) -> None:
        self.writer.flush(sync=sync)

    @rule()
    def reopen(self) -> None:
        self.scans.clear()
        self.writer.close()
        self.writer = self.backend.open(PATH, Mode.WRITE)

    @rule()
    def make_anew(self) -> None:
        self.scans.clear()
        self.writer.close()
        self.reader.close()
        with self.backend.lock(PATH) as lock:
            self.backend.delete(PATH)
            self.backend.open(PATH, Mode.WRITE, lock=lock).close()
        self.writer = self.backend.open(PATH, Mode.WRITE)
        self.reader = self.backend.open(PATH)
        self.model = {}
        self.since = [{}]

    @invariant()
    def same(self) -> None:
        if self.since:
            assert list(self.writer.items()) == sorted(self.model.items())
            assert self.writer.get_many(list(self.model)) == list(self.model.values())


class StatefulTests(Harness):
    operation = "any history"

    def test_a_container_is_a_dict(self, tmp_path: Path) -> None:
        numbers = itertools.count()

        def machine() -> ContainerMachine:
            root = tmp_path / f"example-{next(numbers)}"

            def finish(model: Mapping[bytes, bytes]) -> None:
                found = self.oracle(root / PATH)
                assert found is None or dict(found) == model, "the engine's own library finds something else"

            return ContainerMachine(lambda: self.open_backend(root), finish)

        run_state_machine_as_test(
            cast("type[ContainerMachine]", machine),  # any function that makes a machine is accepted
            settings=settings(
                max_examples=self.examples,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )
