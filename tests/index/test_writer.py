"""The index is held for the next commit, and given up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from aimstore.abc import Container, Mode, WriteBatch
from aimstore.errors import LockedError, StorageError
from aimstore.index.limits import IndexLimits
from aimstore.index.writer import IndexWriter
from aimstore.storage.memory import MemoryBackend
from aimstore.testing.waiting import WAIT_SECONDS, until
from aimstore.types import INDEX_PATH

LIMITS = IndexLimits(lock_wait_seconds=0.0)


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    with MemoryBackend() as backend:
        yield backend


@pytest.fixture
def writer(backend: MemoryBackend) -> IndexWriter:
    """A writer for which every commit follows closely upon another."""
    return IndexWriter(backend, replace(LIMITS, idle_seconds=float("inf")))


def put(number: int) -> WriteBatch:
    batch = WriteBatch()
    batch.put(b"%d" % number, b"x")
    return batch


def held(backend: MemoryBackend) -> bool:
    return backend.lock_owner(INDEX_PATH) is not None


def test_a_single_commit_gives_the_index_up(backend: MemoryBackend) -> None:
    IndexWriter(backend, LIMITS).commit(lambda index: put(1))
    assert not held(backend)


def test_commits_that_follow_each_other_open_it_once(backend: MemoryBackend, writer: IndexWriter) -> None:
    seen: list[Container] = []
    most = LIMITS.commits_per_lock
    for number in range(most):
        writer.commit(lambda index, number=number: seen.append(index) or put(number))  # type: ignore[misc]
        assert held(backend) == (number < most - 1)
    assert len(set(map(id, seen))) == 1
    with backend.open(INDEX_PATH) as index:
        assert len(list(index.keys())) == most


def test_it_is_given_up_for_who_waits(backend: MemoryBackend, writer: IndexWriter) -> None:
    for number in range(2):
        writer.commit(lambda index, number=number: put(number))  # type: ignore[misc]
    assert held(backend)
    backend.lock(INDEX_PATH, timeout=WAIT_SECONDS).release()
    writer.commit(lambda index: put(3))


def test_it_is_given_up_after_a_while(backend: MemoryBackend) -> None:
    now = 0.0
    writer = IndexWriter(backend, LIMITS, clock=lambda: now)
    for number in range(2):
        writer.commit(lambda index, number=number: put(number))  # type: ignore[misc]
    assert held(backend)
    now += 2 * LIMITS.idle_seconds
    until(lambda: not held(backend), "an idle writer holds the index")


def test_a_failed_commit_gives_it_up_and_the_next_opens_it_anew(backend: MemoryBackend, writer: IndexWriter) -> None:
    def fail(index: Container) -> WriteBatch:
        raise ZeroDivisionError

    writer.commit(lambda index: put(1))
    with pytest.raises(ZeroDivisionError):
        writer.commit(fail)
    assert not held(backend)
    writer.commit(lambda index: put(2))
    with backend.open(INDEX_PATH) as index:
        assert list(index.keys()) == [b"1", b"2"]


def test_an_index_that_was_lost_meanwhile_is_opened_anew(backend: MemoryBackend, writer: IndexWriter) -> None:
    failures = [StorageError("gone")]

    def make(index: Container) -> WriteBatch:
        if failures:
            raise failures.pop()
        return put(2)

    writer.commit(lambda index: put(1))
    writer.commit(make)
    with backend.open(INDEX_PATH) as index:
        assert list(index.keys()) == [b"1", b"2"]


def test_an_index_that_others_keep_is_refused(backend: MemoryBackend, writer: IndexWriter) -> None:
    with backend.open(INDEX_PATH, Mode.WRITE), pytest.raises(LockedError):
        writer.commit(lambda index: put(1))
