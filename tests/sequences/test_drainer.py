"""The writer thread: it runs while there are writers, drains them all, and bounds what they keep together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest

from aimstore.sequences import DrainLimits, process_drainer
from aimstore.sequences.drainer import Drainer
from aimstore.testing.waiting import WAIT_SECONDS, until


class Fake:
    """A writer that remembers what is asked of it."""

    def __init__(self, unsealed: int = 0) -> None:
        self.drained = Event()
        self.unsealed_bytes = unsealed
        self.sealed: list[int] = []

    def drain(self) -> None:
        self.drained.set()

    def seal_largest(self, nbytes: int) -> None:
        self.sealed.append(nbytes)
        self.unsealed_bytes = 0


@pytest.fixture
def drainer() -> Iterator[Callable[..., Drainer]]:
    made: list[Drainer] = []

    def make(**limits: Any) -> Drainer:
        made.append(Drainer(DrainLimits(interval_seconds=0.001, **limits)))
        return made[-1]

    yield make
    for each in made:
        for writer in each._writers:
            each.stop(writer)
        until(lambda each=each: each._thread is None, "the thread of a drainer without writers runs on")  # type: ignore[misc]


def test_a_writer_is_drained_from_start_to_stop(drainer: Callable[..., Drainer]) -> None:
    own, writer, other = drainer(), Fake(), Fake()
    own.start(writer)
    own.start(other)
    assert writer.drained.wait(WAIT_SECONDS)
    assert other.drained.wait(WAIT_SECONDS)
    own.stop(writer)
    for _ in range(3):  # a drain that had begun by then may still come to `writer`
        writer.drained.clear()
        other.drained.clear()
        assert other.drained.wait(WAIT_SECONDS)
    own.drain_all()
    assert not writer.drained.is_set()
    own.stop(writer)


def test_the_thread_ends_with_the_last_writer_and_starts_again(drainer: Callable[..., Drainer]) -> None:
    own = drainer()
    for _ in range(2):
        writer = Fake()
        own.start(writer)
        assert writer.drained.wait(WAIT_SECONDS)
        own.stop(writer)
        until(lambda: own._thread is None, "the thread runs on without writers")


def test_past_the_limit_the_largest_writer_seals_early(drainer: Callable[..., Drainer]) -> None:
    own = drainer(unsealed_bytes=100)
    small, large = Fake(40), Fake(90)
    own.start(small)
    own.start(large)
    until(lambda: bool(large.sealed), "nothing is sealed early")
    assert large.sealed == [30 + 25]
    assert small.sealed == []


def test_what_was_dropped_is_closed_and_an_error_in_it_stops_nothing(drainer: Callable[..., Drainer]) -> None:
    class Orphan:
        def __init__(self, fails: bool) -> None:
            self.fails = fails
            self.closed = Event()

        def close(self) -> None:
            self.closed.set()
            if self.fails:
                raise OSError("no space left")

    own, writer = drainer(), Fake()
    own.start(writer)
    for orphan in (Orphan(fails=True), Orphan(fails=False)):
        own.close_later(orphan)
        assert orphan.closed.wait(WAIT_SECONDS)
    writer.drained.clear()
    assert writer.drained.wait(WAIT_SECONDS)


def test_making_a_writer_starts_nothing(writing: Callable[..., Any]) -> None:
    held = writing()
    held.writer.track(1.0, "loss", None, None, None)
    assert held.writer not in process_drainer._writers
    held.writer.close()
