"""Figures as people read them: numbers of three digits, spreads, ratios in words."""

from __future__ import annotations

from aimstore.bench.report import Outcome, Report
from aimstore.bench.statistics import Spread
from aimstore.bench.workload import Figure

SAME = 1.02
"""Ratios nearer to one than this are called the same."""


def number(value: float) -> str:
    """`0.00123`, `1.23`, `123`, `12,300`, `1.23 M`."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:,.3g} M" if size < 1e9 else f"{value / 1e6:,.0f} M"
    if size >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.0f}" if size >= 100 else f"{value:.3g}"


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


def label(figure: Figure) -> str:
    """A figure with its unit."""
    return f"{figure.label}, {figure.unit}" if figure.unit else figure.label


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
