"""The report in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from aimstore.bench import words
from aimstore.bench.environment import summary
from aimstore.bench.report import Outcome, Report
from aimstore.bench.workload import Figure

STACKED = 2
"""Contestants beside the first, above which ratios stand below the figures."""


_NO_ROOM: Final = "no space left"
"""As the operating system says it, and engines after it."""


def render(report: Report) -> RenderableType:
    """Everything: a table for each workload, what failed, and where it was measured."""
    parts: list[RenderableType] = []
    for workload, outcomes in report.workloads().items():
        parts += [_table(report, workload, outcomes), Text()]
    if report.facts:
        parts += [_facts(report.facts), Text()]
    parts += [Text(note, style="dim") for note in report.notes]
    parts += _troubles(report)
    parts.append(Text(summary(report.environment), style="dim"))
    return Group(*parts)


def show(report: Report, console: Console) -> None:
    """Print a report; where the console is no terminal, wide enough that nothing is cut."""
    if not console.is_terminal:
        console.width = 200
    console.print(render(report))


def _table(report: Report, workload: str, outcomes: list[Outcome]) -> Table:
    first, *others = report.contestants
    targets = words.has_targets(outcomes, report)
    once = all(len(samples) <= 1 for outcome in outcomes for samples in outcome.samples.values())
    table = Table(
        title=f"{workload}: {'one repetition' if once else 'median (quartiles)'}",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column("")
    table.add_column(first, justify="right")
    if targets:
        table.add_column("target", justify="right", no_wrap=True)
        table.add_column("")
    stacked = len(others) > STACKED
    for name in others:
        table.add_column(name, justify="right")
        if not stacked:
            table.add_column(f"than {first}", style="dim", no_wrap=True)
    for outcome in outcomes:
        table.add_row(Text(words.heading(outcome, outcomes), style="cyan"))
        if not any(outcome.measured()):
            table.add_row(Text("  nothing was measured", style="dim"))
        for figure in outcome.measured():
            cells: list[str | Text] = [f"  {words.label(figure)}", _value(outcome, first, figure)]
            if targets:
                text, reached = words.target(figure, outcome, report)
                cells += [text, _MARKS[reached]]
            for name in others:
                value = _value(outcome, name, figure)
                ratio = words.ratio(outcome.ratio(figure, first, name))
                cells += [Text.assemble(value, "\n" if ratio else "", (ratio, "dim"))] if stacked else [value, ratio]
            table.add_row(*cells)
    return table


def _value(outcome: Outcome, name: str, figure: Figure) -> Text:
    found = outcome.spread(name, figure.key)
    return Text(words.spread(found)) if found else Text(words.missing(outcome, name), style="dim")


_MARKS = {True: Text("ok", style="green"), False: Text("short", style="yellow"), None: Text()}


def _facts(facts: list[list[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 1, 0), header_style="bold")
    for heading in facts[0]:
        table.add_column(heading)
    for row in facts[1:]:
        table.add_row(*row)
    return table


def _troubles(report: Report) -> list[RenderableType]:
    return [Text(line, style=style) for line, style in troubles(report)]


def troubles(report: Report) -> Iterator[tuple[str, str]]:
    """What failed and what was left out, in sentences, each with rich's style."""
    skipped: dict[tuple[str, str], list[str]] = {}
    failed: dict[tuple[str, str], list[str]] = {}
    for outcome in report.outcomes:
        for name, reason in outcome.failures.items():
            done = len(outcome.samples.get(name, ()))
            after = f" after {done} {'repetition' if done == 1 else 'repetitions'}" if done else ""
            failed.setdefault((name, reason), []).append(f"{outcome.workload} ({outcome.title}){after}")
        for name, reason in outcome.skipped.items():
            if report.kind == "engines":  # what other tools lack is no news
                skipped.setdefault((name, reason), []).append(outcome.workload)
    for (name, reason), where in failed.items():
        yield f"{name} failed in {'; '.join(where)}: {reason}", "red"
    if any(_NO_ROOM in reason.lower() for _, reason in failed):
        yield (
            "there is no space left where the repositories are made: free some, or name another folder by --dir",
            "red",
        )
    for (name, reason), where in skipped.items():
        yield f"{name} is left out of {'; '.join(dict.fromkeys(where))}: {reason}", "yellow"
    if report.interrupted:
        yield "interrupted: these are the results until then", "yellow"
