"""The order of repetitions, and what becomes of those that fail or are interrupted."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimstore.bench.outcomes import Report
from aimstore.bench.runner import Plan, Schedule, run

MakePlan = Callable[..., Plan]


@pytest.fixture
def measured(tmp_path: Path) -> Callable[..., Report]:
    """Measure plans, and leave nothing behind."""

    def measure(plans: list[Plan], contestants: list[Any], repeat: int = 2, warmup: int = 0) -> Report:
        report = Report("engines", [each.name for each in contestants], {}, {})
        schedule = Schedule(repeat, warmup, {"": tmp_path})
        assert run(plans, contestants, schedule, report, lambda text, done: None) is report
        assert list(tmp_path.iterdir()) == []
        return report

    return measure


def test_contestants_take_turns_and_warm_up_does_not_count(actor: Any, plan: MakePlan, measured: Any) -> None:
    log: list[str] = []
    report = measured([plan()], [actor("a", log), actor("b", log)], repeat=2, warmup=1)
    assert log == ["a one", "b one"] * 3
    assert report.outcomes[0].values("a", "ms") == [2.0, 3.0]


def test_what_was_left_is_counted(actor: Any, plan: MakePlan, measured: Any) -> None:
    report = measured([plan()], [actor("a", [])], repeat=1)
    [sample] = report.outcomes[0].samples["a"]
    assert sample == {"ms": 1.0, "stored_mb": 0.002, "bytes_per_unit": 20.0, "amplification": 4.0}


def test_what_is_prepared_is_made_once_for_all_that_ask_for_it(actor: Any, plan: MakePlan, measured: Any) -> None:
    log: list[str] = []
    measured([plan("x", prepared="p"), plan("y", prepared="p")], [actor("a", log)])
    assert log == ["prepare a p", "a x", "a x", "a y", "a y"]


def test_what_cannot_be_prepared_is_tried_once(actor: Any, plan: MakePlan, measured: Any) -> None:
    log: list[str] = []
    report = measured([plan("x", prepared="impossible"), plan("y", prepared="impossible")], [actor("a", log)])
    assert log == ["prepare a impossible"]
    assert [outcome.failures for outcome in report.outcomes] == [{"a": "no room in prepared"}] * 2


def test_a_contestant_that_fails_keeps_its_results_and_the_others_go_on(
    actor: Any, plan: MakePlan, measured: Any
) -> None:
    log: list[str] = []
    report = measured([plan("x"), plan("y")], [actor("a", log, fails_at=2), actor("b", log)], repeat=3)
    assert log == ["a x", "b x", "a x", "b x", "b x", "a y", "b y", "a y", "b y", "a y", "b y"]
    assert report.outcomes[0].failures == {"a": "no more"}
    assert report.outcomes[0].values("a", "ms") == [1.0]
    assert report.outcomes[0].values("b", "ms") == [1.0, 2.0, 3.0]
    assert report.failed


def test_no_space_left_is_a_failure_of_who_met_it(actor: Any, plan: MakePlan, measured: Any) -> None:
    full = actor("a", [], fails_at=1, error=OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    report = measured([plan()], [full, actor("b", [])])
    assert "No space left" in report.outcomes[0].failures["a"]
    assert len(report.outcomes[0].samples["b"]) == 2


def test_an_interruption_keeps_what_there_is(actor: Any, plan: MakePlan, measured: Any) -> None:
    stopped = actor("b", [], fails_at=2, error=KeyboardInterrupt())
    report = measured([plan("x"), plan("y")], [actor("a", []), stopped], repeat=3)
    assert report.interrupted
    assert [outcome.case for outcome in report.outcomes] == ["x"]
    assert report.outcomes[0].values("a", "ms") == [1.0, 2.0]
    assert report.outcomes[0].values("b", "ms") == [1.0]


def test_who_cannot_do_it_is_left_out_with_the_reason(actor: Any, plan: MakePlan, measured: Any) -> None:
    report = measured([plan(sizes={"large": True, "_hidden": 1})], [actor("a", []), actor("b", [])])
    assert report.outcomes[0].skipped == {"b": "it is too small"}
    assert report.outcomes[0].sizes == {"large": True}
    assert "b" not in report.outcomes[0].samples


def test_a_plan_may_say_how_often(actor: Any, plan: MakePlan, measured: Any) -> None:
    report = measured([plan(repeat=4)], [actor("a", [])], repeat=2)
    assert len(report.outcomes[0].samples["a"]) == 4
    assert Schedule(2, 1).steps([plan(repeat=4), plan()], [actor("a", [])]) == 8
