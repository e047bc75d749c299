"""Which charts a report has, as data: comparisons of cases, and lines over a size or over percentiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from aimstore.bench.outcomes import Outcome, Report
from aimstore.bench.statistics import Spread
from aimstore.bench.tables import repetitions
from aimstore.bench.workload import Better, Figure

Spreads: TypeAlias = dict[int, Spread]
"""By the number of the contestant, which decides its colour and marker."""


@dataclass(frozen=True)
class Comparison:
    """One figure of several cases, contestants below one another.

    Attributes:
        title: above it.
        unit: of the figure.
        cases: titles of the cases, with what was measured.
    """

    title: str
    unit: str
    cases: Sequence[tuple[str, Spreads]]


@dataclass(frozen=True)
class Lines:
    """A line for each contestant.

    Attributes:
        title: above it.
        unit: of the figures.
        axis: what the places are; "" where they have names.
        places: where the points are, from left to right.
        points: what was measured, at each place.
        names: of the places, such as "p99"; empty where these are numbers that mean something.
    """

    title: str
    unit: str
    axis: str
    places: Sequence[float]
    points: Sequence[Spreads]
    names: Sequence[str] = ()

    def contestants(self) -> list[int]:
        """The numbers of the contestants that have points."""
        return sorted({contestant for spreads in self.points for contestant in spreads})

    def of(self, contestant: int) -> list[tuple[float, Spread]]:
        """The points of a contestant with their places."""
        points = zip(self.places, self.points, strict=True)
        return [(place, spreads[contestant]) for place, spreads in points if contestant in spreads]


def is_single(points: Sequence[tuple[float, Spread]]) -> bool:
    """Whether all are single samples: no line is drawn through these, for it would be one through noise."""
    return all(spread.count == 1 for _, spread in points)


Panel: TypeAlias = Comparison | Lines


@dataclass(frozen=True)
class Chart:
    """Panels that belong together.

    Attributes:
        workload: that it belongs to.
        name: of its file.
        title: what it shows.
        subtitle: how it was measured.
        contestants: names, by their number.
        panels: the parts.
    """

    workload: str
    name: str
    title: str
    subtitle: str
    contestants: Sequence[str]
    panels: Sequence[Panel]

    @property
    def note(self) -> str:
        """Why there are no lines; "" where there are."""
        lines = [panel for panel in self.panels if isinstance(panel, Lines)]
        has_single = any(is_single(panel.of(contestant)) for panel in lines for contestant in panel.contestants())
        return "single samples are shown as points, without a line through them" if has_single else ""


def charts(report: Report) -> Iterator[Chart]:
    """The charts of each workload: cases side by side, latencies, and a chart for each axis that has several points."""
    for workload, outcomes in report.workloads().items():
        measured = [outcome for outcome in outcomes if any(outcome.samples.values())]
        title = "aimstore beside other tools" if report.kind == "peers" else workload
        curves = _by_axis(measured)
        others = [outcome for outcome in measured if outcome.axis not in curves]
        parts: list[tuple[str, str, Sequence[Panel]]] = [
            (workload, title, list(_comparisons(report, workload, others))),
            (f"{workload}-latency", f"{title}: latency", list(_profiles(report, others))),
        ]
        for number, (axis, along) in enumerate(curves.items(), 1):
            parts.append((f"{workload}-{number}", f"{workload}, by {axis}", list(_curves(report, workload, along))))
        for name, heading, panels in parts:
            if panels:
                yield Chart(workload, name, heading, _subtitle(report), report.contestants, panels)


def _by_axis(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The cases that are points of a curve, by its axis; a curve has several points."""
    axes: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.axis:
            axes.setdefault(outcome.axis, []).append(outcome)
    return {axis: along for axis, along in axes.items() if len({outcome.at for outcome in along}) > 1}


def _subtitle(report: Report) -> str:
    known = report.environment
    quick = "quick look, " if report.settings.get("quick") else ""
    return (
        f"{quick}{repetitions(report.outcomes)}; {known.get('processor')}, {known.get('cores')} cores, "
        f"{', '.join(known.get('filesystems', []))}"
    )


def _spreads(report: Report, outcome: Outcome, figure: Figure) -> Spreads:
    found = {number: outcome.spread(name, figure.key) for number, name in enumerate(report.contestants)}
    return {number: spread for number, spread in found.items() if spread is not None}


def _title(subject: str, figure: Figure) -> str:
    return f"{subject} ({'more' if figure.better is Better.MORE else 'less'} is better)"


def _figures(outcomes: Sequence[Outcome]) -> list[Figure]:
    """The figures that were measured, without what is to be reached, which differs between cases."""
    return list(dict.fromkeys(_untargeted(figure) for outcome in outcomes for figure in outcome.measured()))


def _untargeted(figure: Figure) -> Figure:
    return replace(figure, limit=None, times=None)


def _comparisons(report: Report, workload: str, outcomes: Sequence[Outcome]) -> Iterator[Comparison]:
    for figure in _figures(outcomes):
        with_it = [outcome for outcome in outcomes if figure in map(_untargeted, outcome.measured())]
        cases = [(outcome.title, _spreads(report, outcome, figure)) for outcome in with_it]
        if not figure.panel and _is_worth_a_picture(report, cases):
            subject = f"{cases[0][0]}: " if len(cases) == 1 else "" if report.kind == "peers" else f"{workload}: "
            yield Comparison(_title(subject + figure.label, figure), figure.unit, cases)


def _is_worth_a_picture(report: Report, cases: Sequence[tuple[str, Spreads]]) -> bool:
    """Not nothing but zeros and, of other tools, not what only one of them can do: these are in the table."""
    compared = min(2, len(report.contestants)) if report.kind == "peers" else 1
    contestants = {number for _, spreads in cases for number in spreads}
    return len(contestants) >= compared and any(each.low or each.high for _, found in cases for each in found.values())


def _profiles(report: Report, outcomes: Sequence[Outcome]) -> Iterator[Lines]:
    """A panel for the figures of a case that share one, such as the percentiles of a latency."""
    for outcome in outcomes:
        panels: dict[str, list[Figure]] = {}
        for figure in outcome.measured():
            if figure.panel:
                panels.setdefault(figure.panel, []).append(figure)
        for name, figures in panels.items():
            names = [figure.label for figure in figures]
            points = [_spreads(report, outcome, figure) for figure in figures]
            title = _title(f"{outcome.title}: {name}", figures[0])
            yield Lines(title, figures[0].unit, "", range(len(names)), points, names)


def _curves(report: Report, workload: str, outcomes: Sequence[Outcome]) -> Iterator[Lines]:
    along = sorted(outcomes, key=lambda outcome: outcome.at)
    places = [outcome.at for outcome in along]
    for figure in _figures(along):
        points = [_spreads(report, outcome, figure) for outcome in along]
        title = _title(f"{workload}: {figure.label}", figure)
        yield Lines(title, figure.unit, along[0].axis, places, points)
