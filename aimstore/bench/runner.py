"""The order of repetitions: each in a fresh process, the contestants in turn (A B A B …), and what becomes of those that fail."""

from __future__ import annotations

import errno
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from aimstore.bench.processes import FailedError
from aimstore.bench.report import Outcome, Report
from aimstore.bench.sizes import size_of
from aimstore.bench.workload import Case, Figure

Say = Callable[[str, int], None]
"""Called with what is being done, and the number of steps done so far."""

INTERNAL: Final = ("before_bytes", "units", "written_bytes")
"""What a process says of itself for the figures below, and what no report shows."""


@dataclass(frozen=True)
class Plan:
    """One case to be measured.

    Attributes:
        workload: its name.
        case: of it.
        figures: that are shown.
        sizes: of the workload and the case.
        prepared: see `Workload.prepared`; what has one name is made once for each contestant.
        repeat: repetitions of each contestant; None as the schedule says.
        place: key of the folder in which it happens.
        data: for the contestants, who know what it is.
        about: what the workload measures, for people; "" where its name says it.
    """

    workload: str
    case: Case
    figures: tuple[Figure, ...]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    prepared: str = ""
    repeat: int | None = None
    place: str = ""
    data: Any = None
    about: str = ""


class Contestant(Protocol):
    """What is measured: an engine, or another tool."""

    name: str

    def refusal(self, plan: Plan) -> str:
        """Why it cannot do a case; "" where it can."""

    def prepare(self, plan: Plan, folder: Path) -> None:
        """Make what is measured upon in `folder`, which does not exist; raises `FailedError`."""

    def repeat(self, plan: Plan, folder: Path) -> dict[str, float]:
        """One repetition in `folder`, which is empty, does not exist, or is as `prepare` left it. Raises `FailedError`.

        Returns the figures, with `before_bytes`, `units` and `written_bytes` where the stored bytes are to be known.
        """


@dataclass(frozen=True)
class Schedule:
    """How it is measured.

    Attributes:
        repeat: repetitions of each contestant.
        warmup: repetitions before them that do not count.
        places: folders by name; "" is the default.
    """

    repeat: int = 5
    warmup: int = 1
    places: Mapping[str, Path] = field(default_factory=dict)

    def steps(self, plans: Sequence[Plan], contestants: Sequence[Contestant]) -> int:
        """Repetitions in all, as far as is known before."""
        return sum(
            self.warmup + (plan.repeat or self.repeat)
            for plan in plans
            for contestant in contestants
            if not contestant.refusal(plan)
        )


def run(
    plans: Sequence[Plan], contestants: Sequence[Contestant], schedule: Schedule, report: Report, say: Say
) -> Report:
    """Measure every plan, and put what comes of it into `report`, which is returned.

    A contestant that fails is left out of the rest of that case; the others go on. An interruption ends it all, is noted in the
    report, and not raised.
    """
    _Runner(contestants, schedule, report, say).run(plans)
    return report


class _Runner:
    def __init__(self, contestants: Sequence[Contestant], schedule: Schedule, report: Report, say: Say) -> None:
        self._contestants = contestants
        self._schedule = schedule
        self._report = report
        self._say = say
        self._done = 0
        self._made: dict[tuple[str, str, str], Path] = {}
        self._unmade: dict[tuple[str, str, str], str] = {}
        self._folders: dict[str, Path] = {}

    def run(self, plans: Sequence[Plan]) -> None:
        try:
            for plan in plans:
                outcome = Outcome(
                    plan.workload,
                    plan.case.name,
                    plan.case.title,
                    plan.figures,
                    {name: value for name, value in plan.sizes.items() if not name.startswith("_")},
                    plan.case.axis,
                    plan.case.at,
                )
                self._report.outcomes.append(outcome)
                if plan.about:
                    self._report.about[plan.workload] = plan.about
                self._measure(plan, outcome)
        except KeyboardInterrupt:
            self._report.interrupted = True
        finally:
            for folder in self._folders.values():
                shutil.rmtree(folder, ignore_errors=True)

    def _measure(self, plan: Plan, outcome: Outcome) -> None:
        taking_part: list[Contestant] = []
        for contestant in self._contestants:
            if reason := contestant.refusal(plan):
                outcome.skipped[contestant.name] = reason
            else:
                outcome.samples[contestant.name] = []
                taking_part.append(contestant)
        repeat = plan.repeat or self._schedule.repeat
        for number in range(-self._schedule.warmup, repeat):
            for contestant in [each for each in taking_part if each.name not in outcome.failures]:
                self._say(f"{plan.workload}: {plan.case.title} ({contestant.name})", self._done)
                try:
                    sample = self._repetition(plan, contestant)
                except (FailedError, OSError) as error:
                    if isinstance(error, OSError) and error.errno != errno.ENOSPC:
                        raise
                    outcome.failures[contestant.name] = self._without_paths(str(error))
                    self._done += repeat - number
                    continue
                self._done += 1
                if number >= 0:
                    outcome.samples[contestant.name].append(sample)

    def _repetition(self, plan: Plan, contestant: Contestant) -> dict[str, float]:
        if plan.prepared:
            return _figures(contestant.repeat(plan, self._prepared(plan, contestant)), None)
        folder = self._folder(plan.place) / "repetition"
        try:
            sample = contestant.repeat(plan, folder)
            return _figures(sample, size_of(folder) if folder.exists() else 0)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _prepared(self, plan: Plan, contestant: Contestant) -> Path:
        key = (plan.place, contestant.name, plan.prepared)
        if key in self._unmade:
            raise FailedError(self._unmade[key])
        if key not in self._made:
            self._say(f"{plan.workload}: preparing {plan.prepared} ({contestant.name})", self._done)
            folder = self._folder(plan.place) / f"prepared-{len(self._made) + len(self._unmade)}"
            try:
                contestant.prepare(plan, folder)
            except FailedError as error:
                self._unmade[key] = str(error)
                shutil.rmtree(folder, ignore_errors=True)  # the others may need its room
                raise
            self._made[key] = folder
        return self._made[key]

    def _folder(self, place: str) -> Path:
        if place not in self._folders:
            within = self._schedule.places.get(place)
            made = tempfile.mkdtemp(prefix="aimstore-bench-", dir=within)
            self._folders[place] = Path(made).absolute()  # processes work in folders of their own
        return self._folders[place]

    def _without_paths(self, text: str) -> str:
        for folder in self._folders.values():
            text = text.replace(f"{folder}/", "").replace(str(folder), "…")
        text = re.sub(r"\bprepared-\d+\b", "prepared", text)  # one reason is told once, however often it was met
        with suppress(RuntimeError):
            text = text.replace(str(Path.home()), "~")
        return text


def _figures(sample: Mapping[str, float], stored: int | None) -> dict[str, float]:
    """What a process said, and what follows from what it left on the disk; None where that was there before."""
    found = {name: value for name, value in sample.items() if name not in INTERNAL}
    added = 0 if stored is None else stored - sample.get("before_bytes", 0)
    if added > 0:
        found["stored_mb"] = added / 1e6
        if units := sample.get("units"):
            found["bytes_per_unit"] = added / units
        if written := sample.get("written_bytes"):
            found["amplification"] = written / added
    return found
