"""Figures as people read them: numbers of three digits, spreads, ratios in words."""

from __future__ import annotations

from collections.abc import Sequence

from aimstore.bench.report import Outcome, Report
from aimstore.bench.statistics import Spread
from aimstore.bench.workload import Figure

SAME = 1.02
"""Ratios nearer to one than this are called the same."""


def number(value: float) -> str:
    """`0.00123`, `1.23`, `123`, `12,300`, `1.23 M`."""
    value = float(f"{value:.3g}")
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g} M" if size < 1e9 else f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}" if size >= 100 else f"{value:.3g}"


def spread(found: Spread | None) -> str:
    """Median, and quartiles where there are several samples; "–" for None."""
    if found is None:
        return "–"
    if found.count == 1 or found.low == found.high:
        return number(found.median)
    return f"{number(found.median)} ({number(found.low)}–{number(found.high)})"


def ratio(times: float | None) -> str:
    """How much better or worse than the first: `47× worse`, `1.3× better`, `same`; "" where it is not known."""
    if times is None:
        return ""
    if 1 / SAME < times < SAME:
        return "same"
    return f"{number(times)}× better" if times > 1 else f"{number(1 / times)}× worse"


def heading(outcome: Outcome, among: Sequence[Outcome]) -> str:
    """The title of a case, with the curve that it is a point of where others among them have the same title."""
    alike = [each for each in among if each.title == outcome.title]
    return f"{outcome.title}, by {outcome.axis}" if len(alike) > 1 and outcome.axis else outcome.title


def repetitions(report: Report) -> str:
    """How often each was measured: `one repetition`, `medians of 3 to 9 repetitions, with quartiles`."""
    counts = {max(map(len, outcome.samples.values()), default=0) for outcome in report.outcomes} - {0}
    if not counts or counts == {1}:
        return "one repetition" if counts else "no repetition"
    between = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{max(counts)}"
    return f"medians of {between} repetitions, with quartiles"


def missing(outcome: Outcome, name: str) -> str:
    """What stands where a figure of a contestant is not known."""
    return "failed" if name in outcome.failures else "–"


def verdict(outcome: Outcome, figure: Figure, first: str, name: str) -> str:
    """ "better" or "worse" than the first; "" where it is the same, or the ranges between the quartiles overlap, or not known."""
    times = outcome.ratio(figure, first, name)
    ours, theirs = outcome.spread(first, figure.key), outcome.spread(name, figure.key)
    if times is None or ours is None or theirs is None or min(ours.count, theirs.count) < 2:
        return ""
    if ratio(times) == "same" or ours.overlaps(theirs):
        return ""
    return "better" if times > 1 else "worse"


def label(figure: Figure) -> str:
    """A figure with its unit."""
    return f"{figure.label}, {figure.unit}" if figure.unit else figure.label


def has_targets(outcomes: Sequence[Outcome], report: Report) -> bool:
    """Whether any of their figures has something to reach."""
    return any(target(figure, outcome, report)[0] for outcome in outcomes for figure in outcome.figures)


def target(figure: Figure, outcome: Outcome, report: Report) -> tuple[str, bool | None]:
    """What the first contestant is to reach, and whether it did: None where nothing is set or it cannot be told."""
    first = report.contestants[0]
    found = outcome.spread(first, figure.key)
    if figure.limit is not None:
        more = figure.better.value == "more"
        text = f"{'≥' if more else '≤'} {number(figure.limit)}"
        if found is None:
            return text, None
        return text, found.median >= figure.limit if more else found.median <= figure.limit
    if figure.times is not None:
        theirs = outcome.ratio(figure, first, "aim")
        return f"≥ {number(figure.times)}×", None if theirs is None else 1 / theirs >= figure.times
    return "", None
