"""Charts and the page that holds them, of reports made up."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from aimstore.bench.charts import COLOURS, as_svg, charts, write_pngs
from aimstore.bench.html import page
from aimstore.bench.report import Outcome, Report
from aimstore.bench.workload import Figure

Make = Callable[..., Report]
LATENCY = tuple(Figure(key, key, "µs", panel="latency of a call") for key in ("p50", "p99", "max"))


def curve(figure: Figure, *points: tuple[float, float]) -> list[Outcome]:
    return [
        Outcome("scale", f"runs={at}", f"{at} runs", (figure,), {}, "runs", at, {"rocksdb": [{figure.key: value}]})
        for at, value in points
    ]


def test_bars_latencies_and_curves_are_charts_of_their_own(
    make_report: Make, milliseconds: Figure, tmp_path: Path
) -> None:
    latency = Outcome("track", "each", "each", LATENCY, samples={"rocksdb": [{"p50": 1, "p99": 20, "max": 3_000}]})
    report = make_report(latency, *curve(milliseconds, (10, 1.0), (100, 12.0), (1_000, 130.0)), rocksdb=[1.0, 2.0])
    assert [(chart.name, chart.title) for chart in charts(report)] == [
        ("track", "track"),
        ("track-latency", "track: latency"),
        ("scale-1", "scale, by runs"),
    ]
    for chart in charts(report):
        ElementTree.fromstring(as_svg(chart))
    for path in write_pngs(report, tmp_path):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["scale-1", "track", "track-latency"]


@pytest.mark.parametrize("samples", [[0.0], [1e-9, 1e9], [5.0] * 3, [-1.0, 2.0]])
def test_whatever_the_numbers_are_there_is_a_picture(
    make_report: Make, milliseconds: Figure, samples: list[float]
) -> None:
    points = list(enumerate(samples, 1))
    report = make_report(*curve(milliseconds, *points), figure=milliseconds, rocksdb=samples, lmdb=[1.0])
    for chart in charts(report):
        assert as_svg(chart).startswith("<svg")


def test_who_has_no_samples_has_no_bar(make_report: Make) -> None:
    report = make_report(rocksdb=[1.0], lmdb=[])
    [chart] = charts(report)
    text = as_svg(chart)
    assert text.count(COLOURS[0].lower()) > text.count(COLOURS[1].lower()) > 0  # the legend has it


def test_pictures_of_one_page_share_no_identifiers(make_report: Make, milliseconds: Figure) -> None:
    report = make_report(*curve(milliseconds, (10, 1.0), (100, 2.0)), rocksdb=[1.0])
    clips = [set(re.findall(r'<clipPath id="([^"]+)"', as_svg(chart))) for chart in charts(report)]
    assert len(clips) == 2
    assert not clips[0] & clips[1]


def test_the_page_escapes_what_it_is_told(make_report: Make) -> None:
    report = make_report(rocksdb=[1.0])
    report.outcomes[0].title = "<script>"
    report.outcomes[0].failures["rocksdb"] = "a & b"
    report.facts = [["", "durable"], ["aim", "<in the log>"]]
    text = page(report)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "a &amp; b" in text
    assert "&lt;in the log&gt;" in text


def test_a_report_without_samples_is_a_page(make_report: Make) -> None:
    assert "<svg" not in page(make_report(rocksdb=[]))
