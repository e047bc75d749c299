"""A report as tables of text, in the terminal or a pipe."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aimstore.bench.environment import summary
from aimstore.bench.outcomes import Report
from aimstore.bench.tables import CaseTable, Cell, Row, case_tables, failures, omissions, repetitions

MOST_BESIDE: Final = 2
"""Contestants besides the first up to which each ratio has a column; with more it stands below its figure."""

_VERDICT_STYLES: Final = {"better": "green", "worse": "red"}
_TARGET_MARKS: Final = {True: ("ok", "green"), False: ("short", "yellow"), None: ("", "")}


def report_tables(report: Report) -> RenderableType:
    """Everything: a table for each workload, what failed, and where it was measured."""
    parts: list[RenderableType] = []
    cells: list[Cell] = []
    for workload, outcomes in report.workloads().items():
        cases = case_tables(report, outcomes)
        cells += [cell for case in cases for row in case.rows for cell in row.cells]
        parts += [_workload_table(report, f"{workload}: {repetitions(outcomes)}", cases), Text()]
    if report.facts:
        parts += [_facts_table(report.facts), Text()]
    if any(cell.verdict == "too few samples" for cell in cells):
        parts.append(Text("fewer than three repetitions cannot tell a difference from noise", style="dim"))
    parts += [Text(note, style="dim") for note in report.notes]
    parts += [Text(line, style="red") for line in failures(report)]
    parts += [Text(line, style="yellow") for line in omissions(report)]
    parts.append(Text(summary(report.environment), style="dim"))
    return Group(*parts)


def _workload_table(report: Report, title: str, cases: list[CaseTable]) -> Table:
    first, *others = report.contestants
    has_targets = any(row.target for case in cases for row in case.rows)
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column(first, justify="right")
    if has_targets:
        table.add_column("target", justify="right", no_wrap=True)
        table.add_column("")
    is_stacked = len(others) > MOST_BESIDE
    for name in others:
        table.add_column(name, justify="right")
        if not is_stacked:
            table.add_column(f"than {first}", no_wrap=True)
    for case in cases:
        table.add_row(Text(case.title, style="cyan"))
        for row in case.rows:
            table.add_row(*_texts(row, has_targets=has_targets, is_stacked=is_stacked))
        if not case.rows:
            table.add_row(Text("  nothing was measured", style="dim"))
    return table


def _texts(row: Row, *, has_targets: bool, is_stacked: bool) -> list[Text]:
    first, *others = row.cells
    found = [Text(f"  {row.label}"), _value(first)]
    if has_targets:
        found += [Text(row.target), Text(*_TARGET_MARKS[row.reached])]
    for cell in others:
        ratio = Text(cell.ratio, style=_VERDICT_STYLES.get(cell.verdict or "", "dim"))
        if not is_stacked:
            found += [_value(cell), ratio]
        else:
            found.append(Text("\n").join([_value(cell), ratio]) if ratio else _value(cell))
    return found


def _value(cell: Cell) -> Text:
    return Text(f"{cell.median} {cell.quartiles}".rstrip(), style="" if cell.known else "dim")


def _facts_table(facts: list[list[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 1, 0), header_style="bold")
    for heading in facts[0]:
        table.add_column(Text(heading))
    for row in facts[1:]:
        table.add_row(*map(Text, row))
    return table
