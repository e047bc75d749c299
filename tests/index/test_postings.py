"""What is posted of a run, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from aimstore.abc import AllOf, Candidates, Hint, Mode, Term
from aimstore.index.candidates import FIRST_POSTINGS, POSTINGS_PER_RUN
from aimstore.index.indexer import ContainerIndexer
from aimstore.index.postings import ALL, MAX_POSTINGS, POSTINGS, UNPOSTED
from aimstore.storage.memory import MemoryBackend
from aimstore.testing.indexers import write_run
from aimstore.types import INDEX_PATH, meta_path

A, B = "a" * 24, "b" * 24


class Index:
    """An index in memory, and what it says."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self.indexer = ContainerIndexer(self.backend)

    def add(self, run_hash: str, attributes: dict[str, Any]) -> None:
        write_run(self.backend, run_hash, attributes)
        with self.backend.open(meta_path(run_hash)) as meta:
            self.indexer.index(run_hash, meta)

    def ask(self, hint: Hint) -> Candidates:
        self.indexer.refresh()
        found = self.indexer.candidates(hint)
        assert found is not None
        return found

    def keys(self) -> list[bytes]:
        with self.backend.open(INDEX_PATH) as container:
            return list(container.keys())


@pytest.fixture
def index() -> Index:
    return Index()


def test_a_removed_run_leaves_nothing_behind(index: Index) -> None:
    index.add(A, {"lr": 0.1, "opt": {"name": "adam", "big": "x" * 10_000}, "none": None})
    index.add(A, {"lr": 0.2})
    index.indexer.remove(A)
    assert index.keys() == []


def test_a_damaged_entry_is_removed_with_its_postings(index: Index) -> None:
    index.add(A, {"lr": 0.1, "c": complex(1, 0)})
    index.add(B, {"lr": 0.1})
    index.indexer.close()
    with index.backend.open(INDEX_PATH, Mode.WRITE) as container:
        for key, _ in list(container.items()):
            if not key.startswith((ALL, POSTINGS, UNPOSTED)):
                container.put(key, b"\xc1")
    index.indexer.remove(A)
    index.add(B, {"lr": 0.2})
    assert set(index.ask(Term(("attrs", "lr"), "defined")).runs) == {B}
    assert set(index.ask(Term(("attrs", "lr"), "==", 0.1)).runs) == set()


@pytest.mark.parametrize(
    "attributes",
    [
        {"c": complex(1, 0)},
        {"k" * 70_000: 1},
        {f"p{i}": i for i in range(MAX_POSTINGS + 1)},
    ],
    ids=["equals a number", "too long a path", "too many"],
)
def test_a_run_that_cannot_be_posted_is_always_a_candidate(index: Index, attributes: dict[str, Any]) -> None:
    index.add(A, attributes)
    index.add(B, {"c": 2})
    found = index.ask(Term(("attrs", "c"), "==", 1))
    assert set(found.runs) == {A}
    assert not found.exact
    index.add(A, {"c": 1})
    found = index.ask(Term(("attrs", "c"), "==", 1))
    assert (set(found.runs), found.exact) == ({A}, True)


def test_a_large_string_left_out_of_the_entry_is_found_by_its_beginning(index: Index) -> None:
    index.add(A, {"text": "x" * 10_000})
    index.add(B, {"text": "y" * 10_000})
    assert set(index.ask(Term(("attrs", "text"), "startswith", "xx")).runs) == {A}
    found = index.ask(Term(("attrs", "text"), "==", "x" * 10_000))
    assert (set(found.runs), found.exact) == ({A}, False)


def test_a_term_that_costs_more_than_looking_is_left_off(index: Index) -> None:
    many = POSTINGS_PER_RUN + 2 * FIRST_POSTINGS
    with index.indexer.batch():
        for i in range(many):
            index.add(f"{i:024x}", {"few": i == 7, "all": 1})
    both = AllOf((Term(("attrs", "all"), "==", 1), Term(("attrs", "few"), "true")))
    found = index.ask(both)
    assert (set(found.runs), found.exact) == ({f"{7:024x}"}, False)
    with index.indexer.batch():
        for i in range(many):
            index.add(f"{i:024x}", {"few": i < many // 2, "all": 1})
    found = index.ask(both)
    assert (len(found.runs), found.exact) == (many // 2, True)
