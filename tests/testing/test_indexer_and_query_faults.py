"""The suites for indexers and query languages fail those that are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import Phase, settings

from aimstore.abc import Backend, Candidates, CompiledQuery, Hint, Indexer, Query, Term
from aimstore.index.indexer import ContainerIndexer
from aimstore.query import PythonQuery, RunView
from aimstore.storage.memory import MemoryBackend
from aimstore.testing.hints import holds
from aimstore.testing.indexers import IndexerConformance, write_run
from aimstore.testing.queries import ATTRIBUTES, QueryConformance
from aimstore.types import meta_path


class TooFewCandidates(ContainerIndexer):
    """Takes True for something else than 1."""

    def candidates(self, hints: Hint | None) -> Candidates | None:
        if not isinstance(hints, Term) or hints.operator != "==" or hints.attribute[0] != "attrs":
            return None
        trees = [(run, tree["attrs"]) for run, tree in self.trees() if tree is not None]
        return Candidates([run for run, attributes in trees if _typed(attributes, hints)], exact=False)


def _typed(attributes: Mapping[str, Any], term: Term) -> bool:
    value: Any = attributes
    for part in term.attribute[1:]:
        value = value.get(part) if isinstance(value, dict) else None
    return type(value) is type(term.value) and value == term.value


class HalfBatches(ContainerIndexer):
    @contextmanager
    def batch(self) -> Iterator[None]:
        yield

    def index(self, run_hash: str, meta: Any) -> None:
        with super().batch():
            super().index(run_hash, meta)


class IndexerSuite(IndexerConformance):
    examples = 200

    def __init__(self, kind: type[Indexer]) -> None:
        self.kind = kind

    def make_indexer(self, backend: Backend) -> Indexer:
        return self.kind(backend)  # type: ignore[call-arg]


def test_candidates_that_are_too_few_are_found() -> None:
    profile = settings.get_current_profile_name()
    settings.register_profile("first fault", phases=[Phase.generate], database=None, derandomize=True)
    settings.load_profile("first fault")
    try:
        with pytest.raises(AssertionError, match="holds of"):
            IndexerSuite(TooFewCandidates).test_candidates_are_never_too_few()
    finally:
        settings.load_profile(profile)


def test_batches_that_are_no_batches_are_found() -> None:
    backend = MemoryBackend()
    indexer = HalfBatches(backend)

    def index(run_hash: str, attributes: Mapping[str, Any]) -> None:
        write_run(backend, run_hash, attributes)
        with backend.open(meta_path(run_hash)) as meta:
            indexer.index(run_hash, meta)

    with pytest.raises(AssertionError):
        IndexerSuite(HalfBatches).test_a_batch_is_committed_as_one_or_not_at_all(backend, indexer, index)


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Term(("attrs", "lr"), "==", 0.1), True),
        (Term(("attrs", "lr"), "<", 0.1), False),
        (Term(("attrs", "steps"), "==", 100.0), True),
        (Term(("attrs", "steps"), ">", "text"), False),
        (Term(("attrs", "opt", "name"), "startswith", "ad"), True),
        (Term(("attrs", "opt", "absent"), "in", (None, 1)), False),
        (Term(("attrs", "none"), "defined"), True),
        (Term(("attrs", "none"), "true"), False),
    ],
)
def test_hints_hold_as_the_query_language_says(hint: Hint, expected: bool) -> None:
    assert holds(hint, "", (ATTRIBUTES, [])) is expected


class _Careless(CompiledQuery):
    def __init__(self, query: CompiledQuery) -> None:
        self.expression = query.expression
        self.hints = Term(("attrs", "lr"), "==", 0.2)
        self._query = query

    def matches(self, view: Any) -> bool:
        try:
            return self._query.matches(view)
        except Exception:
            return False


class CarelessQuery(Query):
    def compile(self, expression: str, subject: Any = "run") -> CompiledQuery:
        return _Careless(PythonQuery().compile(expression, subject))


class QuerySuite(QueryConformance):
    def make_query(self) -> Query:
        return CarelessQuery()

    def view(self, attributes: Mapping[str, Any]) -> RunView:
        return RunView(SimpleNamespace(hash="a" * 24, properties={}, attributes=attributes, metrics=[]))


def test_swallowed_errors_and_wrong_hints_are_found() -> None:
    with pytest.raises(pytest.fail.Exception):
        QuerySuite().test_an_error_of_evaluation_is_raised_with_its_cause()
    with pytest.raises(AssertionError):
        QuerySuite().test_hints_hold_of_whatever_matches()


class RawQuery(Query):
    def compile(self, expression: str, subject: Any = "run") -> CompiledQuery:
        compile(expression, "<query>", "eval")
        return PythonQuery().compile(expression, subject)


def test_errors_of_another_library_are_found() -> None:
    class Suite(QuerySuite):
        def make_query(self) -> Query:
            return RawQuery()

    with pytest.raises((SyntaxError, ValueError, MemoryError, RecursionError)):
        Suite().test_hostile_text_is_a_query_or_refused()
