"""The report as one HTML file that needs nothing else: tables, charts, and where it was measured."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from aimstore.bench import words
from aimstore.bench.charts import as_svg, charts
from aimstore.bench.environment import summary
from aimstore.bench.report import Outcome, Report
from aimstore.bench.tables import troubles

_STYLE = """
:root { color-scheme: light; --line: #e2e2e2; --dim: #667; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: #1b1b1f; background: #f6f6f8; margin: 0; }
main { max-width: 1120px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 0 0 .25rem; } h2 { font-size: 1.2rem; margin: 0 0 .75rem; }
section { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 1.25rem; margin: 1.25rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th:first-child, td:first-child, .text td, .text th { text-align: left; }
tr.case td { font-weight: 600; background: #f3f5f9; text-align: left; }
td small { color: var(--dim); white-space: nowrap; } .better { color: #00734f; } .worse { color: #a94400; }
.dim, footer { color: var(--dim); font-size: 13px; } .trouble { color: #a94400; }
svg { width: 100%; height: auto; display: block; margin-top: 1.25rem; }
nav a { margin-right: 1rem; } a { color: #0060a0; }
@media print { body { background: #fff; } section { break-inside: avoid; border: 0; padding: 0; } }
"""


def page(report: Report) -> str:
    """The whole document."""
    title = "aimstore beside other tools" if report.kind == "peers" else "Storage engines of aimstore"
    body = "\n".join(_body(report, title))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body><main>\n{body}\n</main></body>\n</html>\n"
    )


def _body(report: Report, title: str) -> Iterator[str]:
    settings = report.settings
    yield f"<h1>{escape(title)}</h1>"
    yield f"<p>{escape(', '.join(report.contestants))}; {escape(_how(report))}</p>"
    yield f'<p class="dim">{escape(str(report.environment.get("time", "")))}; {escape(summary(report.environment))}</p>'
    if options := settings.get("options"):
        given = ", ".join(f"{name}.{key} = {value}" for name, each in options.items() for key, value in each.items())
        yield f'<p class="dim">options: {escape(given)}</p>'
    yield "<nav>" + "".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in report.workloads()) + "</nav>"
    if found := [text for text, _ in troubles(report)]:
        yield '<section class="trouble">' + "".join(f"<p>{escape(text)}</p>" for text in found) + "</section>"
    drawn = list(charts(report))
    for workload, outcomes in report.workloads().items():
        yield f'<section id="{escape(workload)}"><h2>{escape(workload)}</h2><div class="scroll">'
        yield from _table(report, outcomes)
        yield "</div>"
        yield from (as_svg(chart) for chart in drawn if chart.workload == workload)
        yield "</section>"
    if report.facts:
        yield '<section><h2>What is durable when the clock stops</h2><div class="scroll"><table class="text">'
        yield f"<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in report.facts[0])}</tr>"
        for row in report.facts[1:]:
            yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
        yield "</table></div></section>"
    yield "<footer>" + "".join(f"<p>{escape(note)}</p>" for note in report.notes) + "</footer>"


def _how(report: Report) -> str:
    repeat, warmup = report.settings.get("repeat", 1), report.settings.get("warmup", 0)
    text = f"{repeat} {'repetition' if repeat == 1 else 'repetitions'} of each in turn, every one in a fresh process"
    if warmup:
        text += f", after {warmup} that did not count"
    if report.settings.get("quick"):
        text += "; a quick look, with small sizes, and not to be quoted"
    return text + ". Medians, with quartiles in brackets."


def _table(report: Report, outcomes: list[Outcome]) -> Iterator[str]:
    first, *others = report.contestants
    targets = any(words.target(figure, outcome, report)[0] for outcome in outcomes for figure in outcome.figures)
    columns = 2 + targets + len(others)
    yield f"<table><tr><th></th><th>{escape(first)}</th>{'<th>to reach</th>' if targets else ''}"
    yield "".join(f"<th>{escape(name)}</th>" for name in others) + "</tr>"
    for outcome in outcomes:
        yield f'<tr class="case"><td colspan="{columns}">{escape(outcome.title)}</td></tr>'
        for figure in outcome.measured():
            cells = [f"<td>{escape(words.label(figure))}</td>", _cell(outcome, first, figure.key)]
            if targets:
                text, reached = words.target(figure, outcome, report)
                mark = {True: " ✓", False: " ✗", None: ""}[reached]
                cells.append(f'<td class="{"better" if reached else "worse"}">{escape(text + mark)}</td>')
            for name in others:
                times = outcome.ratio(figure, first, name)
                kind = "" if times is None else "better" if times > 1 else "worse"
                ratio = f'<br><small class="{kind}">{escape(words.ratio(times))}</small>' if words.ratio(times) else ""
                cells.append(_cell(outcome, name, figure.key, ratio))
            yield f"<tr>{''.join(cells)}</tr>"
    yield "</table>"


def _cell(outcome: Outcome, name: str, key: str, more: str = "") -> str:
    found = outcome.spread(name, key)
    if found is None:
        return "<td>–</td>"
    text = escape(words.number(found.median))
    if found.count > 1:
        text += f" <small>({escape(words.number(found.low))}–{escape(words.number(found.high))})</small>"
    return f"<td>{text}{more}</td>"
