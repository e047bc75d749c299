"""Finished runs that do not get the index lock are taken in by its holder."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.abc import Mode
from aimstore.encoding.values import encode_value
from aimstore.errors import LockedError
from aimstore.index.indexer import ContainerIndexer
from aimstore.index.limits import IndexLimits
from aimstore.index.waiting import WaitingRuns
from aimstore.repository import context_of
from aimstore.storage.layout import DELETED_KEY, property_key
from aimstore.storage.memory import MemoryBackend
from aimstore.testing.waiting import WAIT_SECONDS, until
from aimstore.types import INDEX_PATH, meta_path

RUN = f"{1:024x}"
OTHER = f"{2:024x}"


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    with MemoryBackend() as made:
        for run_hash in (RUN, OTHER):
            with made.open(meta_path(run_hash), Mode.WRITE) as meta:
                meta.put(property_key("finalized_at"), encode_value(1))
        yield made


def runs_of(backend: MemoryBackend) -> set[str]:
    indexer = ContainerIndexer(backend)
    try:
        return set(indexer.runs())
    finally:
        indexer.close()


def test_a_commit_takes_in_the_runs_that_wait_and_removes_their_markers(backend: MemoryBackend) -> None:
    waiting = WaitingRuns(backend, 64)
    with waiting.announce(OTHER) as marker:
        assert not waiting.is_indexed(marker)
        indexer = ContainerIndexer(backend)
        with backend.open(meta_path(RUN)) as meta:
            indexer.index(RUN, meta)
        indexer.close()
        assert waiting.is_indexed(marker)
    assert runs_of(backend) == {RUN, OTHER}
    assert backend.marked("meta/waiting/") == []


def test_a_commit_takes_in_no_more_than_its_limit_at_a_time(backend: MemoryBackend) -> None:
    waiting = WaitingRuns(backend, 1)
    with waiting.announce(RUN), waiting.announce(OTHER):
        entries, markers = waiting.take(but=())
        assert (len(entries), len(markers)) == (1, 1)


@pytest.mark.parametrize("change", ["resumed", "deleted", "gone"])
def test_the_marker_of_a_run_that_is_no_longer_finished_is_removed_and_nothing_indexed(
    backend: MemoryBackend, change: str
) -> None:
    waiting = WaitingRuns(backend, 64)
    with waiting.announce(OTHER) as marker:
        if change == "gone":
            backend.delete(meta_path(OTHER))
        else:
            with backend.open(meta_path(OTHER), Mode.WRITE) as meta:
                if change == "deleted":
                    meta.put(DELETED_KEY, b"1")
                else:
                    for key in list(meta.keys()):
                        meta.delete(key)
        assert waiting.take(but=()) == ({}, [marker])


def test_a_marker_confirms_nothing_of_a_later_process(backend: MemoryBackend) -> None:
    waiting = WaitingRuns(backend, 64)
    backend.mark(f"meta/waiting/{OTHER}.00000000")  # a killed process left it behind
    _, markers = waiting.take(but=())
    with waiting.announce(OTHER) as marker:
        waiting.confirm(markers)
        assert not waiting.is_indexed(marker)


def test_a_run_that_waits_is_indexed_while_another_process_keeps_the_lock(backend: MemoryBackend) -> None:
    lock = backend.lock(INDEX_PATH)
    waiter = ContainerIndexer(backend, IndexLimits(lock_wait_seconds=600.0))
    failed: list[BaseException] = []

    def finish() -> None:
        try:
            with backend.open(meta_path(OTHER)) as meta:
                waiter.index(OTHER, meta)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=finish)
    thread.start()
    until(lambda: backend.marked("meta/waiting/") != [], "the run does not announce itself")
    waiting = WaitingRuns(backend, 64)
    entries, markers = waiting.take(but=())
    assert set(entries) == {OTHER}
    waiting.confirm(markers)
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive()
    assert failed == []
    assert backend.lock_owner(INDEX_PATH) is not None
    lock.release()


def test_a_run_that_nobody_takes_in_stays_complete_and_leaves_no_marker(backend: MemoryBackend) -> None:
    with backend.lock(INDEX_PATH), backend.open(meta_path(RUN)) as meta:
        indexer = ContainerIndexer(backend, IndexLimits(lock_wait_seconds=0.0))
        with pytest.raises(LockedError):
            indexer.index(RUN, meta)
        assert backend.marked("meta/") == []


def test_runs_of_several_processes_that_finish_at_once_are_indexed_by_few_commits(
    repo: Repo, python: Callable[..., Any]
) -> None:
    lock = context_of(repo).backend.lock(INDEX_PATH)
    program = "run = Run(repo='.'); run['x'] = 1; print('begun'); input(); run.close(); print(run.hash)"
    processes = [python(program) for _ in range(6)]
    for process in processes:
        process.expect("begun")
    for process in processes:
        process.say()
    backend = context_of(repo).backend
    until(lambda: len(backend.marked("meta/waiting/")) == 6, "not all wait for the index")
    lock.release()
    ended = {process.line() for process in processes}
    for process in processes:
        process.ends()
    with Run(repo=repo) as run:
        pass
    assert set(repo.list_runs()) == {*ended, run.hash}
    assert repo.status().indexed == 7
    assert backend.marked("meta/") == []
