"""The table: medians, quartiles, the ratio of both, and the target beside it."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from rich.table import Table

from .rows import Better, Figure, Row
from .runner import Samples


@dataclass(frozen=True)
class Outcome:
    """One figure of one row.

    Attributes:
        values: of each contestant, one for each repetition.
        ratio: how many times better aimstore is, the median over pairs of neighbouring repetitions; None without Aim.
        reached: whether aimstore reached its target; None where there is none, or nothing to compare with.
    """

    row: Row
    figure: Figure
    values: dict[str, list[float]]
    ratio: float | None
    reached: bool | None


def outcomes(row: Row, samples: Samples) -> list[Outcome]:
    """What the samples of a row say of each of its figures."""
    found = []
    for figure in row.figures:
        values = {name: [each[figure.key] for each in results] for name, results in samples.items()}
        ratio = _ratio(figure, values["aimstore"], values["aim"]) if "aim" in values else None
        reached = None
        if figure.limit is not None:
            ours = median(values["aimstore"])
            reached = ours <= figure.limit if figure.better is Better.LESS else ours >= figure.limit
        elif figure.times is not None and ratio is not None:
            reached = ratio >= figure.times
        found.append(Outcome(row, figure, values, ratio, reached))
    return found


def _ratio(figure: Figure, ours: list[float], theirs: list[float]) -> float:
    pairs = zip(ours, theirs, strict=True)
    return median(a / b if figure.better is Better.MORE else b / a for a, b in pairs)


def table(found: list[Outcome]) -> Table:
    """All outcomes, in rows of a table."""
    result = Table(title="aimstore and Aim: median (lower–upper quartile)", title_justify="left")
    result.add_column("work")
    for heading in ("aimstore", "Aim"):
        result.add_column(heading, justify="right")
    for heading in ("ratio", "target"):
        result.add_column(heading, justify="right", no_wrap=True)
    result.add_column("", min_width=5)
    shown = None
    for outcome in found:
        if outcome.row is not shown:
            result.add_section()
            result.add_row(f"[bold]{outcome.row.title}[/bold]")
            shown = outcome.row
        figure = outcome.figure
        result.add_row(
            f"  {figure.label}, {figure.unit}",
            _spread(outcome.values["aimstore"]),
            _spread(outcome.values["aim"]) if "aim" in outcome.values else "–",
            f"{_number(outcome.ratio)}×" if outcome.ratio is not None else "–",
            _target(figure),
            {True: "[green]ok[/green]", False: "[red]short[/red]", None: ""}[outcome.reached],
        )
    return result


def as_json(found: list[Outcome]) -> list[dict[str, Any]]:
    """All outcomes with every sample."""
    return [
        {
            "row": outcome.row.name,
            "figure": outcome.figure.key,
            "unit": outcome.figure.unit,
            "better": outcome.figure.better.value,
            "values": outcome.values,
            "medians": {name: median(values) for name, values in outcome.values.items()},
            "ratio": outcome.ratio,
            "target": {"times": outcome.figure.times, "limit": outcome.figure.limit},
            "reached": outcome.reached,
        }
        for outcome in found
    ]


def _target(figure: Figure) -> str:
    if figure.limit is not None:
        return f"{'≤' if figure.better is Better.LESS else '≥'} {_number(figure.limit)}"
    return f"≥ {_number(figure.times)}×" if figure.times is not None else ""


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return _number(values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{_number(median(values))} ({_number(low)}–{_number(high)})"


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
