"""Charts drawn by Matplotlib, whose constrained layout gives every text its room: SVG for the page, PNG for files."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from aimstore.bench.charts import Chart, Comparison, Lines, Panel, charts, is_single
from aimstore.bench.formatting import format_number
from aimstore.bench.outcomes import Report
from aimstore.bench.statistics import Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase, SubFigure

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Of the contestants, in their order; told apart by the colour-blind (Okabe and Ito, 2008)."""

MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X")
MARKER_SIGNS: Final = ("●", "■", "◆", "▲", "▼", "✚", "✖")
"""The markers as characters."""

LOGARITHMIC_FROM: Final = 10.0
"""Ratio of the greatest value to the least from which an axis is logarithmic."""

PANEL_INCHES: Final = 5.5
PANELS_ABREAST: Final = 2
ROW_INCHES: Final = 0.23
LINES_INCHES: Final = 2.9
CASE_LETTERS: Final = 28
"""Letters in a line of a case's title, beside its rows."""

TITLE_LETTERS: Final = 62
SUBTITLE_LETTERS: Final = 150
LEGEND_LETTERS: Final = 130
DPI: Final = 110
PNG_COLOURS: Final = 200

STYLE: Final[Any] = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.markersize": 6,
    "svg.fonttype": "none",  # text stays text, which can be searched and is read aloud
    "text.parse_math": False,  # a "$" is a "$"
}


def colour(contestant: int) -> str:
    """The colour of a contestant, by its number."""
    return COLOURS[contestant % len(COLOURS)]


def marker_index(contestant: int) -> int:
    """Which of `MARKERS` a contestant has; those of one colour differ in it."""
    return (contestant + contestant // len(COLOURS)) % len(MARKERS)


def svgs(chart: Chart) -> Iterator[str]:
    """Each panel of a chart as an `<svg>` element."""
    import matplotlib as mpl

    for number, panel in enumerate(chart.panels):
        text = io.StringIO()
        with mpl.rc_context({**STYLE, "svg.hashsalt": f"{chart.name}-{number}"}):  # no two share identifiers
            figure = _figure(PANEL_INCHES, _height(panel))
            _draw_panel(figure, panel)
            figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        yield text.getvalue()[text.getvalue().index("<svg") :]


def write_pngs(report: Report, folder: Path) -> list[Path]:
    """Write every chart into a folder as `<name>.png`; the paths."""
    from PIL import Image

    paths = []
    for chart in charts(report):
        picture = io.BytesIO()
        draw_chart(chart).savefig(picture, format="png", dpi=DPI)
        path = folder / f"{chart.name}.png"
        try:
            with Image.open(picture) as image:
                image.convert("RGB").quantize(PNG_COLOURS).save(path, optimize=True)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        paths.append(path)
    return paths


def draw_chart(chart: Chart) -> Figure:
    """All panels of a chart in one picture, under its title and a legend."""
    import matplotlib as mpl

    columns = [chart.panels[i::PANELS_ABREAST] for i in range(min(PANELS_ABREAST, len(chart.panels)))]
    heights = [[_height(panel) for panel in column] for column in columns]
    subtitle = textwrap.fill("; ".join(filter(None, (chart.subtitle, chart.note))), SUBTITLE_LETTERS)
    legend_columns = max(1, min(len(chart.contestants), LEGEND_LETTERS // (max(map(len, chart.contestants)) + 6)))
    head_height = 0.75 + 0.15 * subtitle.count("\n") + 0.23 * math.ceil(len(chart.contestants) / legend_columns)
    body_height = max(map(sum, heights))
    with mpl.rc_context(STYLE):
        figure = _figure(PANEL_INCHES * PANELS_ABREAST, head_height + body_height)
        head, body = _split(figure, nrows=2, ncols=1, height_ratios=(head_height, body_height))
        head.text(0.01, 0.95, chart.title, fontsize=14, fontweight="bold", va="top")
        head.text(0.01, 1 - 0.4 / head_height, subtitle, fontsize=9, color="#555555", va="top")
        _draw_legend(head, chart.contestants, legend_columns)
        for part, panels, tall in zip(_split(body, nrows=1, ncols=PANELS_ABREAST), columns, heights, strict=False):
            ratios = (*tall, body_height - sum(tall) + 0.01)  # nothing is drawn into the last part
            for place, panel in zip(
                _split(part, nrows=len(ratios), ncols=1, height_ratios=ratios), panels, strict=False
            ):
                _draw_panel(place, panel)
    return figure


def _split(figure: FigureBase, **grid: Any) -> list[SubFigure]:
    """The parts of a figure, row by row."""
    places = figure.add_gridspec(**grid)
    return [figure.add_subfigure(places[i]) for i in range(places.nrows * places.ncols)]


def _draw_legend(figure: FigureBase, contestants: Sequence[str], columns: int) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour(i), marker=MARKERS[marker_index(i)], linewidth=2, label=name)
        for i, name in enumerate(contestants)
    ]
    figure.legend(handles=handles, loc="lower left", ncols=columns, frameon=False, fontsize=10)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _height(panel: Panel) -> float:
    title = 0.17 * math.ceil(len(panel.title) / TITLE_LETTERS)
    if isinstance(panel, Lines):
        return LINES_INCHES + title
    return ROW_INCHES * sum(_rows(title, len(spreads)) for title, spreads in panel.cases) + 0.8 + title


def _rows(title: str, contestants: int) -> float:
    """Rows of one case: one for each contestant, or as many as the lines of the title need, and a gap."""
    return max(contestants, 0.75 * len(textwrap.wrap(title, CASE_LETTERS))) + 0.6


def _draw_panel(figure: FigureBase, panel: Panel) -> None:
    title = textwrap.fill(panel.title, TITLE_LETTERS)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, fontweight="bold")
    axes = figure.subplots()
    if isinstance(panel, Comparison):
        _draw_comparison(axes, panel)
    else:
        _draw_lines(axes, panel)


