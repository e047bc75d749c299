"""Figures as people read them: numbers of three digits, medians with quartiles, ratios in words."""

from __future__ import annotations

from aimstore.bench.statistics import Spread, Verdict
from aimstore.bench.workload import Figure

SAME_BELOW = 1.02
"""Ratios nearer to 1 than this are called the same."""

MISSING = "–"


def format_number(value: float) -> str:
    """`0.00123`, `1.23`, `123`, `12,300`, `1.23 M`."""
    value = float(f"{value:.3g}")
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g} M" if size < 1e9 else f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}" if size >= 100 else f"{value:.3g}"


def format_quartiles(spread: Spread) -> str:
    """`(1.5–2.5)`; "" where all samples are the same."""
    return f"({format_number(spread.low)}–{format_number(spread.high)})" if spread.low < spread.high else ""


def format_spread(spread: Spread | None) -> str:
    """The median, and the quartiles where they differ; "–" for None."""
    return f"{format_number(spread.median)} {format_quartiles(spread)}".rstrip() if spread else MISSING


def format_ratio(times_better: float | None, verdict: Verdict | None = None) -> str:
    """`47× worse`, `1.3× better`, `same`, `1.3× better, noise`; "" for None."""
    if times_better is None:
        return ""
    if 1 / SAME_BELOW < times_better < SAME_BELOW:
        return "same"
    words = (
        f"{format_number(times_better)}× better" if times_better > 1 else f"{format_number(1 / times_better)}× worse"
    )
    return f"{words}, noise" if verdict == "within noise" else words


def format_label(figure: Figure) -> str:
    """The label of a figure with its unit."""
    return f"{figure.label}, {figure.unit}" if figure.unit else figure.label
