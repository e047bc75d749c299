"""Charts and the page that holds them, of reports made up."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from aimstore.bench.charts import Chart, charts
from aimstore.bench.drawing import COLOURS, colour, draw_chart, marker_index, svgs, write_pngs
from aimstore.bench.outcomes import Outcome, Report
from aimstore.bench.page import page
from aimstore.bench.workload import Better, Figure

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
        for svg in svgs(chart):
            ElementTree.fromstring(svg)
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
        draw_chart(chart).canvas.draw()
        assert all(svg.startswith("<svg") for svg in svgs(chart))


def test_who_has_no_samples_has_no_bar(make_report: Make) -> None:
    [chart] = charts(make_report(rocksdb=[1.0], lmdb=[]))
    [text] = svgs(chart)
    assert COLOURS[0].lower() in text
    assert COLOURS[1].lower() not in text


def test_pictures_of_one_page_share_no_identifiers(make_report: Make, milliseconds: Figure) -> None:
    report = make_report(*curve(milliseconds, (10, 1.0), (100, 2.0)), rocksdb=[1.0])
    clips = [set(re.findall(r'<clipPath id="([^"]+)"', svg)) for chart in charts(report) for svg in svgs(chart)]
    assert len(clips) == 2
    assert not clips[0] & clips[1]


def test_one_point_is_no_curve(make_report: Make, milliseconds: Figure) -> None:
    found = [chart.name for chart in charts(make_report(*curve(milliseconds, (10, 1.0)), rocksdb=[1.0]))]
    assert found == ["track", "scale"]


@pytest.mark.parametrize(("lmdb", "styles", "is_said"), [(3, ["-", "-"], False), (1, ["-", "None"], True)])
def test_no_line_is_drawn_through_single_samples(
    milliseconds: Figure, lmdb: int, styles: list[str], is_said: bool
) -> None:
    outcomes = curve(milliseconds, (10, 1.0), (100, 12.0), (1_000, 130.0))
    for outcome in outcomes:
        outcome.samples = {"rocksdb": outcome.samples["rocksdb"] * 3, "lmdb": outcome.samples["rocksdb"] * lmdb}
    report = Report("engines", ["rocksdb", "lmdb"], {}, {}, outcomes)
    [chart] = charts(report)
    [axes] = [axes for axes in draw_chart(chart).axes if axes.lines]
    assert [line.get_linestyle() for line in axes.lines] == styles
    assert all(line.get_marker() != "None" for line in axes.lines)
    assert (chart.note == "single samples are shown as points, without a line through them") is is_said
    assert ('<p class="dim">single samples are shown as points' in page(report)) is is_said


def test_the_titles_of_panels_name_their_subject(make_report: Make, calls: Figure, milliseconds: Figure) -> None:
    latency = Outcome("track", "each", "each call", LATENCY, samples={"rocksdb": [{"p50": 1, "p99": 20, "max": 3_000}]})
    two = Outcome("track", "two", "two sequences", (calls,), samples={"rocksdb": [{"calls_per_s": 1.0}]})
    alone = Outcome("read", "all", "all points", (milliseconds,), samples={"rocksdb": [{"ms": 1.0}]})
    report = make_report(two, latency, alone, *curve(milliseconds, (10, 1.0), (100, 2.0)), rocksdb=[1.0])
    assert [panel.title for chart in charts(report) for panel in chart.panels] == [
        "track: calls (more is better)",
        "each call: latency of a call (less is better)",
        "all points: time (less is better)",
        "scale: time (less is better)",
    ]


def test_contestants_of_one_colour_differ_in_their_marker() -> None:
    assert len({(colour(i), marker_index(i)) for i in range(49)}) == 49


# Legible, whatever a plug-in calls things

NAMES = ("rocksdb", "lmdb", "memory", "an_engine_with_a_very_long_name_of_a_plug_in", "sqlite", "duckdb", "parquet")
TITLES = (
    "runs of 5 metrics × 20 steps: create, track, finalize, on a disk that is slow, with all parameters of a large laboratory",
    "x",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "the same, beside a reader and an indexing process",
)
FIGURES = (
    Figure("far", "from little to much", "B"),
    Figure(
        "near", "a figure whose label is so long that it does not fit into the panel above which it stands", "ms/run"
    ),
    Figure("zeros", "nothing but zeros", ""),
    Figure("some", "zeros beside much $", "$", Better.MORE),
)


def awkward(names: tuple[str, ...]) -> Report:
    def sample(i: int, j: int) -> dict[str, float]:
        return {"far": 10.0 ** (3 * i - 9), "near": 0.0123 + i + j, "zeros": 0.0, "some": 0.0 if i % 2 else 10.0**i}

    cases = [
        Outcome(
            "work",
            f"case-{j}",
            title,
            FIGURES,
            samples={name: [sample(i, j)] for i, name in enumerate(names) if (i, j) != (2, 1)},
            failures={"memory": "no more"} if j == 1 else {},
        )
        for j, title in enumerate(TITLES)
    ]
    latency = [{"p50": 1 + i / 100, "p99": 20.0, "max": 3_000.0 + i} for i in range(len(names))]
    cases.append(Outcome("work", "each", "each", LATENCY, samples={n: [latency[i]] for i, n in enumerate(names)}))
    grows = (Figure("ms", "time", "ms"), Figure("zeros", "zeros", "MB"))
    for at in (1.0, 10.0, 100_000.0):
        samples = {name: [{"ms": at * (1 + i / 100), "zeros": 0.0}] for i, name in enumerate(names)}
        cases.append(Outcome("scale", f"runs={at}", f"{at} runs", grows, {}, "runs", at, samples))
    cases.append(Outcome("work", "none", "none", FIGURES, failures=dict.fromkeys(names, "no"), samples={names[0]: []}))
    return Report("engines", list(names), {"processor": "a processor " * 9, "cores": 2}, {"repeat": 1}, cases)


def overlapping(chart: Chart) -> list[tuple[str, str]]:
    """Pairs of texts that lie over one another, or beside the picture, of all that is written in it."""
    from matplotlib.text import Text

    drawing = draw_chart(chart)
    drawing.canvas.draw()
    renderer = drawing.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = []
    for text in drawing.findobj(Text):
        assert isinstance(text, Text)
        if text.get_text() and text.get_visible():
            boxes.append((text.get_text(), text.get_window_extent(renderer)))
    for axes in drawing.axes:  # ticks beyond the ends of the axis are there, and not drawn
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            hidden = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            extents = [tick.label1.get_window_extent(renderer).bounds for tick in hidden]
            boxes = [(text, box) for text, box in boxes if box.bounds not in extents]
    whole = drawing.bbox
    beside = [
        (text, "the edge")
        for text, box in boxes
        if box.x0 < -1 or box.y0 < -1 or box.x1 > whole.width + 1 or box.y1 > whole.height + 1
    ]
    shrunk = [(text, box.padded(-1)) for text, box in boxes]
    return beside + [
        (text, other)
        for i, (text, box) in enumerate(shrunk)
        for other, another in shrunk[i + 1 :]
        if box.overlaps(another)
    ]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_no_text_lies_over_another_one_or_beyond_the_edge(count: int) -> None:
    found = list(charts(awkward(NAMES[:count])))
    assert [chart.name for chart in found] == ["work", "work-latency", "scale-1"]
    for chart in found:
        assert overlapping(chart) == [], chart.name


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


HOSTILE = "</p></svg></style><script>alert(1)</script><b onload='x' \"y\"> & {{ 7 * 7 }}"


class Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


def test_hostile_names_are_escaped_wherever_they_stand() -> None:
    figures = (Figure("ms", HOSTILE, HOSTILE), Figure("p50", HOSTILE, HOSTILE, panel=HOSTILE))
    samples = {HOSTILE: [{"ms": 1.0, "p50": 1.0}], "b": [{"ms": 9.0, "p50": 9.0}]}
    outcomes = [
        Outcome(HOSTILE, case, HOSTILE, figures, {}, axis, at, dict(samples), {"b": HOSTILE}, {"c": HOSTILE})
        for case, axis, at in (("x", "", 0.0), ("y", HOSTILE, 1.0), ("z", HOSTILE, 2.0))
    ]
    environment = {"processor": HOSTILE, "time": HOSTILE, "filesystems": [HOSTILE], "versions": {HOSTILE: HOSTILE}}
    settings = {"options": {HOSTILE: {HOSTILE: HOSTILE}}, "warmup": HOSTILE}
    rest: Any = {"notes": [HOSTILE], "facts": [["", HOSTILE], [HOSTILE, HOSTILE]], "about": {HOSTILE: HOSTILE}}
    plain = Outcome("w", "x", "x", figures, samples={key: [{"ms": 1.0, "p50": 1.0}, {"ms": 2.0}] for key in "ab"})
    text = page(Report("engines", [HOSTILE, "b"], environment, settings, outcomes, **rest))
    assert "<script" not in text
    assert "{{ 7 * 7 }}" in text
    assert Tags(text).found <= Tags(page(Report("engines", ["a", "b"], {}, {}, [plain]))).found
    for svg in re.findall(r"(?s)<svg.*?</svg>", text):
        ElementTree.fromstring(svg)


def test_a_report_without_samples_is_a_page(make_report: Make) -> None:
    assert "<svg" not in page(make_report(rocksdb=[]))


def test_the_page_says_what_failed_what_is_not_reached_and_what_is_measured(make_report: Make) -> None:
    figure = Figure("ms", "time", "ms", limit=2)
    report = make_report(figure=figure, rocksdb=[3.0], lmdb=[])
    report.outcomes[0].failures["lmdb"] = "no space left on device"
    report.about["track"] = "Tracking in a hot loop."
    text = page(report)
    assert "<title>Storage engines of aimstore: rocksdb, lmdb</title>" in text
    assert "Tracking in a hot loop." in text
    assert "lmdb failed in track (one sequence): no space left on device" in text
    assert "name another folder by --dir" in text
    assert '<td class="worse">failed</td>' in text
    assert "rocksdb reaches 0 of 1. It does not reach:" in text
    assert "≤ 2 ✗ not reached</td>" in text
    for place in re.findall(r'<a href="#([^"]+)"', text):
        assert f'id="{place}"' in text


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        ([1.0, 1.1, 1.2], [2.0, 2.1, 2.2], "better"),
        ([2.0, 2.1, 2.2], [1.0, 1.1, 1.2], "worse"),
        ([1.0, 2.0, 3.0], [1.1, 2.5, 3.2], ""),
        ([1.0], [9.0], ""),
    ],
)
def test_only_what_is_more_than_noise_has_a_colour(
    make_report: Make, ours: list[float], theirs: list[float], kind: str
) -> None:
    assert f'<br><small class="{kind}">' in page(make_report(rocksdb=ours, lmdb=theirs))
