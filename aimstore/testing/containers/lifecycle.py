"""Tests of opening and closing: the calls after them, and the writes that a container for reading refuses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import pytest

from aimstore.abc import Backend, Container, KeyRange, Mode, WriteBatch
from aimstore.errors import ClosedError, ReadOnlyError
from aimstore.testing.data import PATH, batch_of, fill, holds, numbered
from aimstore.testing.harness import Harness
from aimstore.testing.waiting import WAIT_SECONDS, Background

READS: Final[dict[str, Callable[[Container], Any]]] = {
    "get": lambda container: container.get(b"a"),
    "get_many": lambda container: container.get_many([b"a"]),
    "exists": lambda container: container.exists(b"a"),
    "items": lambda container: list(container.items()),
    "scan": lambda container: list(container.scan(KeyRange(b"a"), reverse=True)),
    "keys": lambda container: list(container.keys()),
    "first": lambda container: container.first(),
    "last": lambda container: container.last(),
    "refresh": lambda container: container.refresh(),
    "flush": lambda container: container.flush(),
    "flush to disk": lambda container: container.flush(sync=True),
}
WRITES: Final[dict[str, Callable[[Container], Any]]] = {
    "put": lambda container: container.put(b"a", b"changed"),
    "delete": lambda container: container.delete(b"a"),
    "delete_range": lambda container: container.delete_range(KeyRange(b"a")),
    "write": lambda container: container.write(batch_of({b"a": b"changed"})),
    "write nothing": lambda container: container.write(WriteBatch()),
}
CALLS: Final = READS | WRITES


class LifecycleTests(Harness):
    operation = "lifecycle"

    @pytest.mark.parametrize("mode", list(Mode))
    def test_every_call_on_a_closed_container_raises(self, backend: Backend, mode: Mode) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            items = fill(container, {b"a": b"1", b"b": b"2"})
        container = backend.open(PATH, mode)
        assert not container.closed
        container.close()
        assert container.closed
        for call in CALLS.values():
            with pytest.raises(ClosedError):
                call(container)
        container.close()
        with backend.open(PATH) as reader:
            holds(reader, items)

    def test_a_with_block_closes_also_where_it_raises(self, backend: Backend) -> None:
        with pytest.raises(ZeroDivisionError), backend.open(PATH, Mode.WRITE) as container:  # noqa: PT012
            container.put(b"a", b"1")
            raise ZeroDivisionError
        assert container.closed
        with backend.open(PATH, Mode.WRITE) as container:
            holds(container, {b"a": b"1"})

    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize("reverse", [False, True])
    def test_close_ends_open_scans(self, backend: Backend, mode: Mode, reverse: bool) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            fill(container, numbered(2000))
        container = backend.open(PATH, mode)
        scans = [container.items(reverse=reverse) for _ in range(3)]
        next(scans[1])
        for _ in range(500):
            next(scans[2])
        container.close()
        for scan in scans:
            with pytest.raises(ClosedError):
                next(scan)
        with backend.open(PATH, Mode.WRITE) as container:  # no reference keeps the engine open
            assert len(list(container.keys())) == 2000

    def test_a_container_for_reading_refuses_every_write(self, backend: Backend) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            items = fill(container, {b"a": b"1"})
        with backend.open(PATH) as reader:
            for call in WRITES.values():
                with pytest.raises(ReadOnlyError):
                    call(reader)
            for call in READS.values():
                call(reader)
            holds(reader, items)

    def test_readers_outlive_the_writer(self, backend: Backend) -> None:
        writer = backend.open(PATH, Mode.WRITE)
        items = fill(writer, numbered(500))
        with backend.open(PATH) as reader:
            scan = reader.items()
            next(scan)
            writer.close()
            assert len(list(scan)) == 499
            holds(reader, items)
            reader.refresh()
            holds(reader, items)

    def test_opening_and_closing_again_and_again_keeps_everything(self, backend: Backend) -> None:
        model: dict[bytes, bytes] = {}
        for n in range(12):
            with backend.open(PATH, Mode.WRITE) as container:
                model |= fill(container, {b"%d" % n: b"%d" % n, b"last": b"%d" % n})
                holds(container, model)

    def test_threads_inside_a_scan_get_every_item_or_closed_error(self, backend: Backend) -> None:
        container = backend.open(PATH, Mode.WRITE)
        items = sorted(fill(container, numbered(3000)).items())
        begun, closed = threading.Barrier(4), threading.Event()

        def read() -> None:
            begun.wait(WAIT_SECONDS)
            with pytest.raises(ClosedError):  # noqa: PT012  whichever of the two finds it closed
                while not closed.is_set():
                    assert list(container.items()) == items
                list(container.items())

        readers = [Background(read) for _ in range(3)]
        begun.wait(WAIT_SECONDS)
        list(container.items())
        container.close()
        closed.set()
        for reader in readers:
            reader.result()