def _draw_comparison(axes: Axes, panel: Comparison) -> None:
    top = 0.0
    middles, labels = [], []
    for title, spreads in panel.cases:
        rows = _rows(title, len(spreads))
        middles.append(top + rows / 2)
        labels.append(textwrap.fill(title, CASE_LETTERS))
        for row, (contestant, spread) in enumerate(spreads.items()):
            at = middles[-1] + row - (len(spreads) - 1) / 2
            _draw_point(axes, at, contestant, spread)
        top += rows
    axes.set_ylim(top, 0)
    axes.set_yticks(middles, labels)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(panel.unit)
    _scale(axes, "x", [spread for _, spreads in panel.cases for spread in spreads.values()])


def _draw_point(axes: Axes, at: float, contestant: int, spread: Spread) -> None:
    """Marker, quartiles and number of one contestant."""
    quartiles = [[spread.median - spread.low], [spread.high - spread.median]]
    marker = MARKERS[marker_index(contestant)]
    axes.errorbar([spread.median], [at], xerr=quartiles, fmt=marker, color=colour(contestant), clip_on=False)
    axes.annotate(
        format_number(spread.median),
        (spread.high, at),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize="small",
        annotation_clip=False,
    )


def _draw_lines(axes: Axes, panel: Lines) -> None:
    for contestant in panel.contestants():
        points = panel.of(contestant)
        at = [place for place, _ in points]
        style: Any = {
            "marker": MARKERS[marker_index(contestant)],
            "linestyle": "none" if is_single(points) else "solid",
        }
        axes.plot(at, [spread.median for _, spread in points], color=colour(contestant), linewidth=1.8, **style)
        low, high = [spread.low for _, spread in points], [spread.high for _, spread in points]
        axes.fill_between(at, low, high, color=colour(contestant), alpha=0.15, linewidth=0)
    axes.set_ylabel(panel.unit)
    axes.set_xlabel(panel.axis)
    spreads = [spread for found in panel.points for spread in found.values()]
    _scale(axes, "y", spreads)
    if panel.names:
        axes.set_xticks(panel.places, panel.names)
    else:
        _scale(axes, "x", [Spread.of([place]) for place in panel.places])


def _scale(axes: Axes, which: Literal["x", "y"], spreads: Sequence[Spread]) -> None:
    """Let an axis begin at zero, or be logarithmic where the values span much; its numbers are those of the tables."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    low, high = min(spread.low for spread in spreads), max(spread.high for spread in spreads)
    if low > 0 and high / low >= LOGARITHMIC_FROM:
        decades = math.log10(high / low)
        axes.set(**{f"{which}scale": "log"})
        steps = (1.0, 2.0, 5.0) if decades < 1.2 else (1.0, 3.0) if decades < 2.2 else (1.0,)
        axis.set_major_locator(LogLocator(subs=steps, numticks=6))
        axis.set_minor_formatter(NullFormatter())
    else:
        low, high = min(0.0, low), max(0.0, high)
        axes.set(**{f"{which}lim": (low, low + ((high - low) or 1.0) * 1.1)})
        axis.set_major_locator(MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: format_number(value)))
