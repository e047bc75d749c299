"""Results: every sample, with what it depends on; to JSON and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from aimstore.bench.documents import Format
from aimstore.bench.statistics import Spread, times_better
from aimstore.bench.workload import Better, Figure

FORMAT: Final = Format("aimstore-bench", 1, "aimstore bench --json")

PROCESS_FIGURES: Final = (
    Figure("bytes_per_unit", "stored per unit", "B"),
    Figure("stored_mb", "stored", "MB"),
    Figure("amplification", "written / stored", "×"),
    Figure("cpu_s", "CPU time", "s"),
    Figure("peak_mb", "peak memory above its start", "MB"),
    Figure("files", "open files", ""),
)
"""Figures of the process of every repetition, whatever its workload."""


@dataclass
class Outcome:
    """The results of one case.

    Attributes:
        workload, case, title, axis, at: see `Case`.
        sizes: of the workload and the case.
        figures: in the order in which they are shown.
        samples: for each contestant the figures of every repetition, without warm-up.
        failures: reasons by contestant that failed; its repetitions before that are in `samples`.
        skipped: reasons by contestant that cannot do the case.
    """

    workload: str
    case: str
    title: str
    figures: tuple[Figure, ...]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    axis: str = ""
    at: float = 0.0
    samples: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def values(self, contestant: str, key: str) -> list[float]:
        """The samples of one figure; empty where it has none."""
        return [sample[key] for sample in self.samples.get(contestant, ()) if key in sample]

    def spread(self, contestant: str, key: str) -> Spread | None:
        """Median and quartiles of one figure; None where there are no samples."""
        values = self.values(contestant, key)
        return Spread.of(values) if values else None

    def ratio(self, figure: Figure, first: str, contestant: str) -> float | None:
        """How many times better the contestant is than the first; None where one has no samples, or they cannot be divided."""
        return times_better(figure.better, self.values(first, figure.key), self.values(contestant, figure.key))

    def measured(self) -> Iterator[Figure]:
        """The figures of which there are samples."""
        for figure in self.figures:
            if any(self.values(name, figure.key) for name in self.samples):
                yield figure


@dataclass
class Report:
    """All results of one command.

    Attributes:
        kind: "engines", or "peers".
        contestants: names; the others are compared with the first.
        environment: see `aimstore.bench.environment`.
        settings: seed, repetitions, warm-up, options of engines.
        outcomes: of the cases, in the order in which they were measured.
        notes: paragraphs for the reader.
        facts: a table about the contestants: headings, then rows.
        about: what each workload measures, by its name.
        interrupted: measuring was stopped before its end.
    """

    kind: str
    contestants: list[str]
    environment: dict[str, Any]
    settings: dict[str, Any]
    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: list[list[str]] = field(default_factory=list)
    about: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def failed(self) -> bool:
        """Whether something failed."""
        return any(outcome.failures for outcome in self.outcomes)

    def workloads(self) -> dict[str, list[Outcome]]:
        """The outcomes by workload."""
        found: dict[str, list[Outcome]] = {}
        for outcome in self.outcomes:
            found.setdefault(outcome.workload, []).append(outcome)
        return found


def to_json(report: Report) -> str:
    """A report as text that `from_json` reads. Medians and quartiles are in it for other programs."""
    content = asdict(report)
    for written, outcome in zip(content["outcomes"], report.outcomes, strict=True):
        written["figures"] = [{**asdict(figure), "better": figure.better.value} for figure in outcome.figures]
        written["summary"] = {
            name: {
                figure.key: {
                    **asdict(Spread.of(values)),
                    "times_better": outcome.ratio(figure, report.contestants[0], name),
                }
                for figure in outcome.figures
                if (values := outcome.values(name, figure.key))
            }
            for name in outcome.samples
        }
    return FORMAT.to_json(content)


def from_json(text: str, source: str = "report") -> Report:
    """The report in a text; errors as `Format.parse`."""
    with FORMAT.parse(text, source) as content:
        outcomes = [_outcome(each) for each in content.pop("outcomes")]
        report = Report(**content, outcomes=outcomes)
        _check(report)
    return report


def _outcome(content: Mapping[str, Any]) -> Outcome:
    figures = tuple(Figure(**{**each, "better": Better(each["better"])}) for each in content["figures"])
    rest = {key: value for key, value in content.items() if key not in ("figures", "summary")}
    return Outcome(**rest, figures=figures)


def _check(report: Report) -> None:
    """Raise `ValueError` where the content has another shape than `to_json` gives it."""
    for name, kind in (("contestants", list), ("environment", dict), ("settings", dict), ("about", dict)):
        if not isinstance(getattr(report, name), kind):
            raise ValueError(f"no {name}")
    for outcome in report.outcomes:
        for name, samples in outcome.samples.items():
            values: list[object] = [value for sample in samples for value in sample.values()]
            for value in values:
                if not isinstance(value, (int, float)) or not math.isfinite(value):
                    raise ValueError(f"{outcome.workload} {outcome.case} of {name}: {value!r} is no figure")


def read(path: Path) -> Report:
    """The report in a file; errors as `Format.read` and `Format.parse`."""
    return from_json(FORMAT.read(path), str(path))


def with_process_figures(figures: Iterable[Figure], keys: Iterable[str]) -> tuple[Figure, ...]:
    """The figures of a workload, then those of `PROCESS_FIGURES` with these keys."""
    wanted = set(keys)
    return (*figures, *(figure for figure in PROCESS_FIGURES if figure.key in wanted))
