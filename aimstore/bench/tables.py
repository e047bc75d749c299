"""What the tables of a report show, in a terminal and on the page alike: cells of text, targets, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aimstore.bench.formatting import MISSING, format_label, format_number, format_quartiles, format_ratio
from aimstore.bench.outcomes import Outcome, Report
from aimstore.bench.statistics import Verdict, verdict
from aimstore.bench.workload import Better, Figure

_NO_ROOM: Final = "no space left"
"""As the operating system says it, and engines after it."""


@dataclass(frozen=True)
class Cell:
    """One figure of one contestant.

    Attributes:
        median: as text; "failed" or "–" where there is none.
        quartiles: in brackets; "" where there are none.
        ratio: how much better or worse than the first contestant; "" where that is not known.
        verdict: what the quartiles say of that; None where there is no ratio, or it is "same".
        known: there are samples.
        failed: there are none because the contestant failed.
    """

    median: str
    quartiles: str = ""
    ratio: str = ""
    verdict: Verdict | None = None
    known: bool = True
    failed: bool = False


@dataclass(frozen=True)
class Row:
    """One figure of a case.

    Attributes:
        label: the figure with its unit.
        cells: of the contestants, in their order.
        target: what the first contestant should reach; "" where nothing is set.
        reached: whether it does; None where that cannot be told.
    """

    label: str
    cells: list[Cell]
    target: str
    reached: bool | None


@dataclass(frozen=True)
class CaseTable:
    """The rows of one case; none where nothing was measured."""

    title: str
    rows: list[Row]


def case_tables(report: Report, outcomes: Sequence[Outcome]) -> list[CaseTable]:
    """The tables of the cases of one workload."""
    return [
        CaseTable(_title(outcome, outcomes), [_row(report, outcome, figure) for figure in outcome.measured()])
        for outcome in outcomes
    ]


def _title(outcome: Outcome, outcomes: Sequence[Outcome]) -> str:
    """The title of a case, with its axis where another case has the same title."""
    is_shared = sum(each.title == outcome.title for each in outcomes) > 1
    return f"{outcome.title}, by {outcome.axis}" if is_shared and outcome.axis else outcome.title


def _row(report: Report, outcome: Outcome, figure: Figure) -> Row:
    first = report.contestants[0]
    cells = [_cell(outcome, figure, first, name) for name in report.contestants]
    return Row(format_label(figure), cells, *_target(outcome, figure, first))


def _cell(outcome: Outcome, figure: Figure, first: str, name: str) -> Cell:
    spread, base = outcome.spread(name, figure.key), outcome.spread(first, figure.key)
    if spread is None:
        failed = name in outcome.failures
        return Cell("failed" if failed else MISSING, known=False, failed=failed)
    median, quartiles = format_number(spread.median), format_quartiles(spread)
    times_better = outcome.ratio(figure, first, name)
    if name == first or base is None or times_better is None:
        return Cell(median, quartiles)
    found = verdict(figure.better, base, spread)
    ratio = format_ratio(times_better, found)
    return Cell(median, quartiles, ratio, None if ratio == "same" else found)


def _target(outcome: Outcome, figure: Figure, first: str) -> tuple[str, bool | None]:
    spread = outcome.spread(first, figure.key)
    if figure.limit is not None:
        more = figure.better is Better.MORE
        text = f"{'≥' if more else '≤'} {format_number(figure.limit)}"
        if spread is None:
            return text, None
        return text, spread.median >= figure.limit if more else spread.median <= figure.limit
    if figure.times is not None:
        aim_times_better = outcome.ratio(figure, first, "aim")
        text = f"≥ {format_number(figure.times)}×"
        return text, None if aim_times_better is None else 1 / aim_times_better >= figure.times
    return "", None


def repetitions(outcomes: Sequence[Outcome]) -> str:
    """How often each case was measured: `one repetition`, `medians of 3 to 9 repetitions, with quartiles`."""
    counts = {max(map(len, outcome.samples.values()), default=0) for outcome in outcomes} - {0}
    if not counts or counts == {1}:
        return "one repetition" if counts else "no repetition"
    between = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts)}"
    return f"medians of {between} repetitions, with quartiles"


def failures(report: Report) -> list[str]:
    """What failed, in sentences: each reason once, with all cases that it ended."""
    cases: dict[tuple[str, str], list[str]] = {}
    for outcome in report.outcomes:
        for name, reason in outcome.failures.items():
            done = len(outcome.samples.get(name, ()))
            after = f" after {done} {'repetition' if done == 1 else 'repetitions'}" if done else ""
            cases.setdefault((name, reason), []).append(f"{outcome.workload} ({outcome.title}){after}")
    found = [f"{name} failed in {'; '.join(where)}: {reason}" for (name, reason), where in cases.items()]
    if any(_NO_ROOM in reason.lower() for _, reason in cases):
        found.append(
            "there is no space left where the repositories are made: free some, or name another folder by --dir"
        )
    return found


def omissions(report: Report) -> list[str]:
    """What was left out, and whether measuring was interrupted, in sentences."""
    workloads: dict[tuple[str, str], dict[str, None]] = {}
    if report.kind == "engines":  # what other tools lack is no news
        for outcome in report.outcomes:
            for name, reason in outcome.skipped.items():
                workloads.setdefault((name, reason), {})[outcome.workload] = None
    found = [f"{name} is left out of {'; '.join(where)}: {reason}" for (name, reason), where in workloads.items()]
    return [*found, "interrupted: these are the results until then"] if report.interrupted else found
