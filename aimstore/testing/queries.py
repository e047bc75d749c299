"""The suite for query languages: the requirements that every query language must meet."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import pytest

from aimstore.abc import CompiledQuery, Query, View
from aimstore.errors import QueryRuntimeError, QuerySyntaxError, UnsupportedError
from aimstore.plugins import plugins
from aimstore.testing.hints import holds
from aimstore.testing.waiting import WAIT_SECONDS, together

ATTRIBUTES: Final[dict[str, Any]] = {"lr": 0.1, "steps": 100, "opt": {"name": "adam"}, "none": None, "text": "abc"}


class QueryConformance:
    """All tests of a query language.

    The default expressions are for languages like Python's; a suite for another language replaces them with its own.

    Attributes:
        query_name: the name under which a plug-in registers the query language.
        true: expressions that are true of a run with `ATTRIBUTES`.
        false: expressions that are false of it, and raise nothing.
        missing: comparisons with an attribute that the run does not have: all false.
        wrong: texts that are not queries, with the 1-based line and column of the error.
        hostile: texts that may break a parser, a compiler or a number; whether they are queries or not, only
            `QuerySyntaxError` may be raised.
        failing: an expression whose evaluation raises.
        ordered: an order by `lr`, the least first; "" if the language has no orders.
    """

    query_name: ClassVar[str] = ""
    operation: ClassVar[str] = "query"

    true: ClassVar[tuple[str, ...]] = (
        "run.lr == 0.1",
        "run.lr < 1 and run.steps >= 100",
        "run.opt.name == 'adam' or run.lr > 5",
        "not (run.lr > 5)",
        "not (run.absent < 1)",
        "run.text != 'x'",
        "run.none == None",
        "run.absent == None",
    )
    false: ClassVar[tuple[str, ...]] = (
        "run.lr == 0.2",
        "run.lr < 1 and run.steps < 100",
        "run.lr == None",
        "run.text < 5",
        "run.lr < 'text'",
        "run.text == 5",
    )
    missing: ClassVar[tuple[str, ...]] = (
        "run.absent == 1",
        "run.absent != 1",
        "run.absent < 1",
        "run.absent >= 1",
        "run.absent in [1, 2]",
        "run.absent not in [1, 2]",
        "run.absent.deeper == 1",
        "run.opt.absent != 'adam'",
    )
    wrong: ClassVar[Mapping[str, tuple[int, int]]] = {
        "run.lr <": (1, 9),
        "run.lr = 1": (1, 8),
        "run.lr < 1 and\n  run.lr = 2": (2, 10),
    }
    hostile: ClassVar[tuple[str, ...]] = (
        "(" * 5_000,
        "-" * 5_000 + "1",
        "[" * 90 + "]" * 90,
        "run.lr == " + "9" * 100_000,
        "run.lr == 1e" + "9" * 100_000,
        "run.text == '\ud800'",
        "run.lr == 1\x00",
        "1or run.lr",
        " < ".join(["run.lr"] * 500),
        "run" + ".lr" * 5_000,
    )
    failing: ClassVar[str] = "1 / (run.steps - 100) > 0"
    ordered: ClassVar[str] = "run.lr"

    def make_query(self) -> Query:
        """A new instance."""
        made = plugins().load(plugins().query_engine(self.query_name))()
        assert isinstance(made, Query)
        return made

    def view(self, attributes: Mapping[str, Any]) -> View:
        """A run with only these attributes, as the language sees it."""
        raise NotImplementedError(f"{type(self).__name__} has to say how the language sees a run: override view()")

    def compile(self, expression: str) -> CompiledQuery:
        return self.make_query().compile(expression)

    @pytest.mark.parametrize("expression", ["", "  ", "\n"])
    def test_an_empty_query_matches_everything(self, expression: str) -> None:
        query = self.compile(expression)
        assert query.matches(self.view(ATTRIBUTES))
        assert query.matches(self.view({}))

    def test_true_is_true_and_false_is_false(self) -> None:
        view = self.view(ATTRIBUTES)
        assert [expression for expression in self.true if not self.compile(expression).matches(view)] == []
        assert [expression for expression in self.false if self.compile(expression).matches(view)] == []

    def test_a_comparison_with_what_is_missing_is_false(self) -> None:
        for attributes in (ATTRIBUTES, {}):
            view = self.view(attributes)
            assert [expression for expression in self.missing if self.compile(expression).matches(view)] == []

    def test_what_is_no_query_is_refused_with_the_place(self) -> None:
        for expression, (line, column) in self.wrong.items():
            with pytest.raises(QuerySyntaxError) as caught:
                self.compile(expression)
            assert caught.value.expression == expression
            assert (caught.value.line, caught.value.column) == (line, column), expression

    def test_hostile_text_is_a_query_or_refused(self) -> None:
        for expression in self.hostile:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    query = self.compile(expression)
                except QuerySyntaxError:
                    continue
                assert query.expression == expression

    def test_a_query_is_text(self) -> None:
        query: Any
        for query in (None, 1, b"run.lr == 1"):
            with pytest.raises(TypeError):
                self.make_query().compile(query)

    def test_an_error_of_evaluation_is_raised_with_its_cause(self) -> None:
        query = self.compile(self.failing)
        with pytest.raises(QueryRuntimeError) as caught:
            query.matches(self.view(ATTRIBUTES))
        assert caught.value.__cause__ is not None

    def test_a_compiled_query_says_what_it_is(self) -> None:
        for expression in (*self.true, *self.false, *self.missing):
            query = self.compile(expression)
            assert query.expression == expression
            assert query.attributes is None or all(path[0] in ("run", "metric") for path in query.attributes)
            assert query.hints is not None or not query.exact

    def test_hints_hold_of_whatever_matches(self) -> None:
        for expression in self.true:
            query = self.compile(expression)
            if query.hints is not None and query.matches(self.view(ATTRIBUTES)):
                assert holds(query.hints, "", (ATTRIBUTES, [])), f"{expression}: {query.hints}"
        for expression in (*self.false, *self.missing):
            query = self.compile(expression)
            if query.hints is not None and query.exact:
                assert not holds(query.hints, "", (ATTRIBUTES, [])), f"{expression}: {query.hints}"

    def test_an_order_ranks_runs_and_what_is_missing_comes_last(self) -> None:
        if not self.ordered:
            with pytest.raises(UnsupportedError):
                self.make_query().order("run.lr")
            return
        order = self.make_query().order(self.ordered)
        values: list[Any] = [{"lr": -1}, {"lr": 0.5}, {"lr": 2}, {"lr": "text"}, {}]
        ranks = [order.rank(self.view(attributes)) for attributes in values]
        assert order.text == self.ordered
        assert ranks == sorted(ranks)
        assert len(set(ranks)) == len(ranks)
        assert all(rank <= order.last for rank in ranks)

    def test_a_compiled_query_is_shared_by_threads(self) -> None:
        queries = {expression: self.compile(expression) for expression in (*self.true, *self.false)}
        begin = threading.Barrier(3)

        def evaluate() -> None:
            begin.wait(WAIT_SECONDS)
            view = self.view(ATTRIBUTES)
            for _ in range(50):
                assert all(queries[expression].matches(view) for expression in self.true)
                assert not any(queries[expression].matches(view) for expression in self.false)

        together(evaluate, evaluate, evaluate)
