from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import matplotlib.figure
import numpy as np
import plotly.graph_objects as go
import pytest

from aimstore.encoding.values import encode_value
from aimstore.errors import CorruptionError, UnsupportedError
from aimstore.objects import Figure, Image
from aimstore.objects.figure import codec


@pytest.fixture
def plotly_figure() -> go.Figure:
    return go.Figure(go.Scatter(x=np.arange(4), y=[1.5, 2.5, 0.5, 4.5]), layout={"title": "ü"})


@pytest.fixture
def matplotlib_figure() -> matplotlib.figure.Figure:
    figure = matplotlib.figure.Figure(figsize=(2, 1), dpi=50)
    figure.add_subplot().plot([1, 3, 2])
    return figure


def test_a_plotly_figure_is_one_again(plotly_figure: go.Figure) -> None:
    figure = codec.decode(codec.encode(Figure(plotly_figure, caption="c")))
    assert (figure.format, figure.caption) == ("plotly", "c")
    assert json.loads(figure.data) == json.loads(plotly_figure.to_json())
    assert figure.plotly() == plotly_figure
    assert figure.plotly() is not figure.plotly()
    assert figure == Figure(plotly_figure, caption="c")


def test_a_figure_is_stored_as_it_is_when_it_is_made(plotly_figure: go.Figure) -> None:
    figure = Figure(plotly_figure)
    plotly_figure.update_layout(title="changed")
    assert figure.plotly().layout.title.text == "ü"


def test_a_plotly_figure_is_saved_as_json_or_as_a_page(plotly_figure: go.Figure, tmp_path: Path) -> None:
    figure = Figure(plotly_figure)
    figure.save(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_bytes() == figure.data
    figure.save(str(tmp_path / "a.html"))
    assert "<html" in (tmp_path / "a.html").read_text(encoding="utf-8")[:100]


def test_a_matplotlib_figure_is_a_picture(matplotlib_figure: matplotlib.figure.Figure, tmp_path: Path) -> None:
    svg = Figure(matplotlib_figure)
    assert svg.format == "svg"
    assert b"<svg" in svg.data
    svg.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes() == svg.data
    png = Figure(matplotlib_figure, format="png")
    assert (Image(png.data).width, Image(png.data).height) == (100, 50)
    with pytest.raises(ValueError, match="made with Matplotlib and is a picture of format png"):
        png.plotly()


def test_other_sources_and_formats_are_refused(matplotlib_figure: matplotlib.figure.Figure) -> None:
    for source in (None, b"data", "plot.png", {"data": []}, matplotlib_figure.axes[0]):
        with pytest.raises(
            TypeError, match=r"a figure is one of Plotly or Matplotlib, not .* of axes give axes\.figure"
        ):
            Figure(source)
    for wrong in ("pdf", "plotly", None):
        with pytest.raises(ValueError, match="is one of svg, png"):
            Figure(matplotlib_figure, format=wrong)  # type: ignore[arg-type]


def test_without_plotly_it_is_read_but_not_made_a_figure(
    plotly_figure: go.Figure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = codec.encode(Figure(plotly_figure))
    for name in [name for name in sys.modules if name.partition(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    figure = codec.decode(data)
    figure.save(tmp_path / "a.json")
    for use in (figure.plotly, lambda: figure.save(tmp_path / "a.html")):
        with pytest.raises(UnsupportedError, match=r"pip install 'aimstore\[figures\]'"):
            use()


def test_how_it_is_shown(plotly_figure: go.Figure, matplotlib_figure: matplotlib.figure.Figure) -> None:
    figure, svg = Figure(plotly_figure, caption="hi"), Figure(matplotlib_figure)
    assert repr(figure) == f"<Figure plotly, {len(figure.data):,} bytes, 'hi'>"
    shown = f'<img src="data:image/svg+xml;base64,{b64encode(svg.data).decode()}">'
    assert svg._repr_mimebundle_() == {"text/html": shown}
    png = Figure(matplotlib_figure, format="png")
    assert png._repr_mimebundle_() == {"image/png": png.data}


SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'


def stored(**fields: Any) -> Figure:
    figure: Figure = codec.decode(encode_value({"format": "svg", "caption": "", "data": SCRIPT} | fields))
    return figure


def test_scripts_in_a_stored_svg_do_not_reach_the_notebook() -> None:
    bundle = stored()._repr_mimebundle_()
    assert list(bundle) == ["text/html"]
    assert bundle["text/html"].startswith('<img src="data:image/svg+xml;base64,')
    assert "script" not in bundle["text/html"]
    stored(data=b"\xff no text")._repr_mimebundle_()


@pytest.mark.parametrize(
    "change", [{"format": "html"}, {"format": "png"}, {"format": ""}, {"caption": 5}, {"data": "x"}]
)
def test_a_stored_field_that_no_figure_has_is_corruption(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptionError):
        stored(**change)


@pytest.mark.parametrize("data", [b"", b"{", b'{"data": [{"type": "nothing"}]}', b"\xff", b"[" * 100_000])
def test_what_is_no_figure_of_plotly_is_corruption(data: bytes) -> None:
    with pytest.raises(CorruptionError, match="a stored figure is none of Plotly"):
        stored(format="plotly", data=data).plotly()


def test_a_plotly_figure_cannot_leave_the_script_of_its_page(plotly_figure: go.Figure, tmp_path: Path) -> None:
    plotly_figure.update_layout(title="</script><script>alert(1)</script>")
    Figure(plotly_figure).save(tmp_path / "a.html")
    assert "<script>alert(1)" not in (tmp_path / "a.html").read_text(encoding="utf-8")
