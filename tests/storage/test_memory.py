"""The memory container against a dict, and the memory backend."""

from __future__ import annotations

import os
import threading

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from aimstore.abc import Container, Item, KeyRange, Mode, WriteBatch
from aimstore.errors import ClosedError, FencedError, LockedError
from aimstore.storage.memory import MemoryBackend, MemoryContainer
from aimstore.testing.waiting import WAIT_SECONDS, until

KEYS = st.binary(min_size=1, max_size=3) | st.sampled_from([b"\xff", b"\xff\xff", b"\0", b"a\xff"])
BOUNDS = st.binary(max_size=2)


class MemoryMachine(RuleBasedStateMachine):
    """Batches and scans on a container, a reader of it, and dicts that should equal them."""

    def __init__(self) -> None:
        super().__init__()
        self.container: Container = MemoryContainer()
        self.model: dict[bytes, bytes] = {}
        self.scans: list[tuple[list[Item], object]] = []

    @rule(operations=st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=3) | BOUNDS.map(bytearray)), max_size=6))
    def write(self, operations: list[tuple[bytes, bytes | bytearray | None]]) -> None:
        batch = WriteBatch()
        for key, value in operations:
            if value is None:
                batch.delete(key)
                self.model.pop(key, None)
            elif isinstance(value, bytes):
                batch.put(key, value)
                self.model[key] = value
            else:
                bounds = sorted((key, bytes(value)))
                batch.delete_range(KeyRange(bounds[0], bounds[1] or None))
                for gone in [k for k in self.model if bounds[0] <= k < bounds[1]]:
                    del self.model[gone]
        self.container.write(batch)

    @rule(bound=BOUNDS)
    def delete_to_the_end(self, bound: bytes) -> None:
        self.container.delete_range(KeyRange(bound))
        self.model = {key: value for key, value in self.model.items() if key < bound}

    @rule(start=BOUNDS, stop=st.none() | BOUNDS, reverse=st.booleans())
    def begin_a_scan(self, start: bytes, stop: bytes | None, reverse: bool) -> None:
        if stop is not None and start > stop:
            start, stop = stop, start
        keys = KeyRange(start, stop)
        expected = sorted(((k, v) for k, v in self.model.items() if k in keys), reverse=reverse)
        self.scans.append((expected, self.container.scan(keys, reverse=reverse)))

    @rule()
    def finish_scans(self) -> None:
        for expected, scan in self.scans:
            assert list(scan) == expected  # type: ignore[call-overload]
        self.scans.clear()

    @invariant()
    def same(self) -> None:
        assert list(self.container.items()) == sorted(self.model.items())

    @invariant()
    def same_ends(self) -> None:
        ordered = sorted(self.model.items())
        assert self.container.first() == (ordered[0] if ordered else None)
        assert self.container.last() == (ordered[-1] if ordered else None)

    @rule(prefix=BOUNDS)
    def same_prefix(self, prefix: bytes) -> None:
        expected = sorted(key for key in self.model if key.startswith(prefix))
        assert list(self.container.keys(prefix)) == expected
        assert list(self.container.keys(prefix, reverse=True)) == expected[::-1]

    @rule(keys=st.lists(KEYS))
    def same_values(self, keys: list[bytes]) -> None:
        assert self.container.get_many(keys) == [self.container.get(key) for key in keys]
        assert self.container.get_many(keys) == [self.model.get(key) for key in keys]
        assert [self.container.exists(key) for key in keys] == [key in self.model for key in keys]


TestMemoryContainer = MemoryMachine.TestCase
TestMemoryContainer.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_a_reader_keeps_its_state_until_it_refreshes() -> None:
    backend = MemoryBackend()
    with backend.open("a/b", Mode.WRITE) as writer:
        reader = backend.open("a/b")
        writer.put(b"k", b"1")
        assert reader.get(b"k") is None
        assert list(reader.items()) == []
        reader.refresh()
        assert reader.get(b"k") == b"1"


def test_threads_never_see_part_of_a_batch() -> None:
    container = MemoryContainer()
    done = threading.Event()
    torn: list[list[Item]] = []

    def read() -> None:
        while not done.is_set():
            items = list(container.items())
            if len({value for _, value in items}) > 1:
                torn.append(items)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for step in range(500):
        batch = WriteBatch()
        for key in range(10):
            batch.put(b"%d" % key, b"%d" % step)
        container.write(batch)
    done.set()
    for thread in threads:
        thread.join()
    assert torn == []


def test_the_backend_opens_lists_and_deletes() -> None:
    backend = MemoryBackend()
    with pytest.raises(FileNotFoundError, match="a/b"):
        backend.open("a/b")
    assert backend.version("a/b") is None
    assert not backend.exists("a/b")
    with backend.open("a/b", Mode.WRITE) as container:
        container.put(b"key", b"value")
    backend.open("c/d", Mode.WRITE).close()
    version = backend.version("a/b")
    assert backend.list("") == ["a/b", "c/d"]
    assert backend.list("a/") == ["a/b"]
    assert backend.size("a/b") == 8
    assert backend.version("a/b") == version
    with backend.open("a/b") as container:
        assert container.get(b"key") == b"value"
    backend.delete("a/b")
    backend.delete("a/b")
    assert not backend.exists("a/b")
    backend.open("a/b", Mode.WRITE).close()
    assert backend.version("a/b") not in (None, version)


def test_markers() -> None:
    backend = MemoryBackend()
    for path in ("b/x", "a/x", "a/x"):
        backend.mark(path)
    assert backend.marked("") == ["a/x", "b/x"]
    assert backend.marked("a/") == ["a/x"]
    backend.unmark("a/x")
    backend.unmark("a/x")
    assert backend.marked("a/") == []


def test_one_writer_at_a_time() -> None:
    backend = MemoryBackend()
    with backend.open("a", Mode.WRITE):
        owner = backend.lock_owner("a")
        with pytest.raises(LockedError) as caught:
            backend.open("a", Mode.WRITE)
        assert caught.value.owner == owner
        with pytest.raises(LockedError):
            backend.lock("a", timeout=0.01)
    assert backend.lock_owner("a") is None
    lock = backend.lock("a")
    container = backend.open("a", Mode.WRITE, lock=lock)
    with pytest.raises(ValueError, match="does not open"):
        backend.open("b", Mode.WRITE, lock=lock)
    lock.release()
    lock.release()
    for method in (lock.check, lock.contended):
        with pytest.raises(FencedError):
            method()
    with pytest.raises(FencedError):
        container.put(b"a", b"1")


def test_waiters_take_turns_before_a_holder_that_queues_again() -> None:
    backend = MemoryBackend()
    order: list[str] = []

    def wait() -> None:
        with backend.lock("a", timeout=WAIT_SECONDS):
            order.append("waiter")

    lock = backend.lock("a")
    assert not lock.contended()
    thread = threading.Thread(target=wait)
    thread.start()
    until(lock.contended, "a lock that somebody waits for is not contended")
    lock.release()
    with backend.lock("a", timeout=WAIT_SECONDS):
        order.append("holder")
    thread.join()
    assert order == ["waiter", "holder"]


def test_a_forked_child_finds_an_empty_backend_and_touches_nothing() -> None:
    backend = MemoryBackend()
    lock = backend.lock("a")
    container = backend.open("a", Mode.WRITE, lock=lock)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            lock.check()
        except ClosedError:
            try:
                container.put(b"a", b"child")
            except ClosedError:
                lock.release()
                backend.lock("a").release()
                status = 0 if backend.list("") == [] else 2
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    container.put(b"a", b"parent")
    assert container.get(b"a") == b"parent"
