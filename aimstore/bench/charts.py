"""The charts of a report, drawn by Matplotlib: figures side by side, curves, and the percentiles of latencies."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aimstore.bench import drawing, words
from aimstore.bench.drawing import LINE, PAD, SMALL, Panel, colour, folded, marker, wide
from aimstore.bench.report import Outcome, Report
from aimstore.bench.statistics import Spread
from aimstore.bench.workload import Better, Figure
from aimstore.errors import PluginError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

WIDE: Final = 15.0
"""The greatest value beside the least from which the axis of bars is logarithmic."""

STEEP: Final = 4.0
"""The same for curves, whose other axis is logarithmic always: what grows in proportion is then a straight line."""

LABEL: Final = 1.75
"""Inches that the names of cases have beside bars."""

BAR: Final = 0.23
"""Inches from one bar to the next."""

NAME: Final = 1.2
"""Inches that a contestant's name has beside a curve; the legend has all of it."""

CURVE: Final = 2.1
"""Inches of the height of axes with curves."""


@dataclass(frozen=True)
class Chart:
    """One picture, of panels that belong together.

    Attributes:
        workload: that it belongs to.
        name: of its file.
        title: what it shows.
        subtitle: how it was measured.
        contestants: whose colours are in it.
        panels: the parts.
    """

    workload: str
    name: str
    title: str
    subtitle: str
    contestants: Sequence[str]
    panels: Sequence[Panel]

    def draw(self) -> Drawing:
        """All of it in one picture."""
        return drawing.picture(self.title, self.subtitle, self.contestants, self.panels)

    def svgs(self) -> Iterator[str]:
        """Each panel as an `<svg>` element."""
        return drawing.svgs(self.name, self.panels)


