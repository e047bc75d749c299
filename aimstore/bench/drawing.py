"""Where the parts of a chart go, in inches: panels in rows, texts folded to the room that they have, and the pictures of them.

Every place is worked out from the measured widths of the texts, so that nothing depends on what a layout engine makes of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Of the contestants, in their order; told apart by the colour-blind (Okabe and Ito, 2008)."""

MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X")
SIGNS: Final = ("●", "■", "◆", "▲", "▼", "✚", "✖")
"""The markers as characters."""

WIDTH: Final = 5.5
"""Of a panel, in inches, as all that follows."""

COLUMNS: Final = 2
LINE: Final = 0.17
"""Between two lines of text."""

SMALL: Final = 8.5
"""Points of the numbers beside bars and lines; other texts have `STYLE`'s."""

PAD: Final = 0.12
_FOOT: Final = 0.58
"""Below axes, for their numbers and unit."""

STYLE: Final[Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "svg.fonttype": "none",  # text stays text, which can be searched and is read aloud
    "text.parse_math": False,  # a "$" is a "$"
}


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: above it.
        height: of the axes.
        left, right: beside the axes, for their labels.
        draw: draws into the axes.
    """

    title: str
    height: float
    left: float
    right: float
    draw: Callable[[Axes], None]

    @property
    def head(self) -> list[str]:
        """The lines of the title."""
        return folded(self.title, WIDTH - 2 * PAD, STYLE["axes.titlesize"], bold=True)

    @property
    def whole(self) -> float:
        """Height with title and numbers."""
        return PAD + len(self.head) * LINE + 0.08 + self.height + _FOOT


def colour(number: int) -> str:
    """The colour of a contestant."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """The marker of a contestant; those of one colour differ in it."""
    return MARKERS[_shape(number)]


def sign(number: int) -> str:
    """The marker as a character."""
    return SIGNS[_shape(number)]


def _shape(number: int) -> int:
    return (number + number // len(COLOURS)) % len(MARKERS)


# Texts


@cache
def wide(text: str, points: float = STYLE["font.size"], *, bold: bool = False) -> float:
    """The width of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="sans-serif", size=points, weight="bold" if bold else "normal")
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def folded(text: str, width: float, points: float = STYLE["font.size"], *, bold: bool = False) -> list[str]:
    """Lines of a text, none wider than `width`; a word that is wider is broken."""
    lines = [""]
    for word in text.split():
        together = f"{lines[-1]} {word}".strip()
        if wide(together, points, bold=bold) <= width:
            lines[-1] = together
            continue
        lines.append("")
        for letter in word:
            if lines[-1] and wide(lines[-1] + letter, points, bold=bold) > width:
                lines.append("")
            lines[-1] += letter
    return lines if lines[0] else lines[1:] or [""]


# Pictures


def picture(title: str, subtitle: str, contestants: Sequence[str], panels: Sequence[Panel]) -> Drawing:
    """All panels in one picture, under a title and a legend."""
    import matplotlib as mpl
    from matplotlib.lines import Line2D

    columns = min(COLUMNS, len(panels))
    rows = [panels[i : i + columns] for i in range(0, len(panels), columns)]
    width = WIDTH * COLUMNS
    about = folded(subtitle, width - 2 * PAD, 9)
    widest = max(wide(name, 10) for name in contestants) + 0.75
    abreast = max(1, min(len(contestants), int((width - 2 * PAD) / widest)))
    head = 0.55 + len(about) * LINE + -(-len(contestants) // abreast) * 0.23 + 0.1
    with mpl.rc_context(STYLE):
        drawing = _blank(width, head + sum(max(panel.whole for panel in row) for row in rows))
        _write(drawing, PAD, PAD, title, 14, bold=True)
        _write(drawing, PAD, 0.5, "\n".join(about), 9, colour="#555555")
        handles = [
            Line2D([], [], color=colour(i), marker=marker(i), linewidth=2, label=name)
            for i, name in enumerate(contestants)
        ]
        place = (0.0, 1 - (0.5 + len(about) * LINE) / drawing.get_figheight())
        drawing.legend(
            handles=handles, loc="upper left", bbox_to_anchor=place, ncols=abreast, frameon=False, fontsize=10
        )
        top = head
        for row in rows:
            for number, panel in enumerate(row):
                _put(drawing, panel, number * WIDTH, top)
            top += max(panel.whole for panel in row)
    return drawing


def svgs(name: str, panels: Sequence[Panel]) -> Iterator[str]:
    """Each panel by itself, as an `<svg>` element.

    Args:
        name: unique in a page, else two pictures share identifiers.
    """
    import matplotlib as mpl

    for number, panel in enumerate(panels):
        buffer = io.StringIO()
        with mpl.rc_context({**STYLE, "svg.hashsalt": f"{name}-{number}", "svg.id": f"{name}-{number}"}):
            drawing = _blank(WIDTH, panel.whole)
            _put(drawing, panel, 0, 0)
            drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        text = buffer.getvalue()
        yield text[text.index("<svg") :]


def _blank(width: float, height: float) -> Drawing:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(width, height), facecolor="white")
    FigureCanvasAgg(drawing)
    return drawing


def _put(drawing: Drawing, panel: Panel, left: float, top: float) -> None:
    width, height = drawing.get_size_inches()
    _write(drawing, left + PAD, top + PAD, "\n".join(panel.head), STYLE["axes.titlesize"], bold=True)
    below = top + panel.whole - _FOOT
    size = ((WIDTH - panel.left - panel.right) / width, panel.height / height)
    panel.draw(drawing.add_axes(((left + panel.left) / width, 1 - below / height, *size)))


def _write(
    drawing: Drawing, left: float, top: float, text: str, points: float, *, bold: bool = False, colour: str = "#111111"
) -> None:
    width, height = drawing.get_size_inches()
    weight = "bold" if bold else "normal"
    drawing.text(left / width, 1 - top / height, text, fontsize=points, fontweight=weight, color=colour, va="top")
