"""The charts of a report, drawn by Matplotlib: figures side by side, curves, and the percentiles of latencies."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aimstore.bench import words
from aimstore.bench.report import Outcome, Report
from aimstore.bench.workload import Better, Figure
from aimstore.errors import PluginError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Of the contestants, in their order; told apart by the colour-blind (Okabe and Ito, 2008)."""

MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X")
COLUMNS: Final = 2
WIDTH: Final = 11.0
"""Inches."""

WIDE: Final = 15.0
"""The greatest value beside the least from which the axis of bars is logarithmic."""

STEEP: Final = 4.0
"""The same for curves, whose other axis is logarithmic always: what grows in proportion is then a straight line."""

STYLE: Final[Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Chart:
    """One picture.

    Attributes:
        workload: that it belongs to.
        name: of its file.
        title: what it shows.
        draw: draws it.
    """

    workload: str
    name: str
    title: str
    draw: Callable[[], Drawing]


@dataclass(frozen=True)
class _Panel:
    """One pair of axes; `height` in inches."""

    title: str
    height: float
    draw: Callable[[Axes], None]
    bars: bool = False


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
        single = [outcome for outcome in found if not outcome.axis]
        title = "aimstore beside other tools" if report.kind == "peers" else workload
        parts = (
            ("", title, list(_bars(report, single))),
            ("-latency", f"{title}: latency", list(_latencies(report, single))),
        )
        for suffix, heading, panels in parts:
            if panels:
                yield _chart(report, workload, workload + suffix, heading, panels)
        for number, axis in enumerate(dict.fromkeys(outcome.axis for outcome in found if outcome.axis), 1):
            panels = list(_curves(report, [outcome for outcome in found if outcome.axis == axis], axis))
            yield _chart(report, workload, f"{workload}-{number}", f"{workload}, by {axis}", panels)


def write_pngs(report: Report, folder: Path) -> list[Path]:
    """Write every chart into a folder as `<name>.png`; the paths."""
    paths = []
    for chart in charts(report):
        path = folder / f"{chart.name}.png"
        chart.draw().savefig(path, dpi=150, metadata={"Software": None})
        paths.append(path)
    return paths


def as_svg(chart: Chart) -> str:
    """A chart as an `<svg>` element."""
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": chart.name}):  # else two pictures of one page share identifiers
        chart.draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _chart(report: Report, workload: str, name: str, title: str, panels: Sequence[_Panel]) -> Chart:
    return Chart(workload, name, title, lambda: _drawing(report, title, panels))


def _drawing(report: Report, title: str, panels: Sequence[_Panel]) -> Drawing:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing
    from matplotlib.lines import Line2D

    columns = min(COLUMNS, len(panels))
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    heights = [max(panel.height for panel in row) for row in rows]
    with mpl.rc_context(STYLE):
        drawing = Drawing(figsize=(WIDTH, sum(heights) + 0.9), layout="constrained", facecolor="white")
        drawing.get_layout_engine().set(w_pad=0.14, h_pad=0.1, hspace=0.04, wspace=0.02)  # type: ignore[union-attr,call-arg]
        FigureCanvasAgg(drawing)
        head, body = drawing.subfigures(2, 1, squeeze=False, height_ratios=[0.8, sum(heights)]).flat
        head.text(0.012, 0.72, title, fontsize=14, fontweight="bold", va="center")
        head.text(0.012, 0.24, _subtitle(report), fontsize=9, color="#555555", va="center")
        handles = [
            Line2D([], [], color=COLOURS[i % 7], marker=MARKERS[i % 7], linewidth=2, label=name)
            for i, name in enumerate(report.contestants)
        ]
        head.legend(handles=handles, loc="center right", ncols=len(handles), frameon=False, fontsize=10)
        grid = body.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for number, (panel, axes) in enumerate(zip(panels, grid.flat, strict=False)):
            axes.set_title(panel.title)
            panel.draw(axes)
            if panel.bars:  # as thick as those beside them
                low, high = axes.get_ylim()
                axes.set_ylim(high + (low - high) * heights[number // columns] / panel.height, high)
    return drawing


def _subtitle(report: Report) -> str:
    repeat = report.settings.get("repeat", 1)
    known = report.environment
    times = "one repetition" if repeat == 1 else f"medians of {repeat} repetitions, with quartiles"
    quick = "quick look, " if report.settings.get("quick") else ""
    return f"{quick}{times}; {known.get('processor')}, {known.get('cores')} cores, {', '.join(known.get('filesystems', []))}"


def _title(figure: Figure) -> str:
    return f"{figure.label} ({'more' if figure.better is Better.MORE else 'less'} is better)"


def _bare(figure: Figure) -> Figure:
    """A figure without what it is to reach, which differs between cases."""
    return replace(figure, limit=None, times=None)


# Figures side by side


def _bars(report: Report, outcomes: Sequence[Outcome]) -> Iterator[_Panel]:
    figures = dict.fromkeys(
        _bare(figure) for outcome in outcomes for figure in outcome.measured() if not figure.panel.startswith("latency")
    )
    for figure in figures:
        shown = [outcome for outcome in outcomes if figure in map(_bare, outcome.measured())]
        named = [name for outcome in shown for name in outcome.samples if any(outcome.values(name, figure.key))]
        bars = sum(bool(outcome.values(name, figure.key)) for outcome in shown for name in report.contestants)
        alone = report.kind == "peers" and len(set(named)) < min(2, len(report.contestants))
        if named and not alone:  # what only one of the tools can do is in the table
            yield _Panel(
                _title(figure),
                0.75 + 0.23 * bars + 0.12 * len(shown),
                lambda axes, figure=figure, shown=shown: _draw_bars(axes, report, figure, shown),  # type: ignore[misc]
                bars=True,
            )


def _draw_bars(axes: Axes, report: Report, figure: Figure, outcomes: Sequence[Outcome]) -> None:
    place, ticks, labels = 0.0, [], []
    drawn: list[tuple[float, int, Any]] = []
    for outcome in outcomes:
        begin = place
        for number, name in enumerate(report.contestants):
            found = outcome.spread(name, figure.key)
            if found is not None:
                drawn.append((place, number, found))
                place += 1
        ticks.append((begin + place - 1) / 2)
        labels.append(_folded(outcome.title))
        place += 0.6
    values = [found.median for _, _, found in drawn if found.median > 0]
    logarithmic = bool(values) and max(values) / min(values) > WIDE
    for at, number, found in drawn:
        colour = COLOURS[number % 7]
        if logarithmic:  # a bar has no beginning there
            axes.plot([found.median], [at], MARKERS[number % 7], color=colour, markersize=7, clip_on=False)
        else:
            axes.barh(at, found.median, color=colour, height=0.82)
        if found.high > found.low:
            axes.plot([found.low, found.high], [at, at], color="#222222" if not logarithmic else colour, linewidth=1.4)
        axes.annotate(
            words.number(found.median),
            (max(found.median, found.high), at),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color="#333333",
            clip_on=False,
        )
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 1.8, max(values) * 6)
    else:
        axes.set_xlim(0, max(found.high for _, _, found in drawn) * 1.22)
    axes.set_yticks(ticks, labels)
    axes.set_ylim(place - 0.4, -0.8)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(figure.unit)
    _plain_numbers(axes.xaxis, logarithmic)


def _folded(text: str, width: int = 26) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


# Latencies


def _latencies(report: Report, outcomes: Sequence[Outcome]) -> Iterator[_Panel]:
    for outcome in outcomes:
        figures = [figure for figure in outcome.measured() if figure.panel.startswith("latency")]
        if figures:
            yield _Panel(
                f"{outcome.title} (less is better)",
                2.9,
                lambda axes, outcome=outcome, figures=figures: _draw_latency(axes, report, outcome, figures),  # type: ignore[misc]
            )


def _draw_latency(axes: Axes, report: Report, outcome: Outcome, figures: Sequence[Figure]) -> None:
    ends = []
    for number, name in enumerate(report.contestants):
        found = [(at, spread) for at, figure in enumerate(figures) if (spread := outcome.spread(name, figure.key))]
        if found:
            _line(axes, number, [at for at, _ in found], [spread for _, spread in found])
            ends.append((found[-1][1].median, number, f"{name} {words.number(found[-1][1].median)}"))
    axes.set_xticks(range(len(figures)), [figure.label for figure in figures])
    axes.set_yscale("log")
    axes.set_ylabel(figures[0].unit)
    axes.set_xlim(-0.3, len(figures) - 0.2)
    _plain_numbers(axes.yaxis, logarithmic=True)
    _label_ends(axes, ends, len(figures) - 1)


# Curves


def _curves(report: Report, outcomes: Sequence[Outcome], axis: str) -> Iterator[_Panel]:
    for figure in dict.fromkeys(figure for outcome in outcomes for figure in outcome.measured()):
        yield _Panel(
            _title(figure),
            2.9,
            lambda axes, figure=figure: _draw_curve(axes, report, outcomes, figure, axis),  # type: ignore[misc]
        )


def _draw_curve(axes: Axes, report: Report, outcomes: Sequence[Outcome], figure: Figure, axis: str) -> None:
    ends, values = [], []
    for number, name in enumerate(report.contestants):
        found = [(outcome.at, spread) for outcome in outcomes if (spread := outcome.spread(name, figure.key))]
        if found:
            _line(axes, number, [at for at, _ in found], [spread for _, spread in found])
            ends.append((found[-1][1].median, number, f"{name} {words.number(found[-1][1].median)}"))
            values += [spread.median for _, spread in found]
    places = sorted({outcome.at for outcome in outcomes})
    axes.set_xscale("log")
    axes.set_xlim(places[0] / 1.3, places[-1] * (places[-1] / places[0]) ** 0.02 * 1.3)
    _plain_numbers(axes.xaxis, logarithmic=True)
    logarithmic = min(values) > 0 and max(values) / min(values) > STEEP
    if logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(min(0.0, *values), (max(values) or 1.0) * 1.15)
    axes.set_ylabel(figure.unit)
    axes.set_xlabel(axis)
    _plain_numbers(axes.yaxis, logarithmic)
    _label_ends(axes, ends, places[-1])


def _line(axes: Axes, number: int, places: Sequence[float], spreads: Sequence[Any]) -> None:
    colour, marker = COLOURS[number % 7], MARKERS[number % 7]
    axes.plot(places, [each.median for each in spreads], color=colour, marker=marker, markersize=5, linewidth=1.8)
    axes.fill_between(
        places, [each.low for each in spreads], [each.high for each in spreads], color=colour, alpha=0.15, lw=0
    )


def _label_ends(axes: Axes, ends: Sequence[tuple[float, int, str]], at: float) -> None:
    """Name each line at its end, far enough from one another to be read."""
    least = 0.075  # of the height of the axes
    placed = -1.0
    for value, number, text in sorted(ends):
        height = axes.transAxes.inverted().transform(axes.transData.transform((at, value)))[1]
        placed = max(float(height), placed + least)
        axes.annotate(
            text,
            (1.0, placed),
            xycoords="axes fraction",
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=COLOURS[number % 7],
            annotation_clip=False,
        )


def _plain_numbers(axis: Any, logarithmic: bool) -> None:
    """Ticks as people write numbers, and no labels between powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    if logarithmic:
        axis.set_major_locator(LogLocator(numticks=9))
        axis.set_minor_formatter(NullFormatter())


def _tick(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
