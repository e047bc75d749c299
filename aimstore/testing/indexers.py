"""The suite for indexers: with hints from the index, a query finds what a scan of all runs would find."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore.abc import AllOf, Among, AnyOf, Backend, Hint, Indexer, Mode, Term
from aimstore.encoding.records import encode_record
from aimstore.errors import CorruptionError
from aimstore.plugins import plugins
from aimstore.storage.layout import (
    ATTRS,
    NUMBER,
    Summary,
    definition_key,
    encode_definition,
    encode_summary,
    property_key,
    summary_key,
)
from aimstore.storage.memory import MemoryBackend
from aimstore.storage.tree import Tree
from aimstore.types import TreePath, meta_path

RUNS: Final = tuple(f"{number:024x}" for number in range(1, 9))

_NAMES: Final = ("lr", "opt", "depth")
_TEXTS: Final = ("", "a", "ab", "adam", "Adam", "é", "\x00", "z" * 300, "z" * 300 + "!")
_NUMBERS: Final = (
    0,
    -0.0,
    0.0,
    1,
    1.0,
    True,
    False,
    -1,
    0.1,
    1e300,
    float("inf"),
    -float("inf"),
    2**53,
    2**53 + 1,
    2**70,
)
_CONSTANTS = st.sampled_from(_NUMBERS + _TEXTS) | st.integers(-3, 3) | st.floats(allow_nan=False)
_LEAVES = _CONSTANTS | st.none() | st.just(float("nan")) | st.lists(st.integers(0, 2), max_size=2)
_TREES = st.dictionaries(
    st.sampled_from(_NAMES),
    _LEAVES | st.dictionaries(st.sampled_from(_NAMES), _LEAVES, max_size=2),
    max_size=3,
)
_CONTEXTS: Final[tuple[dict[str, Any], ...]] = ({}, {"subset": "val"}, {"subset": "train", "fold": {"of": 3}})
_LASTS: Final = (None, 0.5, -1, float("nan"), 2**60)
_METRICS = st.lists(
    st.tuples(st.sampled_from(("loss", "acc", "a.b")), st.sampled_from(_CONTEXTS), st.sampled_from(_LASTS)),
    max_size=2,
)
"""Name, context and last value (None before there is a record) of each sequence of a run."""

_Run = tuple[dict[str, Any], list[tuple[str, dict[str, Any], float | None]]]
_RUNS = st.tuples(_TREES, _METRICS)

_PATHS = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=2).map(lambda names: ("attrs", *names))
_FIELDS = st.sampled_from(
    (("last",), ("min",), ("count",), ("last_step",), ("kind",), ("context", "subset"), ("context", "fold", "of"))
)
_PLACES = (
    _PATHS
    | st.builds(
        lambda name, field: ("seqs", name, *field), st.sampled_from(("loss", "acc", "none")), _FIELDS | st.just(())
    )
    | _FIELDS.map(lambda field: ("any", *field))
    | st.just(("any", "name"))
)
_NEAR = _CONSTANTS | st.sampled_from(("val", "train", "loss", "number", 3, 0.5))
_TERMS = (
    st.builds(Term, _PLACES, st.sampled_from(["==", "<", "<=", ">", ">="]), _NEAR)
    | st.builds(Term, _PLACES, st.just("in"), st.lists(_NEAR, max_size=3).map(tuple))
    | st.builds(Term, _PLACES, st.just("startswith"), st.sampled_from((*_TEXTS, "lo", "tr")))
    | st.builds(Term, _PLACES, st.sampled_from(["true", "defined"]))
    | st.builds(Term, st.just(("props", "tags")), st.just("has"), st.just("good"))
    | st.builds(Among, st.frozensets(st.sampled_from((*RUNS, "f" * 24)), max_size=3))
)
_MISSING: Final = object()


def _hints(terms: st.SearchStrategy[Any]) -> st.SearchStrategy[Hint]:
    return st.recursive(
        terms,
        lambda hints: (
            st.builds(AllOf, st.lists(hints, min_size=1, max_size=3).map(tuple))
            | st.builds(AnyOf, st.lists(hints, min_size=1, max_size=3).map(tuple))
        ),
        max_leaves=5,
    )


@st.composite
def _cases(draw: st.DrawFn) -> tuple[list[_Run], list[_Run | None], list[Hint]]:
    """Runs, what becomes of the first of them, and hints, most of them about values that the runs have."""
    first = draw(st.lists(_RUNS, max_size=len(RUNS)))
    then = draw(st.lists(st.none() | _RUNS, max_size=4))
    leaves = [leaf for run in (*first, *then) if run for leaf in _leaves(run[0])]
    terms: st.SearchStrategy[Any] = _TERMS
    if leaves:
        terms |= st.sampled_from(leaves).flatmap(lambda leaf: _terms_near(*leaf))
    return first, then, draw(st.lists(terms | _hints(terms), min_size=1, max_size=8))


def _leaves(tree: Mapping[str, Any], above: TreePath = ("attrs",)) -> Iterator[tuple[TreePath, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _terms_near(path: TreePath, value: Any) -> st.SearchStrategy[Term]:
    near: list[Any] = [value]
    if isinstance(value, str):
        near += [value[:-1], value + "a", value.upper()]
    elif isinstance(value, int | float) and math.isfinite(value):
        near += [int(value), float(int(value)), value + 1, value - 1, bool(value), -value]
    else:
        near = [0, ""]
    constants = st.sampled_from(near)
    return st.builds(Term, st.just(path), st.sampled_from(["==", "<", "<=", ">", ">="]), constants) | st.builds(
        Term, st.just(path), st.just("in"), st.lists(constants, min_size=1, max_size=3).map(tuple)
    )


def holds(hint: Hint, name: str, run: _Run) -> bool:
    """Whether a run satisfies `hint`, by the rules of the query language and without any index; of properties it may."""
    if isinstance(hint, AllOf):
        return all(holds(each, name, run) for each in hint.hints)
    if isinstance(hint, AnyOf):
        return any(holds(each, name, run) for each in hint.hints)
    if isinstance(hint, Among):
        return name in hint.runs
    kind, *path = hint.attribute
    attributes, metrics = run
    if kind == "attrs":
        return _satisfies(hint, _find(attributes, tuple(path)))
    if kind == "props":
        return True
    if kind == "seqs":
        called, *path = path
        return any(_satisfies(hint, _find(_facts(*metric), tuple(path))) for metric in metrics if metric[0] == called)
    return any(_satisfies(hint, _find(_facts(*metric), tuple(path))) for metric in metrics)


def _facts(name: str, context: dict[str, Any], last: float | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "context": context, "kind": NUMBER, "count": 0}
    if last is None:
        return facts
    summary = _summary_of(last)
    return {**facts, "count": 3, "last": last, "min": summary.min, "max": summary.max, "first_step": 0, "last_step": 2}


def _summary_of(last: float) -> Summary:
    return Summary(3, 3, True, 0, 2, last, last, last)


def _satisfies(term: Term, value: Any) -> bool:
    if value is _MISSING:
        return False
    constant = term.value
    match term.operator:
        case "defined":
            return True
        case "true":
            return bool(value)
        case "==":
            return _equal(value, constant)
        case "in":
            return any(_equal(value, each) for each in constant)
        case "startswith":
            return isinstance(value, str) and value.startswith(constant)
        case "<":
            return _ordered(value, constant) and value < constant
        case "<=":
            return _ordered(value, constant) and value <= constant
        case ">":
            return _ordered(value, constant) and value > constant
        case ">=":
            return _ordered(value, constant) and value >= constant
        case "has":
            return constant in value


def _find(tree: Any, path: TreePath) -> Any:
    for part in path:
        if not isinstance(tree, Mapping) or part not in tree:
            return _MISSING
        tree = tree[part]
    return tree


def _equal(left: Any, right: Any) -> bool:
    return bool(left == right) and isinstance(left, str) == isinstance(right, str)


def _ordered(left: Any, right: Any) -> bool:
    both = (left, right)
    return all(isinstance(each, str) for each in both) or all(isinstance(each, int | float) for each in both)


def write_run(
    backend: Backend,
    run: str,
    attributes: Mapping[str, Any],
    properties: Mapping[str, Any] | None = None,
    metrics: Sequence[tuple[str, dict[str, Any], float | None]] = (),
) -> None:
    """Make (or make anew) the meta container of a run, as a finished run leaves it."""
    path = meta_path(run)
    with backend.lock(path) as lock:
        backend.delete(path)
        with backend.open(path, Mode.WRITE, lock=lock) as meta:
            Tree(meta, (ATTRS,))[...] = dict(attributes)
            for name, value in (properties or {}).items():
                meta.put(property_key(name), encode_record(value))
            for number, (name, context, last) in enumerate(metrics):
                meta.put(definition_key(number), encode_definition(name, context, NUMBER))
                if last is not None:
                    meta.put(summary_key(number), encode_summary(_summary_of(last)))


def found_by(indexer: Indexer, hint: Hint, every: set[str]) -> set[str]:
    """The candidates; `every` where the indexer leaves none out."""
    found = indexer.candidates(hint)
    return every if found is None else set(found.runs)


class IndexerConformance:
    """All tests of an indexer.

    Attributes:
        indexer_name: the name under which a plug-in registers it.
        examples: how many sets of runs and hints are tried.
    """

    indexer_name: ClassVar[str] = ""
    examples: ClassVar[int] = 100
    operation: ClassVar[str] = "indexer"

    def make_indexer(self, backend: Backend) -> Indexer:
        """A new instance over the containers of `backend`."""
        made = plugins().load(plugins().indexer(self.indexer_name))(backend)
        assert isinstance(made, Indexer)
        return made

    def damage(self, backend: Backend, run: str) -> bool:
        """Damage the packed record of `run` alone, or return False where that is impossible."""
        return False

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """Where the runs and the index are; any backend will do."""
        with MemoryBackend() as backend:
            yield backend

    @pytest.fixture
    def indexer(self, backend: Backend) -> Iterator[Indexer]:
        indexer = self.make_indexer(backend)
        yield indexer
        indexer.close()

    @pytest.fixture
    def index(self, backend: Backend, indexer: Indexer) -> Callable[..., None]:
        """`index(run, attributes)` makes a run and indexes it."""

        def index(run: str, attributes: Mapping[str, Any], *rest: Any) -> None:
            write_run(backend, run, attributes, *rest)
            with backend.open(meta_path(run)) as meta:
                indexer.index(run, meta)

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
        record = indexer.tree(RUNS[0])
        assert record is not None
        assert record["attrs"] == {**attributes, "big": None}
        assert [list(path) for path, *_ in record["lazy"]] == [["big"]]
        assert record["props"] == {"name": "first", "tags": ["good"]}
        assert [(each[1], each[2]) for each in record["seqs"]] == [
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
            record = reader.tree(run)
            assert record is not None
            assert record["attrs"] == {"number": number}
        reader.close()

    def test_a_damaged_record_breaks_no_other(
        self, backend: Backend, indexer: Indexer, index: Callable[..., None]
    ) -> None:
        for run in RUNS[:3]:
            index(run, {"lr": 1})
        indexer.close()
        if not self.damage(backend, RUNS[1]):
            pytest.skip("no way to damage a record is given")
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
        record = indexer.tree(RUNS[1])
        assert record is not None
        assert record["attrs"] == {"lr": 2}

    def test_candidates_are_never_too_few(self) -> None:
        """For any runs, any of them indexed again or removed, and any hint."""

        @settings(
            max_examples=self.examples,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(_cases())
        def check(case: tuple[list[_Run], list[_Run | None], list[Hint]]) -> None:
            first, then, hints = case
            with MemoryBackend() as backend:
                indexer = self.make_indexer(backend)
                model: dict[str, _Run] = {}
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
