"""The report as one HTML file that needs nothing else: tables, charts, how to read them, and where it was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from aimstore.bench import words
from aimstore.bench.charts import Chart, charts
from aimstore.bench.drawing import colour, sign
from aimstore.bench.environment import summary
from aimstore.bench.report import Outcome, Report
from aimstore.bench.tables import troubles
from aimstore.bench.workload import Figure

_STYLE: Final = """
:root { color-scheme: light dark; --text: #1b1b1f; --page: #f6f6f8; --card: #fff; --case: #f0f3f8; --line: #e2e2e2;
  --dim: #5c5c68; --good: #00734f; --bad: #a94400; --link: #0060a0; }
@media screen and (prefers-color-scheme: dark) {
  :root { --text: #e6e6ea; --page: #131316; --card: #1f1f1f; --case: #2a2c32; --line: #3a3a40; --dim: #a0a0ac;
    --good: #4cc795; --bad: #ff9a5c; --link: #7ab8ee; }
  figure { filter: invert(.88) hue-rotate(180deg); }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: var(--text); background: var(--page); margin: 0; }
main { max-width: 1120px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 0 0 .5rem; }
h3 { font-size: 1rem; margin: 0; } p { margin: .4rem 0; }
h1, h2, h3, p, li, dd, .legend, tr.case th { overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem; margin: 1.25rem 0; }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .75rem 0; } a { color: var(--link); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; margin: .75rem 0; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } tbody th { font-weight: 400; text-align: left; min-width: 8rem; }
tbody th, thead td { position: sticky; left: 0; background: var(--card); }
tr.case th { font-weight: 600; background: var(--case); position: static; }
tr.case span { display: inline-block; position: sticky; left: .6rem; max-width: min(85vw - 3rem, 60rem); }
.text td, .text th { text-align: left; min-width: 10rem; }
td small { color: var(--dim); white-space: nowrap; } .better, td small.better { color: var(--good); }
.worse, td small.worse { color: var(--bad); }
.dim, footer, dl { color: var(--dim); font-size: 13px; } .trouble { border-left: 5px solid var(--bad); }
.missed { font-weight: 600; color: var(--bad); white-space: nowrap; } .met { color: var(--good); white-space: nowrap; }
dt { font-weight: 600; } dd { margin: 0 0 .4rem; }
figure { margin: 1.25rem 0 0; background: #fff; color: #1b1b1f; } figcaption { padding: 0 .6rem; }
.legend { display: flex; flex-wrap: wrap; gap: 0 1.1rem; font-size: 13.5px; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); align-items: start; }
svg { width: 100%; height: auto; display: block; }
@media (max-width: 600px) { main { padding: 1.25rem .6rem 3rem; } section { padding: .9rem .7rem; } }
@page { margin: 14mm; }
@media print {
  tbody th, thead td { position: static; }
  body { background: #fff; font-size: 12px; } main { max-width: none; padding: 0; } nav { display: none; }
  section { border: 0; padding: 0; } tr, svg, li, .legend { break-inside: avoid; }
  h2, h3, figcaption, tr.case { break-after: avoid; }
  th, td { padding: .15rem .5rem; } .panels { display: block; } svg { display: inline-block; width: 49%; vertical-align: top; }
}
"""

_READING: Final = (
    ("figure", "The median of the repetitions, with the quartiles in brackets where there are several."),
    (
        "better, worse",
        "How many times, beside the first column: the median over neighbouring pairs of repetitions. In colour where the ranges "
        "between the quartiles do not overlap; grey is noise, or one repetition, which cannot tell.",
    ),
    (
        "CPU time, peak memory",
        "Of the measured process, from the first call to the end of finalizing; memory above what it had before.",
    ),
    ("stored per unit", "Bytes of the files afterwards, less those of the empty repository, for each value or run."),
    ("written / stored", "Bytes handed to the operating system for each that is stored: logs, compaction, rewriting."),
    ("open files", "Descriptors that are open when the work is done, before closing."),
    (
        "charts",
        "An axis that spans much is logarithmic, and has points instead of bars. Black lines on bars and the shades of curves "
        "are the quartiles.",
    ),
)


def page(report: Report) -> str:
    """The whole document."""
    title = "aimstore beside other tools" if report.kind == "peers" else "Storage engines of aimstore"
    named = f"{title}: {', '.join(report.contestants)}"
    body = "\n".join(_body(report, title))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(named)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body><main>\n{body}\n</main></body>\n</html>\n"
    )


def _body(report: Report, title: str) -> Iterator[str]:
    settings = report.settings
    yield f"<header><h1>{escape(title)}</h1>"
    yield f"<p><b>{escape(', '.join(report.contestants))}</b>: {escape(_how(report))}</p>"
    yield f'<p class="dim">{escape(str(report.environment.get("time", "")))}; {escape(summary(report.environment))}</p>'
    if options := settings.get("options"):
        given = ", ".join(f"{name}.{key} = {value}" for name, each in options.items() for key, value in each.items())
        yield f'<p class="dim">options: {escape(given)}</p>'
    places = {name: name for name in report.workloads()}
    if report.facts:
        places["durable"] = "what is durable"
    places["reading"] = "how to read this"
    links = "".join(f'<a href="#{escape(place)}">{escape(text)}</a>' for place, text in places.items())
    yield f'<nav aria-label="Contents">{links}</nav></header>'
    if found := [text for text, _ in troubles(report)]:
        yield '<section class="trouble"><h2>Not all of it was measured</h2>'
        yield "".join(f"<p>{escape(text)}</p>" for text in found) + "</section>"
    yield from _targets(report)
    drawn = list(charts(report))
    for workload, outcomes in report.workloads().items():
        yield f'<section id="{escape(workload)}"><h2>{escape(workload)}</h2>'
        if about := report.about.get(workload):
            yield f'<p class="dim">{escape(about)}</p>'
        yield '<div class="scroll" tabindex="0">'
        yield from _table(report, outcomes)
        yield "</div>"
        for chart in drawn:
            if chart.workload == workload:
                yield from _figure(chart)
        yield "</section>"
    if report.facts:
        yield '<section id="durable"><h2>What is durable when the clock stops</h2><div class="scroll" tabindex="0">'
        yield f'<table class="text"><thead><tr>{"".join(f"<th>{escape(cell)}</th>" for cell in report.facts[0])}</tr></thead>'
        for row in report.facts[1:]:
            yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        yield "</table></div></section>"
    yield '<section id="reading"><h2>How to read this</h2><dl>'
    yield "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in _READING) + "</dl></section>"
    yield "<footer>" + "".join(f"<p>{escape(note)}</p>" for note in report.notes) + "</footer>"


def _how(report: Report) -> str:
    warmup = report.settings.get("warmup", 0)
    text = f"{words.repetitions(report)}; each in turn, every one in a fresh process"
    if warmup:
        text += f", after {warmup} that did not count"
    if report.settings.get("quick"):
        text += "; a quick look, with small sizes, and not to be quoted"
    return text + "."


def _targets(report: Report) -> Iterator[str]:
    """How many of the figures to reach are reached, and which are not."""
    found = [
        (outcome, figure, *words.target(figure, outcome, report))
        for outcome in report.outcomes
        for figure in outcome.measured()
    ]
    told = [reached for _, _, _, reached in found if reached is not None]
    if not told:
        return
    first = report.contestants[0]
    yield '<section id="targets"><h2>Figures to reach</h2>'
    yield f"<p>{escape(first)} reaches {sum(told)} of {len(told)}.{' It does not reach:' if not all(told) else ''}</p>"
    missed = [(outcome, figure, text) for outcome, figure, text, reached in found if reached is False]
    if missed:
        yield "<ul>"
        for outcome, figure, text in missed:
            value = words.spread(outcome.spread(first, figure.key))
            unit = f" {figure.unit}" if figure.unit else ""
            yield (
                f"<li>{escape(outcome.title)}, {escape(figure.label)}: {escape(value + unit)}, "
                f'to be <span class="missed">{escape(text)} ✗</span></li>'
            )
        yield "</ul>"
    if report.settings.get("quick"):
        yield '<p class="dim">They were set for the full sizes; a quick look says little about them.</p>'
    yield "</section>"


def _table(report: Report, outcomes: Sequence[Outcome]) -> Iterator[str]:
    first, *others = report.contestants
    targets = words.has_targets(outcomes, report)
    columns = 2 + targets + len(others)
    yield f'<table><thead><tr><td></td><th scope="col">{escape(first)}</th>'
    yield '<th scope="col">to reach</th>' if targets else ""
    yield "".join(f'<th scope="col">{escape(name)}</th>' for name in others) + "</tr></thead>"
    for outcome in outcomes:
        heading = escape(words.heading(outcome, outcomes))
        yield f'<tbody><tr class="case"><th scope="rowgroup" colspan="{columns}"><span>{heading}</span></th></tr>'
        if not any(outcome.measured()):
            yield f'<tr><th scope="row" class="worse" colspan="{columns}">nothing was measured</th></tr>'
        for figure in outcome.measured():
            cells = [f'<th scope="row">{escape(words.label(figure))}</th>', _cell(outcome, first, figure)]
            if targets:
                cells.append(_target(*words.target(figure, outcome, report)))
            for name in others:
                times = words.ratio(outcome.ratio(figure, first, name))
                kind = words.verdict(outcome, figure, first, name)
                ratio = f'<br><small class="{kind}">{escape(times)}</small>' if times else ""
                cells.append(_cell(outcome, name, figure, ratio))
            yield f"<tr>{''.join(cells)}</tr>"
        yield "</tbody>"
    yield "</table>"


def _target(text: str, reached: bool | None) -> str:
    if reached is None:
        return f"<td>{escape(text)}</td>"
    return f'<td class="{"met" if reached else "missed"}">{escape(text)} {"✓" if reached else "✗ not reached"}</td>'


def _cell(outcome: Outcome, name: str, figure: Figure, more: str = "") -> str:
    found = outcome.spread(name, figure.key)
    if found is None:
        failed = ' class="worse"' if name in outcome.failures else ""
        return f"<td{failed}>{escape(words.missing(outcome, name))}</td>"
    text = escape(words.number(found.median))
    if found.low < found.high:
        text += f" <small>({escape(words.number(found.low))}–{escape(words.number(found.high))})</small>"
    return f"<td>{text}{more}</td>"


def _figure(chart: Chart) -> Iterator[str]:
    yield f"<figure><figcaption><h3>{escape(chart.title)}</h3>"
    legend = "".join(
        f'<span><span style="color:{colour(i)}">{sign(i)}</span> {escape(name)}</span>'
        for i, name in enumerate(chart.contestants)
    )
    yield f'<div class="legend">{legend}</div></figcaption><div class="panels">'
    for panel, svg in zip(chart.panels, chart.svgs(), strict=True):
        yield svg.replace("<svg", f'<svg role="img" aria-label="{escape(panel.title)}"', 1)
    yield "</div></figure>"