def check_library() -> None:
    """Return if Matplotlib is there; raises `PluginError` with the command that installs it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise PluginError("charts need matplotlib, which is not installed: pip install 'aimstore[bench]'") from error


def charts(report: Report) -> Iterator[Chart]:
    """The charts of each workload: figures of its cases, latencies, and a chart for each axis."""
    for workload, outcomes in report.workloads().items():
        found = [outcome for outcome in outcomes if any(outcome.samples.values())]
        axes: dict[str, list[Outcome]] = {}
        for outcome in found:
            axes.setdefault(outcome.axis, []).append(outcome)
        curves = {axis: each for axis, each in axes.items() if axis and len({outcome.at for outcome in each}) > 1}
        single = [outcome for outcome in found if outcome.axis not in curves]
        title = "aimstore beside other tools" if report.kind == "peers" else workload
        parts = [
            (workload, title, list(_bars(report, single))),
            (f"{workload}-latency", f"{title}: latency", list(_latencies(report, single))),
        ]
        for number, (axis, each) in enumerate(curves.items(), 1):
            parts.append((f"{workload}-{number}", f"{workload}, by {axis}", list(_curves(report, each, axis))))
        for name, heading, panels in parts:
            if panels:
                yield Chart(workload, name, heading, _subtitle(report), report.contestants, _aligned(panels))


def write_pngs(report: Report, folder: Path) -> list[Path]:
    """Write every chart into a folder as `<name>.png`; the paths."""
    paths = []
    for chart in charts(report):
        path = folder / f"{chart.name}.png"
        picture = io.BytesIO()
        chart.draw().savefig(picture, format="png", dpi=150, metadata={"Software": None})
        try:
            path.write_bytes(picture.getvalue())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        paths.append(path)
    return paths


def _aligned(panels: Sequence[Panel]) -> list[Panel]:
    left, right = max(panel.left for panel in panels), max(panel.right for panel in panels)
    return [replace(panel, left=left, right=right) for panel in panels]


def _subtitle(report: Report) -> str:
    known = report.environment
    quick = "quick look, " if report.settings.get("quick") else ""
    return (
        f"{quick}{words.repetitions(report)}; {known.get('processor')}, {known.get('cores')} cores, "
        f"{', '.join(known.get('filesystems', []))}"
    )


def _title(figure: Figure) -> str:
    return f"{figure.label} ({'more' if figure.better is Better.MORE else 'less'} is better)"


def _bare(figure: Figure) -> Figure:
    """A figure without what it is to reach, which differs between cases."""
    return replace(figure, limit=None, times=None)


# Figures side by side


@dataclass(frozen=True)
class _Bar:
    """Of one contestant, by number; `at` in inches below the upper end of the axes."""

    at: float
    number: int
    spread: Spread

    @property
    def text(self) -> str:
        return words.number(self.spread.median)


def _bars(report: Report, outcomes: Sequence[Outcome]) -> Iterator[Panel]:
    figures = dict.fromkeys(
        _bare(figure) for outcome in outcomes for figure in outcome.measured() if not figure.panel.startswith("latency")
    )
    for figure in figures:
        shown = [outcome for outcome in outcomes if figure in map(_bare, outcome.measured())]
        named = {name for outcome in shown for name in outcome.samples if outcome.values(name, figure.key)}
        if not any(any(outcome.values(name, figure.key)) for outcome in shown for name in named):
            continue  # nothing but zeros is no picture
        if report.kind == "peers" and len(named) < min(2, len(report.contestants)):
            continue  # what only one of the tools can do is in the table
        bars: list[_Bar] = []
        labels: list[tuple[float, str]] = []
        place = 0.08
        for outcome in shown:
            found = [
                (i, each) for i, name in enumerate(report.contestants) if (each := outcome.spread(name, figure.key))
            ]
            lines = folded(outcome.title, LABEL)
            room = max(len(found) * BAR, len(lines) * LINE)
            first = place + (room - len(found) * BAR) / 2 + BAR / 2
            bars += [_Bar(first + i * BAR, number, each) for i, (number, each) in enumerate(found)]
            labels.append((place + room / 2, "\n".join(lines)))
            place += room + 0.12
        left = max(wide(line) for _, label in labels for line in label.splitlines()) + PAD + 0.1
        yield Panel(_title(figure), place, left, 0.15, partial(_draw_bars, figure=figure, bars=bars, labels=labels))


def _draw_bars(axes: Axes, figure: Figure, bars: Sequence[_Bar], labels: Sequence[tuple[float, str]]) -> None:
    low, high = axes.get_position().ymin, axes.get_position().ymax
    picture = axes.get_figure(root=True)
    assert picture is not None
    axes.set_ylim((high - low) * picture.get_figheight(), 0)
    above = [bar.spread.median for bar in bars if bar.spread.median > 0]
    logarithmic = bool(above) and max(above) / min(above) > WIDE
    for bar in bars:
        found = bar.spread
        if logarithmic and found.median > 0:  # a bar has no beginning there
            axes.plot(
                [found.median], [bar.at], marker(bar.number), color=colour(bar.number), markersize=7, clip_on=False
            )
        elif not logarithmic:
            axes.barh(bar.at, found.median, color=colour(bar.number), height=BAR * 0.82)
        if found.high > found.low and (found.low > 0 or not logarithmic):
            shade = colour(bar.number) if logarithmic else "#222222"
            axes.plot([found.low, found.high], [bar.at, bar.at], color=shade, linewidth=1.4)
    _number_room(axes, bars, logarithmic=logarithmic)
    for bar in bars:
        _name_bar(axes, bar, logarithmic=logarithmic)
    axes.set_yticks([at for at, _ in labels], [label for _, label in labels], linespacing=1.15)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(figure.unit)
    _plain_numbers(axes.xaxis, logarithmic)


def _number_room(axes: Axes, bars: Sequence[_Bar], *, logarithmic: bool) -> None:
    """Let the axis end where the longest number fits behind the longest bar."""
    picture = axes.get_figure(root=True)
    assert picture is not None
    width = axes.get_position().width * picture.get_figwidth()
    share = width / (width - max(wide(bar.text, SMALL) for bar in bars) - 0.15)
    high = max(max(bar.spread.median, bar.spread.high) for bar in bars)
    if logarithmic:
        low = min(each for bar in bars for each in (bar.spread.low, bar.spread.median) if each > 0) / 1.8
        axes.set_xscale("log")
        axes.set_xlim(low, low * math.exp(math.log(high / low) * share))
    else:
        low = min(0.0, *(bar.spread.low for bar in bars))
        axes.set_xlim(low, low + ((high - low) or 1.0) * share)


def _name_bar(axes: Axes, bar: _Bar, *, logarithmic: bool) -> None:
    end = max(bar.spread.median, bar.spread.high)
    if logarithmic and end <= 0:  # which is nowhere on such an axis
        end = axes.get_xlim()[0]
    axes.annotate(
        bar.text,
        (end, bar.at),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        color="#333333",
        annotation_clip=False,
    )


# Latencies


def _latencies(report: Report, outcomes: Sequence[Outcome]) -> Iterator[Panel]:
    for outcome in outcomes:
        figures = [figure for figure in outcome.measured() if figure.panel.startswith("latency")]
        if figures:
            lines = _lines(report, [(at, outcome, figure) for at, figure in enumerate(figures)])
            title = f"{outcome.title} (less is better)"
            yield _line_panel(title, lines, partial(_draw_latency, lines=lines, figures=figures))


def _draw_latency(axes: Axes, lines: Sequence[_Line], figures: Sequence[Figure]) -> None:
    axes.set_xlim(-0.3, len(figures) - 0.7)
    _draw_lines(axes, lines, 1.0)
    axes.set_xticks(range(len(figures)), [figure.label for figure in figures])
    axes.set_ylabel(figures[0].unit)


# Curves


@dataclass(frozen=True)
class _Line:
    """Of one contestant."""

    number: int
    name: str
    points: Sequence[tuple[float, Spread]]

    @property
    def text(self) -> str:
        name = self.name if wide(self.name, SMALL) <= NAME else f"{folded(self.name, NAME, SMALL)[0]}…"
        return f"{name} {words.number(self.points[-1][1].median)}"


def _lines(report: Report, places: Sequence[tuple[float, Outcome, Figure]]) -> list[_Line]:
    found = [
        _Line(
            number, name, [(at, each) for at, outcome, figure in places if (each := outcome.spread(name, figure.key))]
        )
        for number, name in enumerate(report.contestants)
    ]
    return [line for line in found if line.points]


def _line_panel(title: str, lines: Sequence[_Line], draw: Callable[[Axes], None]) -> Panel:
    return Panel(title, CURVE, 0.85, max(wide(line.text, SMALL) for line in lines) + 0.2, draw)


def _curves(report: Report, outcomes: Sequence[Outcome], axis: str) -> Iterator[Panel]:
    outcomes = sorted(outcomes, key=lambda outcome: outcome.at)
    places = [outcome.at for outcome in outcomes]
    for figure in dict.fromkeys(_bare(figure) for outcome in outcomes for figure in outcome.measured()):
        lines = _lines(report, [(outcome.at, outcome, figure) for outcome in outcomes])
        draw = partial(_draw_curve, lines=lines, figure=figure, axis=axis, places=places)
        yield _line_panel(_title(figure), lines, draw)


def _draw_curve(axes: Axes, lines: Sequence[_Line], figure: Figure, axis: str, places: Sequence[float]) -> None:
    if places[0] > 0:
        axes.set_xscale("log")
        axes.set_xlim(places[0] / 1.3, places[-1] * 1.3)
    _plain_numbers(axes.xaxis, places[0] > 0)
    _draw_lines(axes, lines, STEEP)
    axes.set_ylabel(figure.unit)
    axes.set_xlabel(axis)


def _draw_lines(axes: Axes, lines: Sequence[_Line], steep: float) -> None:
    for line in lines:
        places, found = [at for at, _ in line.points], [each for _, each in line.points]
        shade = colour(line.number)
        axes.plot(
            places,
            [each.median for each in found],
            color=shade,
            marker=marker(line.number),
            markersize=5,
            linewidth=1.8,
        )
        axes.fill_between(
            places, [each.low for each in found], [each.high for each in found], color=shade, alpha=0.15, lw=0
        )
    values = [each.median for line in lines for _, each in line.points]
    logarithmic = min(values) > 0 and max(values) / min(values) > steep
    ends = [end for line in lines for _, each in line.points for end in (each.low, each.median, each.high)]
    if logarithmic:
        low, high = math.log10(min(end for end in ends if end > 0)), math.log10(max(ends))
        axes.set_yscale("log")
        axes.set_ylim(10 ** (low - (high - low) * 0.06), 10 ** (high + (high - low) * 0.06))
    else:
        axes.set_ylim(min(0.0, *ends), max(0.0, *ends) * 1.15 or 1.0)
    _plain_numbers(axes.yaxis, logarithmic)
    _label_ends(axes, lines)


def _label_ends(axes: Axes, lines: Sequence[_Line]) -> None:
    """Name each line at its end, or as near to it as leaves the others readable."""
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = sorted(
        (float(to_axes.transform((line.points[-1][0], line.points[-1][1].median))[1]), line.number, line.text)
        for line in lines
    )
    apart = min(0.075, 1 / len(ends))  # of the height of the axes
    places = [0.0] * len(ends)
    for i, (height, _, _) in enumerate(ends):
        places[i] = max(height, places[i - 1] + apart if i else 0.0)
    for i in reversed(range(len(ends))):
        places[i] = min(places[i], places[i + 1] - apart if i + 1 < len(ends) else 1.0)
    for place, (_, number, text) in zip(places, ends, strict=True):
        axes.annotate(
            text,
            (1.0, place),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=colour(number),
            annotation_clip=False,
        )


def _plain_numbers(axis: Any, logarithmic: bool) -> None:
    """Ticks as people write numbers, so few that they can be read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    if not logarithmic:
        axis.set_major_locator(MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)))
        return
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    axis.set_major_locator(
        LogLocator(subs=(1, 2, 5) if decades < 1.2 else (1, 3) if decades < 2.2 else (1,), numticks=6)
    )
    axis.set_minor_formatter(NullFormatter())


def _tick(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
