"""What changed between two reports, and whether it is more than noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aimstore.bench.formatting import format_label, format_ratio, format_spread
from aimstore.bench.outcomes import Outcome, Report
from aimstore.bench.statistics import Spread, Verdict, verdict
from aimstore.bench.workload import Better, Figure

COMPARED: Final = ("processor", "cores", "system", "filesystems", "python")
"""Parts of the environment that two comparable reports have in common, besides versions."""


@dataclass(frozen=True)
class Change:
    """One figure of one contestant, before and after.

    Attributes:
        times_better: the medians' ratio, above 1 where it is better now; None where one is missing or not above zero.
        verdict: see `Verdict`; or which of the two reports has the figure.
    """

    workload: str
    case: str
    contestant: str
    figure: Figure
    before: Spread | None
    after: Spread | None
    times_better: float | None
    verdict: Verdict | Literal["only before", "only after"]


def changes(before: Report, after: Report) -> list[Change]:
    """Every figure of both reports: those of `after` in its order, then those that only `before` has."""
    old, new = _spreads(before), _spreads(after)
    return [_change(key, old.get(key), new.get(key)) for key in {**new, **old}]


_Key: TypeAlias = tuple[str, str, str, str]
"""Workload, case, contestant, and key of the figure."""


def _spreads(report: Report) -> dict[_Key, tuple[Figure, Spread]]:
    return {
        (outcome.workload, outcome.case, name, figure.key): (figure, spread)
        for outcome in report.outcomes
        for figure in outcome.figures
        for name in outcome.samples
        if (spread := outcome.spread(name, figure.key)) is not None
    }


def _change(key: _Key, before: tuple[Figure, Spread] | None, after: tuple[Figure, Spread] | None) -> Change:
    if before is None or after is None:
        [(figure, _)] = [each for each in (before, after) if each]
        spreads = before and before[1], after and after[1]
        return Change(*key[:3], figure, *spreads, None, "only after" if before is None else "only before")
    figure, old, new = after[0], before[1], after[1]
    above, below = (new.median, old.median) if figure.better is Better.MORE else (old.median, new.median)
    times_better = above / below if above > 0 and below > 0 else None
    return Change(*key[:3], figure, old, new, times_better, verdict(figure.better, old, new))


def differences(before: Report, after: Report) -> list[str]:
    """What else differs, so that the figures may not be comparable: environment, versions, sizes."""
    old, new = before.environment, after.environment
    found = _differing({name: old.get(name) for name in COMPARED}, {name: new.get(name) for name in COMPARED})
    found += _differing(old.get("versions", {}), new.get("versions", {}))
    known = {(each.workload, each.case): each for each in before.outcomes}
    for outcome in after.outcomes:
        found += _differing_sizes(known.get((outcome.workload, outcome.case), outcome), outcome)
    return list(dict.fromkeys(found))


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    names = sorted({*before, *after})
    return [
        f"{name}: {before.get(name)} before, {after.get(name)} after"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _differing_sizes(before: Outcome, after: Outcome) -> list[str]:
    return [
        f"{after.workload} {after.case}: {name} was {before.sizes.get(name)}, and is {value}"
        for name, value in after.sizes.items()
        if before.sizes.get(name) != value
    ]


_STYLES: Final = {"better": "green", "worse": "red"}


def changes_table(found: Sequence[Change], *, with_noise: bool = False) -> RenderableType:
    """A table of what changed, and a line that counts it; `with_noise` shows also what is within the noise."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("work", "of", "figure"):
        table.add_column(heading)
    for heading in ("before", "after", "change"):
        table.add_column(heading, justify="right")
    table.add_column("", no_wrap=True)
    for each in found:
        if with_noise or each.verdict != "within noise":
            table.add_row(*map(Text, _cells(each)), Text(each.verdict, style=_STYLES.get(each.verdict, "dim")))
    counts = Counter(each.verdict for each in found)
    line = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _COUNTED)
    if few := counts["too few samples"]:
        line += f"; {few} with fewer than three samples, which tell nothing"
    return Group(table, Text(line)) if table.row_count else Text(line)


_COUNTED: Final = ("better", "worse", "within noise")


def _cells(change: Change) -> tuple[str, ...]:
    work = change.workload if change.case == change.workload else f"{change.workload} {change.case}"
    spreads = format_spread(change.before), format_spread(change.after)
    return (work, change.contestant, format_label(change.figure), *spreads, format_ratio(change.times_better))
