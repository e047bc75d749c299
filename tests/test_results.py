from __future__ import annotations

import logging
from pathlib import Path

import pytest

from aimstore import Repo, Run
from aimstore.catalog import Catalog
from aimstore.errors import QueryRuntimeError, QuerySyntaxError
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
        (4, "record", "val"),
    ]
    assert sorted(str(record.value) for each in found for record in each) == ["[1, 2]", "text 0", "text 2"]
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
    [record] = caplog.records
    assert "1 of 4" in record.message
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
    assert "looked at" not in results.explain()
    list(results)
    assert "candidates 2 by the index" in results.explain()
    assert "matched    2" in results.explain()


def test_active_and_finalized_runs_are_told_apart(repo: Repo) -> None:
    live = Run(repo=repo)
    try:
        live.track(1.0, name="loss")
        assert [run.hash for run in repo.query_runs("run.active")] == [live.hash]
        assert repo.query_runs("run.finalized_at != None").count() == 4
        assert repo.query_runs("run.duration < 60").count() == 4
        assert live.hash in {metric.run.hash for metric in repo.query_metrics("metric.last == 1")}
    finally:
        live.close()
