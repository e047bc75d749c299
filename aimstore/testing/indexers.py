"""The suite for indexers: with hints from the index, a query finds exactly what a scan of all runs would find."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings

from aimstore.abc import Backend, Hint, Indexer, Mode, Term
from aimstore.encoding.values import encode_value
from aimstore.errors import CorruptionError
from aimstore.plugins import plugins
from aimstore.storage.layout import (
    ATTRS,
    NUMBER,
    definition_key,
    encode_definition,
    encode_summary,
    property_key,
    summary_key,
)
from aimstore.storage.memory import MemoryBackend
from aimstore.storage.tree import Tree
from aimstore.testing.hints import RUNS, Metric, RunContent, cases, holds, summary_of
from aimstore.types import meta_path


def write_run(
    backend: Backend,
    run_hash: str,
    attributes: Mapping[str, Any],
    properties: Mapping[str, Any] | None = None,
    metrics: Sequence[Metric] = (),
) -> None:
    """Create (or replace) the meta container of a run, as a finalized run leaves it."""
    path = meta_path(run_hash)
    with backend.lock(path) as lock:
        backend.delete(path)
        with backend.open(path, Mode.WRITE, lock=lock) as meta:
            Tree(meta, (ATTRS,))[...] = dict(attributes)
            for name, value in (properties or {}).items():
                meta.put(property_key(name), encode_value(value))
            for number, (name, context, last) in enumerate(metrics):
                meta.put(definition_key(number), encode_definition(name, context, NUMBER))
                if last is not None:
                    meta.put(summary_key(number), encode_summary(summary_of(last)))


def found_by(indexer: Indexer, hint: Hint, every: set[str]) -> set[str]:
    """The candidates; `every` if the indexer excludes no run."""
    found = indexer.candidates(hint)
    return every if found is None else set(found.runs)


class IndexerConformance:
    """All tests of an indexer.

    Attributes:
        indexer_name: the name under which a plug-in registers the indexer.
        examples: number of sets of runs and hints to try.
    """

    indexer_name: ClassVar[str] = ""
    examples: ClassVar[int] = 100
    operation: ClassVar[str] = "indexer"

    def make_indexer(self, backend: Backend) -> Indexer:
        """A new instance over the containers of `backend`."""
        made = plugins().load(plugins().indexer(self.indexer_name))(backend)
        assert isinstance(made, Indexer)
        return made

    def damage(self, backend: Backend, run_hash: str) -> bool:
        """Damage only the entry of the run `run_hash`, or return False if that is impossible."""
        return False

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """The backend of the runs and the index; any backend will do."""
        with MemoryBackend() as backend:
            yield backend

    @pytest.fixture
    def indexer(self, backend: Backend) -> Iterator[Indexer]:
        indexer = self.make_indexer(backend)
        yield indexer
        indexer.close()

    @pytest.fixture
    def index(self, backend: Backend, indexer: Indexer) -> Callable[..., None]:
        """`index(run_hash, attributes)` creates a run and indexes it."""

        def index(run_hash: str, attributes: Mapping[str, Any], *rest: Any) -> None:
            write_run(backend, run_hash, attributes, *rest)
            with backend.open(meta_path(run_hash)) as meta:
                indexer.index(run_hash, meta)

        return index

    def test_an_index_begins_empty(self, indexer: Indexer) -> None:
        indexer.refresh()
        assert list(indexer.runs()) == []
        assert [*indexer.trees(), *indexer.trees(RUNS)] == []
        assert indexer.tree(RUNS[0]) is None
        indexer.remove(RUNS[0])
        assert found_by(indexer, Term(("attrs", "lr"), "==", 1), set()) == set()

    def test_an_indexed_run_is_there_with_all_that_was_in_it(
        self, indexer: Indexer, index: Callable[..., None]
    ) -> None:
        attributes = {"lr": 0.1, "opt": {"name": "adam", "steps": [1, 2]}, "big": "x" * 100_000, "none": None}
        index(
            RUNS[0],
            attributes,
            {"name": "first", "tags": ["good"]},
            [("loss", {"subset": "val"}, 0.5), ("acc", {}, None)],
        )
        indexer.refresh()
        entry = indexer.tree(RUNS[0])
        assert entry is not None
        assert entry["attrs"] == {**attributes, "big": None}
        assert [list(path) for path, *_ in entry["lazy"]] == [["big"]]
        assert entry["props"] == {"name": "first", "tags": ["good"]}
        assert [(each[1], each[2]) for each in entry["seqs"]] == [
            ("loss", {"subset": "val"}),
            ("acc", {}),
        ]

    def test_runs_are_listed_in_order(self, indexer: Indexer, index: Callable[..., None]) -> None:
        for run in RUNS[::-1]:
            index(run, {"run": run})
        indexer.refresh()
        assert list(indexer.runs()) == list(RUNS)
        assert [(run, tree and tree["attrs"]) for run, tree in indexer.trees()] == [(run, {"run": run}) for run in RUNS]
        chosen = [RUNS[4], RUNS[1]]
        assert dict(indexer.trees([*chosen, "f" * 24])).keys() == set(chosen)

    def test_indexing_again_replaces(self, indexer: Indexer, index: Callable[..., None]) -> None:
        index(RUNS[0], {"lr": 1, "old": True})
        index(RUNS[0], {"lr": 2})
        indexer.refresh()
        assert [(run, tree and tree["attrs"]) for run, tree in indexer.trees()] == [(RUNS[0], {"lr": 2})]
        assert RUNS[0] in found_by(indexer, Term(("attrs", "lr"), "==", 2), {RUNS[0]})

    def test_a_removed_run_is_gone(self, indexer: Indexer, index: Callable[..., None]) -> None:
        for run in RUNS:
            index(run, {"lr": 1})
        indexer.remove(RUNS[2])
        indexer.remove(RUNS[2])
        indexer.refresh()
        left = [run for run in RUNS if run != RUNS[2]]
        assert list(indexer.runs()) == left
        assert indexer.tree(RUNS[2]) is None
        assert found_by(indexer, Term(("attrs", "lr"), "==", 1), set(left)) == set(left)

    def test_a_cleared_index_is_empty_and_takes_runs_again(self, indexer: Indexer, index: Callable[..., None]) -> None:
        for _ in range(2):
            indexer.clear()
            indexer.refresh()
            assert list(indexer.runs()) == []
            index(RUNS[0], {"lr": 1})
            indexer.refresh()
            assert list(indexer.runs()) == [RUNS[0]]

    def test_a_batch_is_committed_as_one_or_not_at_all(
        self, backend: Backend, indexer: Indexer, index: Callable[..., None]
    ) -> None:
        index(RUNS[0], {"lr": 0})
        other = self.make_indexer(backend)
        with pytest.raises(ZeroDivisionError), indexer.batch():  # noqa: PT012
            index(RUNS[1], {"lr": 1})
            indexer.remove(RUNS[0])
            raise ZeroDivisionError
        other.refresh()
        assert list(other.runs()) == [RUNS[0]]
        with indexer.batch():
            for run in RUNS[1:5]:
                index(run, {"lr": 1})
            indexer.remove(RUNS[0])
            indexer.remove(RUNS[4])
            other.refresh()
            assert list(other.runs()) == [RUNS[0]]
        other.refresh()
        assert list(other.runs()) == list(RUNS[1:4])
        other.close()

    def test_another_instance_sees_what_was_committed_when_it_refreshes(
        self, backend: Backend, index: Callable[..., None]
    ) -> None:
        reader = self.make_indexer(backend)
        reader.refresh()
        for number, run in enumerate(RUNS):
            index(run, {"number": number})
            reader.refresh()
            assert list(reader.runs()) == list(RUNS[: number + 1])
            entry = reader.tree(run)
            assert entry is not None
            assert entry["attrs"] == {"number": number}
        reader.close()

    def test_a_damaged_entry_breaks_no_other(
        self, backend: Backend, indexer: Indexer, index: Callable[..., None]
    ) -> None:
        for run in RUNS[:3]:
            index(run, {"lr": 1})
        indexer.close()
        if not self.damage(backend, RUNS[1]):
            pytest.skip("no way to damage an entry is given")
        indexer.refresh()
        assert list(indexer.runs()) == list(RUNS[:3])
        with pytest.raises(CorruptionError):
            indexer.tree(RUNS[1])
        for trees in (indexer.trees(), indexer.trees(RUNS)):
            assert [(run, tree is None) for run, tree in trees] == list(
                zip(RUNS[:3], (False, True, False), strict=True)
            )
        index(RUNS[1], {"lr": 2})
        indexer.refresh()
        entry = indexer.tree(RUNS[1])
        assert entry is not None
        assert entry["attrs"] == {"lr": 2}

    def test_candidates_are_never_too_few(self) -> None:
        """For any runs, after some are indexed again or removed, and for any hint."""

        @settings(
            max_examples=self.examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(cases())
        def check(case: tuple[list[RunContent], list[RunContent | None], list[Hint]]) -> None:
            first, then, hints = case
            with MemoryBackend() as backend:
                indexer = self.make_indexer(backend)
                model: dict[str, RunContent] = {}
                for run, data in itertools.chain(zip(RUNS, first, strict=False), zip(RUNS, then, strict=False)):
                    if data is None:
                        indexer.remove(run)
                        model.pop(run, None)
                        continue
                    write_run(backend, run, data[0], None, data[1])
                    with backend.open(meta_path(run)) as meta:
                        indexer.index(run, meta)
                    model[run] = data
                indexer.refresh()
                assert list(indexer.runs()) == sorted(model)
                for hint in hints:
                    found = indexer.candidates(hint)
                    candidates = set(model) if found is None else set(found.runs)
                    assert candidates <= set(model), "a candidate is not in the index"
                    right = {run for run in model if holds(hint, run, model[run])}
                    lost = right - candidates
                    assert not lost, f"{hint} holds of {[model[run] for run in lost]}"
                    if found is not None:
                        assert len(found.runs) == len(candidates)
                        assert all(run in found.runs for run in candidates)
                        assert candidates == right or not found.exact, f"{hint} holds of {right} exactly"
                indexer.close()

        check()
