from __future__ import annotations

import builtins
import logging
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore import Repo, Run
from aimstore.errors import QueryRuntimeError, QuerySyntaxError, UnsupportedError
from aimstore.repository.catalog import Catalog
from aimstore.sequences.sequence import Metric, Sequence


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    repo = Repo.init(tmp_path)
    for i in range(4):
        with Run(repo=repo, experiment="even" if i % 2 == 0 else "odd") as run:
            run["i"] = i
            run["divisor"] = i
            run.track(i / 4, name="loss", context={"subset": "train"})
            run.track(f"text {i}", name="note")
    return repo


def test_runs_are_found_by_parameters_and_properties(repo: Repo) -> None:
    assert sorted(run["i"] for run in repo.query_runs("run.i > 0 and run.experiment == 'even'")) == [2]
    assert sorted(run["i"] for run in repo.query_runs()) == [0, 1, 2, 3]
    assert {run.experiment for run in repo.query_runs("run.i in [1, 3]")} == {"odd"}


def test_a_result_answers_from_what_the_query_read(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    [run] = repo.query_runs("run.i == 3")
    monkeypatch.setattr(Catalog, "reading", None)
    assert run["i"] == 3
    assert run.get(("no", "such"), "default") == "default"
    assert "i" in run
    assert run.name == f"Run: {run.hash}"
    assert [metric.last for metric in run.metrics()] == [0.75]


def test_metrics_are_found_and_know_their_run(repo: Repo) -> None:
    found = list(repo.query_metrics("metric.name == 'loss' and metric.context.subset == 'train' and metric.last > 0.4"))
    assert sorted(metric.run["i"] for metric in found) == [2, 3]
    assert sorted(metric.numpy()[1].tolist() for metric in found) == [[0.5], [0.75]]
    assert repo.query_metrics("metric.name == 'note'").count() == 0


def test_sequences_of_any_kind_are_found(repo: Repo) -> None:
    with Run(repo=repo, experiment="even") as run:
        run["i"] = 4
        run.track([1, 2], name="note", context={"subset": "val"})
        run.track(b"raw", name="data")
    found = list(repo.query_sequences("sequence.name == 'note' and run.experiment == 'even'"))
    assert sorted((each.run["i"], each.kind, each.context.get("subset")) for each in found) == [
        (0, "text", None),
        (2, "text", None),
        (4, "value", "val"),
    ]
    assert sorted(str(entry.value) for each in found for entry in each) == ["[1, 2]", "text 0", "text 2"]
    assert repo.query_sequences().count() == 10
    assert repo.query_sequences("sequence.kind == 'bytes'").count() == 1
    assert repo.query_sequences("sequence.run.i > 1 and sequence.last_step == 0 and sequence.count == 1").count() == 6


def test_sequences_of_one_kind_are_found_and_the_others_not_asked(repo: Repo) -> None:
    texts = repo.query_sequences("run.i > 1", kind="text")
    assert {(each.name, type(each)) for each in texts} == {("note", Sequence)}
    assert (texts.progress.runs, texts.progress.evaluated, texts.progress.matched) == (2, 2, 2)
    assert texts.explain().startswith("kind       text\n")
    numbers = repo.query_sequences("sequence.last > 0.4 and sequence.max == sequence.last", kind="number")
    assert {(each.name, type(each)) for each in numbers} == {("loss", Metric)}
    assert sorted(each.run["i"] for each in numbers) == [2, 3]
    assert repo.query_sequences(kind="hologram").count() == 0
    assert repo.query_sequences("sequence.last > 0", kind="text").progress.errors == 0
    with pytest.raises(TypeError, match="kind is a str"):
        repo.query_sequences(kind=5)  # type: ignore[arg-type]


def test_sequences_of_live_and_archived_runs(repo: Repo) -> None:
    with Run(repo=repo) as live:
        live.track("now", name="note")
        assert repo.query_sequences("sequence.name == 'note'", kind="text").count() == 5
    [archived] = repo.query_runs("run.i == 1")
    archived.archived = True
    assert repo.query_sequences(kind="text").count() == 4
    assert repo.query_sequences("run.archived", kind="text").count() == 1


def test_an_error_of_a_sequence_query_names_the_sequence(repo: Repo) -> None:
    results = repo.query_sequences("1 / run.divisor > 0", kind="text")
    assert (results.count(), results.progress.errors) == (3, 1)
    assert results.progress.first_error.startswith("text sequence 'note' {} of run ")
    with pytest.raises(QueryRuntimeError):
        list(repo.query_sequences("1 / run.divisor > 0", on_error="raise"))


def test_results_are_lazy_and_can_be_read_again(repo: Repo) -> None:
    results = repo.query_runs("run.i >= 2")
    next(iter(results))
    assert results.progress.runs <= 4
    assert len(list(results)) == len(list(results)) == results.count() == 2
    with Run(repo=repo) as run:
        run["i"] = 9
    assert results.count() == 3


def test_archived_runs_are_left_out_unless_the_query_mentions_them(repo: Repo) -> None:
    [run] = repo.query_runs("run.i == 1")
    run.archived = True
    assert repo.query_runs("run.i < 9").count() == 3
    assert repo.query_runs("run.archived or run.i < 9").count() == 4
    assert [run["i"] for run in repo.query_runs("run.archived")] == [1]
    assert repo.query_runs("run.note == 'archived'").progress.runs == 0
    assert repo.query_metrics("metric.name == 'loss'").count() == 3


def test_errors_of_a_predicate_are_counted_and_said_once(repo: Repo, caplog: pytest.LogCaptureFixture) -> None:
    results = repo.query_runs("6 / run.divisor > 2.5")
    with caplog.at_level(logging.WARNING):
        assert sorted(run["i"] for run in results) == [1, 2]
    assert (results.progress.runs, results.progress.matched, results.progress.errors) == (4, 2, 1)
    [entry] = caplog.records
    assert "1 of 4" in entry.message
    assert "zero" in results.progress.first_error
    assert "zero" in results.explain()


def test_errors_of_a_predicate_are_raised_on_demand(repo: Repo) -> None:
    with pytest.raises(QueryRuntimeError) as caught:
        list(repo.query_runs("6 / run.divisor > 2.5", on_error="raise"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(ValueError, match="on_error"):
        repo.query_runs("run.i", on_error="ignore")  # type: ignore[arg-type]


def test_a_query_that_is_none_is_refused_before_anything_is_read(repo: Repo) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        repo.query_runs("run.i = 3")
    assert caught.value.column > 1


def test_explain_tells_the_plan_and_then_the_counts(repo: Repo) -> None:
    results = repo.query_runs("run.i > 1")
    assert "run.i > 1" in results.explain()
    assert "examined" not in results.explain()
    list(results)
    assert "candidates 2 from the index" in results.explain()
    assert "matched    2" in results.explain()


def test_active_and_finalized_runs_are_told_apart(repo: Repo) -> None:
    live = Run(repo=repo)
    try:
        live.track(1.0, name="loss")
        assert [run.hash for run in repo.query_runs("run.active")] == [live.hash]
        assert repo.query_runs("run.finalized_at != None").count() == 4
        assert repo.query_runs("run.duration < 60").count() == 5  # of the live run, the time so far
        assert live.hash in {metric.run.hash for metric in repo.query_metrics("metric.last == 1")}
    finally:
        live.close()


# Order and window


def numbers(results: Any) -> list[Any]:
    return [run["i"] for run in results]


def test_runs_come_in_the_order_that_is_asked_for(repo: Repo) -> None:
    assert numbers(repo.query_runs(order_by="run.i desc")) == [3, 2, 1, 0]
    assert numbers(repo.query_runs(order_by="run.created_at")) == [0, 1, 2, 3]
    assert numbers(repo.query_runs("run.i > 0", order_by="run.experiment, run.i desc")) == [2, 3, 1]
    assert numbers(repo.query_runs("run.i * 2 > 0", order_by="run.metrics['loss'].last DESC", limit=2)) == [3, 2]
    hashes = sorted(repo.list_runs())
    assert [run.hash for run in repo.query_runs(order_by="run.nothing")] == hashes
    assert [run.hash for run in repo.query_runs(order_by="run.nothing desc")] == hashes


def test_metrics_and_sequences_come_in_the_order_that_is_asked_for(repo: Repo) -> None:
    metrics = repo.query_metrics("metric.last > 0", order_by="metric.last desc", limit=2)
    assert [metric.last for metric in metrics] == [0.75, 0.5]
    sequences = repo.query_sequences("run.i > 1", order_by="sequence.name desc, sequence.run.i desc", offset=1)
    assert [(each.name, each.run["i"]) for each in sequences] == [("note", 2), ("loss", 3), ("loss", 2)]


def test_pending_runs_have_their_place_in_the_order(repo: Repo) -> None:
    with Run(repo=repo) as live:
        live["i"] = 1.5
        results = repo.query_runs(order_by="run.i", offset=1, limit=2)
        assert numbers(results) == [1, 1.5]
        assert results.count() == 2
        assert numbers(repo.query_runs("run.i > 0", order_by="run.created_at desc", limit=2)) == [1.5, 3]


def test_an_order_by_properties_reads_no_packed_entries(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    for expression in ("", "run.i > 0"):
        results = repo.query_runs(expression, order_by="run.created_at desc, run.name", limit=2)
        with monkeypatch.context() as patched:
            patched.setattr(Catalog, "indexed", None)
            found = [run.name for run in results]
        assert found == [run.name for run in repo.query_runs(order_by="run.i desc", limit=2)]


def test_results_hold_on_to_nothing_that_was_read_for_others(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []
    indexed = Catalog.indexed

    def counting(self: Catalog, runs: Any) -> Any:
        read.append(sorted(runs))
        return indexed(self, runs)

    monkeypatch.setattr(Catalog, "indexed", counting)
    [best] = repo.query_runs("run.i >= 0", order_by="run.i desc", limit=1)
    assert best["i"] == 3
    assert read == [sorted(repo.list_runs()), [best.hash]]


def test_a_limit_ends_the_search(repo: Repo) -> None:
    results = repo.query_runs("run.i * 2 >= 0", limit=1)
    assert len(list(results)) == 1
    assert results.progress.evaluated == 1
    assert list(repo.query_runs(limit=0)) == []
    assert numbers(repo.query_runs("run.i >= 0", offset=4)) == []


def test_pages_without_an_order_are_disjoint(repo: Repo) -> None:
    for expression in ("", "run.i >= 0", "run.i * 2 >= 0"):
        pages = [numbers(repo.query_runs(expression, offset=offset, limit=3)) for offset in (0, 3, 6)]
        assert [len(page) for page in pages] == [3, 1, 0]
        assert sorted(pages[0] + pages[1]) == [0, 1, 2, 3]


@pytest.mark.parametrize("expression", ["", "run.i >= 0", "run.i * 2 >= 0"])
def test_count_honours_the_window(repo: Repo, expression: str) -> None:
    for offset, limit, count in ((0, None, 4), (1, None, 3), (0, 2, 2), (3, 2, 1), (9, 1, 0), (0, 0, 0)):
        results = repo.query_runs(expression, order_by="run.i", offset=offset, limit=limit)
        assert results.count() == len(list(results)) == count
    assert repo.query_metrics("metric.last >= 0", limit=3, offset=2).count() == 2


@pytest.mark.parametrize("value", [-1, 1.5, "3", True])
def test_a_window_is_whole_numbers(repo: Repo, value: Any) -> None:
    expected = ValueError if value == -1 else TypeError
    with pytest.raises(expected, match="limit"):
        repo.query_runs(limit=value)
    with pytest.raises(expected, match="offset"):
        repo.query_metrics(offset=value)


def test_an_order_that_is_none_is_refused_at_once(repo: Repo) -> None:
    with pytest.raises(QuerySyntaxError) as caught:
        repo.query_runs(order_by="run.i, -run.i")
    assert caught.value.column == 8
    with pytest.raises(TypeError, match="order"):
        repo.query_runs(order_by=["run.i"])  # type: ignore[arg-type]


def test_errors_of_an_order_are_counted_and_these_come_last(repo: Repo, caplog: pytest.LogCaptureFixture) -> None:
    with Run(repo=repo) as run:
        run["i"] = 4
        for subset in ("a", "b"):
            run.track(-1.0, name="loss", context={"subset": subset})
    results = repo.query_runs(order_by="run.metrics['loss'].last")
    with caplog.at_level(logging.WARNING):
        assert numbers(results) == [0, 1, 2, 3, 4]
    assert (results.progress.errors, results.progress.unordered) == (0, 1)
    assert "2 metrics named 'loss'" in results.progress.first_error
    assert "come last" in caplog.text
    assert "errors     1" in results.explain()
    with pytest.raises(QueryRuntimeError):
        list(repo.query_runs(order_by="run.metrics['loss'].last", on_error="raise"))


def test_explain_tells_the_window(repo: Repo) -> None:
    text = repo.query_runs("run.i > 0", order_by="run.i desc", limit=2, offset=1).explain()
    assert "order      run.i desc, skip the first 1, at most 2" in text
    assert "order" not in repo.query_runs("run.i > 0").explain()


VALUES = st.one_of(
    *(st.none(), st.booleans(), st.integers(-3, 3), st.floats(-2, 2), st.just(math.nan), st.just(2**70)),
    *(st.text("ab", max_size=2), st.datetimes(datetime(2024, 1, 1), datetime(2024, 1, 3)), st.lists(st.just(1))),
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pairs=st.lists(st.tuples(VALUES, st.integers(0, 1)), max_size=8),
    descending=st.tuples(st.booleans(), st.booleans()),
    offset=st.integers(0, 4),
    limit=st.none() | st.integers(0, 5),
)
def test_a_window_is_a_slice_of_the_naive_order(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[tuple[Any, int]],
    descending: tuple[bool, bool],
    offset: int,
    limit: int | None,
) -> None:
    repo = Repo.init(tmp_path_factory.mktemp("window"), backend="memory")
    for a, b in pairs:
        with Run(repo=repo) as run:
            if a is not None or b:
                run["a"] = a
            run["b"] = b
    named = {run.hash: (run.get("a"), run["b"]) for run in repo.iter_runs()}
    expected = sorted(named)
    expected = stable(expected, descending[1], lambda run: named[run][1])
    expected = stable(expected, descending[0], lambda run: named[run][0])
    order = f"run.a {'desc' if descending[0] else 'asc'}, run.b {'desc' if descending[1] else 'asc'}"
    for expression in ("", "run.b >= 0", "run.b + 1 > 0"):
        found = [run.hash for run in repo.query_runs(expression, order_by=order, offset=offset, limit=limit)]
        assert found == expected[offset:][:limit]


def stable(runs: list[str], descending: bool, value: Any) -> list[str]:
    """`runs` sorted by a value, as they were where it is the same; by comparing each with each."""
    placed: list[str] = []
    for run in runs:
        after = [i for i, other in enumerate(placed) if precedes(value(run), value(other), descending)]
        placed.insert(after[0] if after else len(placed), run)
    return placed


def precedes(left: Any, right: Any, descending: bool) -> bool:
    def kind(value: Any) -> int:
        if value is None or value != value:
            return 9
        return [isinstance(value, types) for types in ((int, float), datetime, str, object)].index(True)

    if 9 in (kind(left), kind(right)):
        return kind(left) < kind(right)
    if descending:
        left, right = right, left
    if kind(left) != kind(right):
        return kind(left) < kind(right)
    return kind(left) < 3 and bool(left < right)


# Data frames


def test_runs_as_a_data_frame(repo: Repo) -> None:
    with Run(repo=repo, name="last", tags=["b", "a"]) as run:
        run["i"] = 4
        run["hparams"] = {"lr": np.float32(0.5), "batch size": 2**60, "layers": [1, 2], "on": True, "empty": {}}
        run["name"] = "parameter"
        run["when"] = datetime(2024, 5, 1, tzinfo=UTC)
        run["text"] = "x" * 10_000
    frame = repo.query_runs(order_by="run.i desc").dataframe()
    assert list(frame["i"]) == [4, 3, 2, 1, 0]
    assert frame["hash"][0] == run.hash
    assert (frame["name"][0], frame["['name']"][0], frame["tags"][0]) == ("last", "parameter", ("a", "b"))
    assert frame["created_at"].dtype.kind == "M"
    assert list(frame["experiment"]) == ["default", "odd", "even", "odd", "even"]
    assert frame["hparams['batch size']"][0] == 2**60
    assert str(frame["hparams['batch size']"].dtype) == "Int64"
    assert frame["hparams.lr"][0] == 0.5
    assert frame["hparams.lr"].isna().sum() == 4
    assert frame["hparams.layers"][0] == [1, 2]
    assert frame["hparams.empty"][0] == {}
    assert str(frame["hparams.on"].dtype) == "boolean"
    assert frame["when"][0].year == 2024
    assert frame["text"][0] == "x" * 10_000
    assert "i" not in repo.query_runs().dataframe(params=False)
    assert len(repo.query_runs("run.i > 2", limit=1).dataframe()) == 1


def test_metrics_and_sequences_as_a_data_frame(repo: Repo) -> None:
    frame = repo.query_metrics("run.i > 1", order_by="metric.last").dataframe(params=True)
    assert list(frame.columns) == [
        *("run", "name", "context.subset", "count", "first_step", "last_step", "last", "min", "max"),
        *("run.divisor", "run.i"),
    ]
    assert list(frame["last"]) == [0.5, 0.75]
    assert list(frame["run.i"]) == [2, 3]
    kinds = repo.query_sequences("run.i == 1", order_by="sequence.kind").dataframe()
    assert list(kinds["kind"]) == ["number", "text"]
    assert list(kinds["name"]) == ["loss", "note"]
    assert repo.query_metrics("metric.last > 9").dataframe().shape == (0, 8)


def test_a_data_frame_needs_pandas(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnsupportedError, match=r"aimstore\[pandas\]"):
        repo.query_runs().dataframe()
