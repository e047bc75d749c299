"""What can never be true is refused when it is compiled, with what to write instead; dates may be written as strings."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aimstore.abc import AllOf, Term
from aimstore.errors import QuerySyntaxError
from aimstore.query import PythonQuery, RunView

MAY = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "column", "reason", "hint"),
    [
        ("run.created_at > 'yesterday'", 18, "'yesterday' is not a date", "2026-01-31"),
        ("'2024-13-01' < run.finalized_at", 1, "'2024-13-01' is not a date", "datetime(2026, 1, 31)"),
        ("run.created_at in ['2024-05-01', 'x']", 34, "'x' is not a date", "2026-01-31"),
        ("run.tags == 'good'", 13, "run.tags is a list of tags, not a string", "'good' in run.tags"),
        ("run.a == 1 and 'good' != run.tags", 16, "run.tags is a list of tags, not a string", "'good' in run.tags"),
        ("run.metrics['loss'] < 1", 23, "a metric is not a value", "run.metrics['loss'].last"),
        ("0 < run.metrics['loss', {'a': 1}]", 1, "a metric is not a value", "run.metrics['loss'].last"),
        ("run.metrics.loss.last < 1", 13, "run.metrics has no attribute 'loss'", "write run.metrics['loss']"),
        ("run.metrics['loss'].lst < 1", 21, "a metric has no attribute 'lst'", "run.metrics[…].last"),
        ("run.metrics['loss'].nonsense", 21, "a metric has no attribute 'nonsense'", "it has context, count"),
        ("any(m.lst > 1 for m in run.metrics)", 7, "a metric has no attribute 'lst'", "did you mean m.last?"),
        ("run.end_time > 1", 5, "a run has no property 'end_time'", "did you mean run.finalized_at?"),
        ("run.creation_time > 1", 5, "a run has no property 'creation_time'", "['creation_time']"),
        ("run.get('lr') == 1", 5, "run has no methods", "run['name']"),
        ("run.metrics.get('loss')", 13, "run.metrics has no methods", "run.metrics['loss']"),
        ("any(m.last > 1 for m in run.metrics.values())", 37, "run.metrics has no methods", "for m in run.metrics"),
    ],
)
def test_what_can_never_be_true_is_refused(expression: str, column: int, reason: str, hint: str) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        PythonQuery().compile(expression)
    assert (caught.value.reason, caught.value.line, caught.value.column) == (reason, 1, column)
    assert hint in caught.value.hint


@pytest.mark.parametrize("subject", ["metric", "sequence"])
def test_it_is_refused_of_the_run_of_a_metric_too(subject: Any) -> None:
    for expression in (
        f"{subject}.run.tags == 'a'",
        f"{subject}.run.end_time",
        f"{subject}.name == 'a' and {subject}.get(1)",
    ):
        with pytest.raises(QuerySyntaxError):
            PythonQuery().compile(expression, subject)


@pytest.mark.parametrize(
    "expression",
    [
        "run.metrics['loss'] == None and run.metrics['loss'] is None",
        "run.tags == ['a'] or 'a' in run.tags or run.tags in [['a']]",
        "run['tags'] == 'a' and run['end_time'] > 1 and run['metrics'].loss < 1 and run['created_at'] > 'x'",
        "run.metrics['loss'].context.nonsense == 1 and run.metrics['loss'].run.nonsense == 1",
        "run.a.get('lr') == 1 and run.a.end_time == 1",
        "run.created_at == None and run.created_at > run.a",
        "any(m.lst > 1 for x in run.metrics for m in x.context.values()) and any(m.lst for m in run.a)",
        "any(any(m.lst for m in m.context.values()) and m.last for m in run.metrics)",
        "run.name == 1 or run.experiment < 2",
    ],
)
def test_what_may_be_true_is_not(expression: str) -> None:
    PythonQuery().compile(expression)


@pytest.mark.parametrize(
    ("expression", "hints"),
    [
        ("run.created_at > '2024-05-01'", Term(("props", "created_at"), ">", MAY)),
        ("'2024-05-01T02:00+02:00' >= run.created_at", Term(("props", "created_at"), "<=", MAY)),
        (
            "'2024-05-01' <= run.finalized_at <= '2024-05-01'",
            AllOf((Term(("props", "finalized_at"), ">=", MAY), Term(("props", "finalized_at"), "<=", MAY))),
        ),
    ],
)
def test_a_date_may_be_written_as_a_string(expression: str, hints: Any) -> None:
    query = PythonQuery().compile(expression)
    assert query.hints == hints
    assert query.exact


def test_a_date_as_a_string_compares_as_a_datetime(matches: Any, entry: Any) -> None:
    assert entry.properties["created_at"] == datetime(2024, 5, 1, 12, tzinfo=UTC)
    assert matches("run.created_at > '2024-05-01' and '2024-05-02' > run.created_at and run.created_at != '2024-05-01'")
    assert matches("run.created_at in ['2024-05-01', '2024-05-01T12:00'] and run.created_at not in ('2024-05-01',)")
    assert matches("run.created_at == '2024-05-01T12:00'")
    assert not matches("run.created_at < '2024-05-01'")
    assert matches("run.created_at > '2024-05-01' != run.name == 'first'")
    exact = PythonQuery().compile("run.created_at > '2024-05-01'")
    assert exact.exact
    assert exact.matches(RunView(entry))
