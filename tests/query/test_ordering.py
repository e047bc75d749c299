"""Orders: what may be written, and which values come before which."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from aimstore.errors import QueryRuntimeError, QuerySyntaxError, UnsupportedError
from aimstore.query import MISSING, MetricView, PythonQuery, RunView
from aimstore.query.ranks import rank

IN_ORDER = [
    [-math.inf, -(2**70), -1, False, 0.5, True, 2**53, 2**53 + 1, math.inf],
    [datetime(2023, 1, 1), date(2024, 5, 1), datetime(2024, 5, 1, 1, tzinfo=timezone(timedelta(hours=-1)))],
    [datetime(2024, 5, 1, 3, tzinfo=UTC)],
    ["", "A", "a", "aa", "b"],
    [timedelta(seconds=-1), timedelta(days=1)],
]
FLAT: list[Any] = [value for group in IN_ORDER for value in group]
LAST: list[Any] = [None, MISSING, math.nan, -math.nan]


def test_values_of_each_kind_and_the_kinds_have_their_order() -> None:
    values = FLAT + LAST
    random.Random(1).shuffle(values)
    assert sorted(values, key=rank)[: len(FLAT)] == FLAT


def test_descending_is_the_other_way_round_but_what_is_missing_stays_last() -> None:
    values = FLAT + LAST
    random.Random(2).shuffle(values)
    ordered = sorted(values, key=lambda value: rank(value, descending=True))
    assert ordered[: len(FLAT)] == FLAT[::-1]


def test_other_values_are_equal_to_each_other_and_before_what_is_missing() -> None:
    for descending in (False, True):
        ranks = [rank(value, descending=descending) for value in (b"x", 1j, [1], {"a": 1}, object())]
        assert len(set(ranks)) == 1
        assert ranks[0] < rank(None, descending=descending)
    assert rank("z") < rank([1])
    assert rank([1], descending=True) < rank("z", descending=True)


def test_an_order_of_several_attributes(entry: Any, make_object: Any) -> None:
    order = PythonQuery().order("run.a, run['b, c'] DESC")
    runs = [make_object({"a": a, "b, c": b}) for a, b in ((1, "x"), (2, "y"), (1, "z"), (1, None))]
    ordered = sorted(runs, key=lambda run: order.rank(RunView(run)))
    assert [(run.attributes["a"], run.attributes["b, c"]) for run in ordered] == [
        (1, "z"),
        (1, "x"),
        (1, None),
        (2, "y"),
    ]
    assert order.attributes == {("run", "a"), ("run", "b, c")}
    assert all(order.rank(RunView(run)) <= order.last for run in runs)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("run.hparams.lr", 0.001),
        ("run['hparams', 'opt'].name asc", "adam"),
        ("run.hparams.layers[-1]", 32),
        ("run.name", "first"),
        ("run['name']", "parameter"),
        ("run.duration", 90.5),
        ("run.metrics['acc', {'subset': 'val'}].last", 0.7),
        ("run.when.month", 5),
        (" run . hparams\n.lr ", 0.001),
        ("run.nothing.at.all", None),
    ],
)
def test_a_path_is_read_as_in_a_query(entry: Any, text: str, value: Any) -> None:
    assert PythonQuery().order(text).rank(RunView(entry)) == (rank(value),)


def test_metrics_are_ordered_by_what_they_and_their_runs_have(entry: Any) -> None:
    view = MetricView(entry.metrics[0], RunView(entry))
    order = PythonQuery().order("metric.last desc, metric.run.hparams.lr, run.name", "metric")
    assert order.rank(view) == (rank(0.5, descending=True), rank(0.001), rank("first"))


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "missing"),
        ("run.a,", 1, 7, "missing"),
        ("run.a,, run.b", 1, 7, "missing"),
        ("desc", 1, 1, "unknown name"),
        ("run.a + 1", 1, 1, "computed"),
        ("run.a desc, -run.b", 1, 13, "desc"),
        ("run.a.lower()", 1, 1, "computed"),
        ("run.a descending", 1, 7, "invalid"),
        ("run.a,\n  lr", 2, 3, "unknown name 'lr'"),
        ("run.a, metric.last", 1, 8, "no 'metric'"),
        ("run.a, run.__class__", 1, 12, "__class__"),
        ("run.a[run.b]", 1, 11, "constant"),
        ("run.a[1:2]", 1, 7, "constant"),
        ("run", 1, 1, "alone"),
        ("(run.a, run.b)", 1, 1, "computed"),
        ("[run.a for x in run.b]", 1, 1, "computed"),
        ("run.a if run.b else run.c", 1, 1, "computed"),
    ],
)
def test_what_is_no_order_is_refused_with_the_place(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        PythonQuery().order(text)
    assert words in str(caught.value)
    assert (caught.value.expression, caught.value.line, caught.value.column) == (text, line, column)


def test_an_order_is_text() -> None:
    with pytest.raises(TypeError, match="an order is a string"):
        PythonQuery().order(b"run.a")  # type: ignore[arg-type]


def test_an_order_tells_what_it_goes_by(entry: Any) -> None:
    order = PythonQuery().order(" run.hparams.lr desc,run.metrics['loss'].last , run.nothing")
    assert order.names == ("run.hparams.lr", "run.metrics['loss'].last", "run.nothing")
    assert order.values(RunView(entry)) == (0.001, 0.5, None)


def test_an_error_is_raised_with_its_cause(entry: Any) -> None:
    with pytest.raises(QueryRuntimeError, match="2 metrics named 'acc'") as caught:
        PythonQuery().order("run.metrics['acc'].last").rank(RunView(entry))
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_language_need_not_have_orders() -> None:
    class Other(PythonQuery):
        order = PythonQuery.__mro__[1].order  # type: ignore[attr-defined]

    with pytest.raises(UnsupportedError, match="leave order_by out"):
        Other().order("run.a")
