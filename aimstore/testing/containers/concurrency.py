"""Tests of several threads, and several processes, that use one container."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from aimstore.abc import Backend, Container
from aimstore.testing import tasks
from aimstore.testing.data import PATH, batch_of, fill, holds, numbered
from aimstore.testing.harness import Harness, Start, needs
from aimstore.testing.process import Process
from aimstore.testing.waiting import Background, together


class ConcurrencyTests(Harness):
    operation = "concurrency"

    def test_threads_see_whole_batches(self, container: Container, elsewhere: Backend) -> None:
        count, writing = 150, threading.Event()
        fill(container, {b"%02d" % part: b"0" for part in range(20)})

        def write() -> None:
            try:
                for n in range(1, count):
                    container.write(batch_of({b"%02d" % part: b"%d" % n for part in range(20)}))
            finally:
                writing.set()

        def look(reader: Container) -> None:
            for reverse in (False, True):
                assert len({value for _, value in reader.items(reverse=reverse)}) == 1, "a scan saw part of a batch"

        def read_own() -> None:
            while not writing.is_set():
                look(container)

        def read_as_reader() -> None:
            with elsewhere.open(PATH) as reader:
                while not writing.is_set():
                    reader.refresh()
                    look(reader)

        together(write, read_own, read_as_reader)
        assert {value for _, value in container.items()} == {b"%d" % (count - 1)}

    def test_threads_may_write_at_once(self, container: Container) -> None:
        def write(name: bytes) -> Callable[[], None]:
            def work() -> None:
                for n in range(100):
                    container.write(batch_of({b"%s/%03d" % (name, n): b"%d" % n, b"shared": name}))
                    assert container.get(b"%s/%03d" % (name, n)) == b"%d" % n

            return work

        together(*map(write, (b"a", b"b", b"c")))
        found = dict(container.items())
        assert found.pop(b"shared") in (b"a", b"b", b"c")
        assert found == {b"%s/%03d" % (name, n): b"%d" % n for name in (b"a", b"b", b"c") for n in range(100)}

    def test_threads_may_scan_and_get_at_once(self, container: Container) -> None:
        items = fill(container, numbered(1000))
        expected = sorted(items.items())

        def read() -> None:
            for reverse in (False, True, False):
                assert list(container.items(reverse=reverse)) == (expected[::-1] if reverse else expected)
                assert container.get_many(list(items)) == list(items.values())

        together(read, read, read)

    @needs("persistent", "multi_process")
    def test_readers_in_other_processes_beside_a_writer(self, container: Container, start: Start) -> None:
        container.write(tasks.batch(0))
        rounds = 8
        heard: list[int] = []

        def listen(follower: Process) -> Callable[[], None]:
            def work() -> None:
                for _ in range(rounds):
                    heard.append(follower.hear())  # noqa: PERF401  the writer counts them meanwhile

            return work

        followers = [start(tasks.follow, PATH, rounds) for _ in range(2)]
        listeners = [Background(listen(follower)) for follower in followers]
        number = 0
        while any(listener.running for listener in listeners):
            if number < 50 * (len(heard) + 1):  # readers read everything repeatedly, and must keep up
                number += 1
                container.write(tasks.batch(number))
            time.sleep(0.001)
        for listener in listeners:
            listener.result()
        holds(container, tasks.batches(number + 1))
