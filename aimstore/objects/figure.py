"""`Figure`: a Plotly chart, or a Matplotlib chart as a picture."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from aimstore.errors import CorruptionError, UnsupportedError
from aimstore.objects.stored import FieldsCodec, StoredObject, checked_text, described

PLOTLY: Final = "plotly"
PICTURES: Final = ("svg", "png")
"""Formats for storing a Matplotlib figure."""


@dataclass(frozen=True, init=False, repr=False)
class Figure(StoredObject):
    """A chart.

        Figure(plotly_figure)                        # stored as JSON; a Plotly figure again when read
        Figure(matplotlib_figure, format="png")      # stored as a picture

    Attributes:
        format: "plotly", "svg" or "png".
        caption: "" if there is none.
        data: Plotly's JSON, in UTF-8, or the bytes of the picture.
    """

    format: str
    caption: str
    data: bytes

    def __init__(self, source: Any, *, caption: str = "", format: str = "svg") -> None:  # noqa: A002  # as in Image
        """
        Args:
            source: a Plotly or Matplotlib figure; its current state is stored.
            caption: a text that belongs to the figure.
            format: the stored format of a Matplotlib figure: "svg", or "png", which is smaller if there are many
                points.

        Raises:
            TypeError: `source` or `caption` has another type.
            ValueError: the format is unknown.
        """
        caption = checked_text(caption, "the caption of a figure")
        if format not in PICTURES:
            raise ValueError(f"the format of a Matplotlib figure is one of {', '.join(PICTURES)}, not {format!r:.60}")
        if _is_a(source, "plotly.basedatatypes", "BaseFigure"):
            name, data = PLOTLY, source.to_json().encode()
        elif _is_a(source, "matplotlib.figure", "Figure"):
            buffer = BytesIO()
            source.savefig(buffer, format=format)
            name, data = format, buffer.getvalue()
        else:
            raise TypeError(
                f"a figure is one of Plotly or Matplotlib, not {source!r:.60} ({type(source).__name__}); "
                "of axes give axes.figure, of pyplot plt.gcf(), of a picture an Image"
            )
        self._set(format=name, caption=caption, data=data)

    def _check(self) -> None:
        if self.format not in (PLOTLY, *PICTURES):
            raise ValueError(f"no figure of format {self.format!r:.40}")
        if self.format == "png" and not self.data.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError(f"no PNG: {self.data[:12]!r}")

    def plotly(self) -> Any:
        """The `plotly.graph_objects.Figure`, a new figure at each call.

        Raises:
            ValueError: the figure is a picture of a Matplotlib figure.
            CorruptionError: the stored data is not a Plotly figure.
            UnsupportedError: Plotly is not installed.
        """
        if self.format != PLOTLY:
            raise ValueError(
                f"this figure was made with Matplotlib and is a picture of format {self.format}; save() writes it"
            )
        try:
            import plotly.io
        except ImportError as error:
            raise UnsupportedError("plotly() needs Plotly: pip install 'aimstore[figures]'") from error
        try:
            return plotly.io.from_json(self.data.decode())
        except Exception as error:  # any error of Plotly about a property that it does not know
            raise CorruptionError(f"a stored figure is none of Plotly: {error!s:.500}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figure to a file. A picture is written unchanged. A Plotly figure is written as JSON, or as a
        standalone page if the name ends in ".html", which requires Plotly (`UnsupportedError`). An SVG from an
        untrusted source may contain scripts, which a browser runs when it opens the file."""
        if self.format == PLOTLY and Path(path).suffix.lower() in (".html", ".htm"):
            self.plotly().write_html(path)
        else:
            Path(path).write_bytes(self.data)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Show the figure in a notebook. An SVG is shown as an image, which runs no scripts and loads nothing."""
        if self.format == PLOTLY:
            bundle: dict[str, Any] = self.plotly()._repr_mimebundle_(include, exclude)
            return bundle
        if self.format == "png":
            return {"image/png": self.data}
        return {"text/html": f'<img src="data:image/svg+xml;base64,{b64encode(self.data).decode("ascii")}">'}

    def __repr__(self) -> str:
        return described("Figure", self.format, self.data, self.caption)


codec = FieldsCodec(Figure, format=str, caption=str, data=bytes)


def _is_a(value: object, module: str, name: str) -> bool:
    """Whether `value` is of a class of an optional library, which a program with such an object has imported."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(value, getattr(loaded, name))
