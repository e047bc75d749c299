from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from aimstore.abc import Mode
from aimstore.encoding.keys import encode_path
from aimstore.errors import LockedError
from aimstore.index.indexer import ContainerIndexer
from aimstore.index.limits import IndexLimits
from aimstore.storage.layout import attributes
from aimstore.storage.memory import MemoryBackend, MemoryContainer
from aimstore.testing.waiting import WAIT_SECONDS
from aimstore.types import INDEX_PATH

RUNS = [f"{i:024x}" for i in range(5)]


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def indexer(backend: MemoryBackend) -> Iterator[ContainerIndexer]:
    indexer = ContainerIndexer(backend, IndexLimits(lock_wait_seconds=0.05))
    yield indexer
    indexer.close()


def meta(**tree: object) -> MemoryContainer:
    container = MemoryContainer("meta")
    attributes(container)[()] = tree
    return container


def found(indexer: ContainerIndexer, run_hash: str) -> object:
    tree = indexer.tree(run_hash)
    return None if tree is None else tree["attrs"]


def test_an_index_that_does_not_exist_is_empty(indexer: ContainerIndexer) -> None:
    indexer.refresh()
    indexer.remove(RUNS[0])
    assert list(indexer.runs()) == list(indexer.trees()) == []
    assert indexer.tree(RUNS[0]) is None


def test_indexed_runs_are_found_after_a_refresh(indexer: ContainerIndexer) -> None:
    for i in (2, 0, 1):
        indexer.index(RUNS[i], meta(i=i))
    indexer.refresh()
    assert list(indexer.runs()) == RUNS[:3]
    assert [(run, tree and tree["attrs"]) for run, tree in indexer.trees()] == [(RUNS[i], {"i": i}) for i in range(3)]
    assert [run for run, _ in indexer.trees([RUNS[2], RUNS[4], RUNS[0]])] == [RUNS[2], RUNS[0]]


def test_indexing_again_replaces_and_removing_forgets(indexer: ContainerIndexer) -> None:
    indexer.index(RUNS[0], meta(a=1))
    indexer.index(RUNS[0], meta(b=2))
    indexer.refresh()
    assert found(indexer, RUNS[0]) == {"b": 2}
    indexer.remove(RUNS[0])
    indexer.refresh()
    assert indexer.tree(RUNS[0]) is None


def test_a_batch_commits_together_at_its_end(indexer: ContainerIndexer, backend: MemoryBackend) -> None:
    with indexer.batch():
        indexer.index(RUNS[0], meta(a=1))
        with indexer.batch():
            indexer.index(RUNS[1], meta(a=2))
        assert not backend.exists(INDEX_PATH)
    indexer.refresh()
    assert list(indexer.runs()) == RUNS[:2]


def fail_in_a_batch(indexer: ContainerIndexer) -> None:
    with indexer.batch():
        indexer.index(RUNS[0], meta(a=1))
        indexer.index(RUNS[1], None)  # type: ignore[arg-type]


def test_an_exception_drops_the_batch(indexer: ContainerIndexer) -> None:
    with pytest.raises(AttributeError):
        fail_in_a_batch(indexer)
    indexer.index(RUNS[1], meta(a=2))
    indexer.refresh()
    assert list(indexer.runs()) == [RUNS[1]]


def test_a_busy_index_is_refused_and_unchanged(indexer: ContainerIndexer, backend: MemoryBackend) -> None:
    indexer.index(RUNS[0], meta(a=1))
    with backend.lock(INDEX_PATH, timeout=WAIT_SECONDS), pytest.raises(LockedError):
        indexer.index(RUNS[1], meta(a=2))
    indexer.refresh()
    assert list(indexer.runs()) == [RUNS[0]]


def test_a_damaged_entry_breaks_no_other(
    indexer: ContainerIndexer, backend: MemoryBackend, caplog: pytest.LogCaptureFixture
) -> None:
    indexer.index(RUNS[0], meta(a=1))
    indexer.index(RUNS[1], meta(a=2))
    indexer.close()
    with backend.open(INDEX_PATH, Mode.WRITE) as index:
        index.put(encode_path(("runs", RUNS[0])), b"\xc1 no entry")
    indexer.refresh()
    with caplog.at_level(logging.WARNING):
        assert [(run, tree is None) for run, tree in indexer.trees()] == [(RUNS[0], True), (RUNS[1], False)]
    assert f"aimstore reindex --run {RUNS[0]}" in caplog.text


def test_clearing_forgets_everything(indexer: ContainerIndexer, backend: MemoryBackend) -> None:
    indexer.index(RUNS[0], meta(a=1))
    indexer.refresh()
    indexer.clear()
    indexer.refresh()
    assert list(indexer.runs()) == []
    indexer.index(RUNS[1], meta(a=1))
    indexer.refresh()
    assert list(indexer.runs()) == [RUNS[1]]
