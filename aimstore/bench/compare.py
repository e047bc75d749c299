"""What changed between two reports, and whether it is more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aimstore.bench import words
from aimstore.bench.report import Report
from aimstore.bench.statistics import ENOUGH, Spread
from aimstore.bench.workload import Better, Figure

Verdict: TypeAlias = Literal["better", "worse", "within noise", "too few samples", "only before", "only after"]

RELEVANT = ("processor", "cores", "system", "filesystems", "python")
"""What two environments should have in common."""


@dataclass(frozen=True)
class Change:
    """One figure of one contestant, before and after.

    Attributes:
        ratio: how many times better it is now; None where one is missing, or nothing can be divided by.
        verdict: "better" or "worse" where the ranges between the quartiles do not overlap.
    """

    workload: str
    case: str
    contestant: str
    figure: Figure
    before: Spread | None
    after: Spread | None
    ratio: float | None
    verdict: Verdict


def changes(before: Report, after: Report) -> list[Change]:
    """Every figure of both reports, those of `after` in its order, then those that it lacks."""
    old, new = _spreads(before), _spreads(after)
    return [
        _change(key, figure, old.get(key), new.get(key)) for key, figure in {**_keys(after), **_keys(before)}.items()
    ]


_Key: TypeAlias = tuple[str, str, str, str]


def _keys(report: Report) -> dict[_Key, Figure]:
    return {
        (outcome.workload, outcome.case, name, figure.key): figure
        for outcome in report.outcomes
        for figure in outcome.figures
        for name in outcome.samples
        if outcome.values(name, figure.key)
    }


def _spreads(report: Report) -> dict[_Key, Spread]:
    found = {}
    for outcome in report.outcomes:
        for figure in outcome.figures:
            for name in outcome.samples:
                if (spread := outcome.spread(name, figure.key)) is not None:
                    found[outcome.workload, outcome.case, name, figure.key] = spread
    return found


def _change(key: _Key, figure: Figure, before: Spread | None, after: Spread | None) -> Change:
    workload, case, contestant, _ = key
    ratio: float | None = None
    verdict: Verdict
    if before is None or after is None:
        verdict = "only after" if before is None else "only before"
    else:
        more = figure.better is Better.MORE
        above, below = (after.median, before.median) if more else (before.median, after.median)
        ratio = above / below if above > 0 and below > 0 else None
        if min(before.count, after.count) < ENOUGH:
            verdict = "too few samples"
        elif before.overlaps(after):
            verdict = "within noise"
        else:
            verdict = "better" if (after.median > before.median) is more else "worse"
    return Change(workload, case, contestant, figure, before, after, ratio, verdict)


def differences(before: Report, after: Report) -> list[str]:
    """What else differs, so that the figures may not be comparable: environment, settings, sizes."""
    found = []
    for name in RELEVANT:
        old, new = before.environment.get(name), after.environment.get(name)
        if old != new:
            found.append(f"{name}: {old} before, {new} after")
    versions = before.environment.get("versions", {}), after.environment.get("versions", {})
    found += [
        f"{name}: {versions[0].get(name)} before, {versions[1].get(name)} after"
        for name in sorted({*versions[0], *versions[1]})
        if versions[0].get(name) != versions[1].get(name)
    ]
    sizes = {(each.workload, each.case): each.sizes for each in before.outcomes}
    for outcome in after.outcomes:
        known = sizes.get((outcome.workload, outcome.case), outcome.sizes)
        for name, value in outcome.sizes.items():
            if known.get(name) != value:
                found.append(f"{outcome.workload} {outcome.case}: {name} was {known.get(name)}, and is {value}")
    return list(dict.fromkeys(found))


_STYLES = {"better": "green", "worse": "red"}


def render(found: Sequence[Change], *, everything: bool = False) -> RenderableType:
    """A table of what changed, or of everything, and a line that counts the rest."""
    shown = [each for each in found if everything or each.verdict != "within noise"]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("work", "of", "figure"):
        table.add_column(heading)
    for heading in ("before", "after", "change"):
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True)
    for each in shown:
        work = each.workload if each.case == each.workload else f"{each.workload} {each.case}"
        cells = (work, each.contestant, words.label(each.figure), words.spread(each.before), words.spread(each.after))
        table.add_row(*cells, words.ratio(each.ratio), Text(each.verdict, style=_STYLES.get(each.verdict, "dim")))
    counts = {
        verdict: sum(each.verdict == verdict for each in found) for verdict in ("better", "worse", "within noise")
    }
    line = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return Group(table, Text(line)) if shown else Text(line)
