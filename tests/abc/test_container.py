"""What the base class does for every engine, seen through the memory container."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Generator
from typing import Any, ClassVar

import pytest

from aimstore.abc import Capability, Container, Item, KeyRange, Lock, Mode, WriteBatch
from aimstore.errors import ClosedError, CorruptionError, FencedError, LockOwner, ReadOnlyError, UnsupportedError
from aimstore.storage.memory import MemoryContainer
from aimstore.testing.waiting import until

ITEMS = [(b"a", b"1"), (b"b", b"2"), (b"ba", b"3"), (b"c", b"4")]


class RecordingLock(Lock):
    def __init__(self) -> None:
        super().__init__("memory", LockOwner("host", 1, 0.0, "token"))
        self.lost = False
        self.released = 0

    def check(self) -> None:
        if self.lost:
            raise FencedError("lost")

    def contended(self) -> bool:
        return False

    def release(self) -> None:
        self.released += 1


class NarrowContainer(MemoryContainer):
    """An engine without range deletes and with short keys, which remembers what it was given."""

    capability: ClassVar[Capability] = Capability(max_key_size=4)

    def __init__(self) -> None:
        super().__init__()
        self.written: list[WriteBatch] = []
        self.flushed: list[bool] = []

    def _write(self, batch: WriteBatch) -> None:
        self.written.append(batch)
        super()._write(batch)

    def _flush(self, sync: bool) -> None:
        self.flushed.append(sync)


@pytest.fixture
def container() -> MemoryContainer:
    container = MemoryContainer()
    for key, value in ITEMS:
        container.put(key, value)
    return container


CALLS: list[Callable[[Container], Any]] = [
    lambda c: c.get(b"a"),
    lambda c: c.get_many([b"a"]),
    lambda c: c.exists(b"a"),
    lambda c: c.items(),
    lambda c: c.scan(KeyRange()),
    lambda c: next(c.keys(), None),
    lambda c: c.first(),
    lambda c: c.last(),
    lambda c: c.refresh(),
    lambda c: c.put(b"a", b""),
    lambda c: c.delete(b"a"),
    lambda c: c.delete_range(KeyRange()),
    lambda c: c.write(WriteBatch()),
    lambda c: c.flush(),
    lambda c: c.flush(sync=True),
]


def test_reading(container: MemoryContainer) -> None:
    assert list(container.items()) == ITEMS
    assert list(container.items(reverse=True)) == ITEMS[::-1]
    assert list(container.items(b"b")) == ITEMS[1:3]
    assert list(container.keys(b"b", reverse=True)) == [b"ba", b"b"]
    assert list(container.scan(KeyRange(b"aa", b"c"))) == ITEMS[1:3]
    assert list(container.scan(KeyRange(b"b", b"b"))) == []
    assert (container.first(), container.last()) == (ITEMS[0], ITEMS[-1])
    assert (container.first(b"b"), container.last(b"b")) == (ITEMS[1], ITEMS[2])
    assert container.first(b"x") is container.last(b"x") is None
    assert container.get_many(iter([b"c", b"x", b"a"])) == [b"4", None, b"1"]


def test_a_batch_holds_from_its_last_word(container: MemoryContainer) -> None:
    batch = WriteBatch()
    batch.put(b"bb", b"gone")
    batch.delete_range(KeyRange.prefix(b"b"))
    batch.put(b"b", b"new")
    batch.put(b"b", b"newer")
    batch.delete(b"a")
    container.write(batch)
    assert list(container.items()) == [(b"b", b"newer"), (b"c", b"4")]


def test_a_range_is_checked_before_anything_happens(container: MemoryContainer) -> None:
    with pytest.raises(ValueError, match="reversed"):
        container.scan(KeyRange(b"b", b"a"))
    with pytest.raises(ValueError, match="reversed"):
        container.delete_range(KeyRange(b"b", b"a"))
    container.delete_range(KeyRange(b"b", b"b"))
    assert list(container.items()) == ITEMS


def test_a_scan_is_a_snapshot_of_when_it_was_made(container: MemoryContainer) -> None:
    scans = [container.items(), container.items(reverse=True), container.scan(KeyRange(b"b"))]
    container.put(b"aa", b"new")
    container.put(b"a", b"new")
    container.delete(b"c")
    assert [list(scan) for scan in scans] == [ITEMS, ITEMS[::-1], ITEMS[1:]]


def test_range_deletes_become_point_deletes_where_the_engine_has_none() -> None:
    container = NarrowContainer()
    for key, value in ITEMS:
        container.put(key, value)
    container.written.clear()
    batch = WriteBatch()
    batch.put(b"bz", b"gone")
    batch.delete_range(KeyRange.prefix(b"b"))
    batch.put(b"b", b"new")
    container.write(batch)
    assert list(container.items()) == [(b"a", b"1"), (b"b", b"new"), (b"c", b"4")]
    assert len(container.written) == 1
    assert {op.name for op, _, _ in container.written[0].ops} == {"PUT", "DELETE"}


def test_a_key_that_is_too_long_stops_the_whole_batch() -> None:
    container = NarrowContainer()
    batch = WriteBatch()
    batch.put(b"good", b"")
    batch.put(b"toolong", b"")
    with pytest.raises(UnsupportedError, match="a key of 7 bytes; this engine takes at most 4"):
        container.write(batch)
    assert container.written == []


def test_flush_reaches_the_engine_of_a_writer_only() -> None:
    container = NarrowContainer()
    container.flush()
    container.flush(sync=True)
    container.mode = Mode.READ
    container.flush()
    assert container.flushed == [False, True]


def test_a_container_opened_for_reading_refuses_writes(container: MemoryContainer) -> None:
    reader = MemoryContainer("x", Mode.READ, store=container._store)
    for call in CALLS[:9]:
        call(reader)
    reader.flush()
    for call in CALLS[9:13]:
        with pytest.raises(ReadOnlyError, match="x is open for reading"):
            call(reader)
    assert list(reader.items()) == ITEMS


@pytest.mark.parametrize("call", CALLS)
def test_everything_raises_after_close(container: MemoryContainer, call: Callable[[Container], Any]) -> None:
    with container:
        assert not container.closed
    assert container.closed
    container.close()
    with pytest.raises(ClosedError, match="container memory is closed"):
        call(container)


def test_close_ends_open_scans_loudly(container: MemoryContainer) -> None:
    fresh, begun = container.items(), container.items()
    next(begun)
    container.close()
    for scan in (fresh, begun):
        with pytest.raises(ClosedError):
            list(scan)


def test_close_waits_for_a_thread_inside_a_step(container: MemoryContainer) -> None:
    inside, go = threading.Event(), threading.Event()

    class Slow(MemoryContainer):
        def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
            for at, item in enumerate(super()._scan(keys, reverse)):
                if at == 1:
                    inside.set()
                    go.wait()
                yield item

    slow = Slow(store=container._store)
    result: list[object] = []

    def read() -> None:
        try:
            result.extend(slow.items())
        except ClosedError as error:
            result.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    inside.wait()
    closer = threading.Thread(target=slow.close)
    closer.start()
    until(lambda: slow.closed, "a scan keeps its container from being closed")
    go.set()
    closer.join()
    reader.join()
    assert isinstance(result[-1], ClosedError)


def test_a_scan_raises_what_the_engine_raises_and_never_ends_early(container: MemoryContainer) -> None:
    class Broken(MemoryContainer):
        def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
            for item in super()._scan(keys, reverse):
                if item[0] == b"c":
                    raise CorruptionError("bad block")
                yield item

    scan = Broken(store=container._store).items()
    assert [next(scan) for _ in range(3)] == ITEMS[:3]
    with pytest.raises(CorruptionError, match="bad block"):
        next(scan)


def test_an_abandoned_scan_releases_the_engines() -> None:
    released = []

    class Watched(MemoryContainer):
        def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
            try:
                yield from super()._scan(keys, reverse)
            finally:
                released.append(True)

    container = Watched()
    container.put(b"a", b"1")
    container.put(b"b", b"2")
    container.first()
    container.items().close()
    next(container.items())
    gc.collect()
    assert len(released) == 3


def test_a_lost_lock_stops_the_write() -> None:
    lock = RecordingLock()
    container = MemoryContainer(lock=lock)
    container.put(b"a", b"1")
    lock.lost = True
    with pytest.raises(FencedError):
        container.put(b"a", b"2")
    assert container.get(b"a") == b"1"


def test_close_releases_the_lock_it_owns_and_no_other() -> None:
    handed_in, owned = RecordingLock(), RecordingLock()
    MemoryContainer(lock=handed_in).close()
    container = MemoryContainer(lock=owned)
    owned.give_to(container)
    container.close()
    container.close()
    assert (handed_in.released, owned.released) == (0, 1)


@pytest.mark.parametrize("call", CALLS)
def test_everything_raises_in_a_forked_child(container: MemoryContainer, call: Callable[[Container], Any]) -> None:
    lock = RecordingLock()
    container._lock = lock
    lock.give_to(container)
    scan = container.items()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            call(container)
        except ClosedError as error:
            container.close()
            status = 0 if "parent process" in str(error) and not lock.released else 2
        os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert list(scan) == ITEMS
    call(container)


def test_the_repr_shows_path_and_state(container: MemoryContainer) -> None:
    assert repr(container) == "<MemoryContainer 'memory' write>"
    container.close()
    assert repr(container) == "<MemoryContainer 'memory' write closed>"
