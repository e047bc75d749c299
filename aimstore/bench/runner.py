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

from aimstore.bench.outcomes import Outcome, Report
from aimstore.bench.processes import FailedError
from aimstore.bench.sizes import size_of
from aimstore.bench.workload import Case, Figure

OnStep = Callable[[str, int], None]
"""Called with what is being done, and the number of steps done so far."""

UNREPORTED: Final = ("before_bytes", "units", "written_bytes")
"""What a process says of itself, from which `_figures` derives the figures of stored bytes."""


@dataclass(frozen=True)
class Plan:
    """One case to be measured.

    Attributes:
        workload: its name.
        case: of it.
        figures: shown, in this order.
        sizes: of the workload and the case.
        prepared: see `Workload.prepared`.
        repeat: repetitions of each contestant; None takes those of the schedule.
        filesystem: name of the folder for the repositories, in `Schedule.folders`.
        data: for the contestants, which know its type.
        about: what the workload measures; "" where its name says it.
    """

    workload: str
    case: Case
    figures: tuple[Figure, ...]
    sizes: Mapping[str, Any] = field(default_factory=dict)
    prepared: str = ""
    repeat: int | None = None
    filesystem: str = ""
    data: Any = None
    about: str = ""


class Contestant(Protocol):
    """An engine or another tool that is measured."""

    name: str

    def refusal(self, plan: Plan) -> str:
        """The reason why it cannot do a case; "" where it can."""

    def prepare(self, plan: Plan, folder: Path) -> None:
        """Make the data of a case in `folder`, which does not exist yet; raises `FailedError`."""

    def repeat(self, plan: Plan, folder: Path) -> dict[str, float]:
        """Measure once, in `folder`, which does not exist yet or is as `prepare` left it. Raises `FailedError`.

        Returns the figures, and `before_bytes`, `units` and `written_bytes` where the report shows stored bytes.
        """


@dataclass(frozen=True)
class Schedule:
    """How often is measured, and where.

    Attributes:
        repeat: repetitions of each contestant.
        warmup: unmeasured warm-up repetitions.
        folders: for the repositories, by name; "" is the default. A name that is missing means the temporary folder.
    """

    repeat: int = 5
    warmup: int = 1
    folders: Mapping[str, Path] = field(default_factory=dict)

    def steps(self, plans: Sequence[Plan], contestants: Sequence[Contestant]) -> int:
        """The number of all repetitions, if none fails."""
        return sum(
            self.warmup + (plan.repeat or self.repeat)
            for plan in plans
            for contestant in contestants
            if not contestant.refusal(plan)
        )


def run(
    plans: Sequence[Plan], contestants: Sequence[Contestant], schedule: Schedule, report: Report, on_step: OnStep
) -> Report:
    """Measure every plan, and put the results into `report`, which is returned.

    A contestant that fails is left out of the rest of that case; the others go on. A `KeyboardInterrupt` ends everything; the
    report notes it, and it is not raised again.
    """
    _Runner(contestants, schedule, report, on_step).run(plans)
    return report


class _Runner:
    def __init__(self, contestants: Sequence[Contestant], schedule: Schedule, report: Report, on_step: OnStep) -> None:
        self._contestants = contestants
        self._schedule = schedule
        self._report = report
        self._on_step = on_step
        self._done = 0
        self._prepared_folders: dict[tuple[str, str, str], Path] = {}
        self._prepare_errors: dict[tuple[str, str, str], str] = {}
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
                self._on_step(f"{plan.workload}: {plan.case.title} ({contestant.name})", self._done)
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
        folder = self._folder(plan.filesystem) / "repetition"
        try:
            sample = contestant.repeat(plan, folder)
            return _figures(sample, size_of(folder) if folder.exists() else 0)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _prepared(self, plan: Plan, contestant: Contestant) -> Path:
        key = (plan.filesystem, contestant.name, plan.prepared)
        if key in self._prepare_errors:
            raise FailedError(self._prepare_errors[key])
        if key not in self._prepared_folders:
            self._on_step(f"{plan.workload}: preparing {plan.prepared} ({contestant.name})", self._done)
            folder = (
                self._folder(plan.filesystem) / f"prepared-{len(self._prepared_folders) + len(self._prepare_errors)}"
            )
            try:
                contestant.prepare(plan, folder)
            except FailedError as error:
                self._prepare_errors[key] = str(error)
                shutil.rmtree(folder, ignore_errors=True)  # the others may need its room
                raise
            self._prepared_folders[key] = folder
        return self._prepared_folders[key]

    def _folder(self, filesystem: str) -> Path:
        if filesystem not in self._folders:
            made = tempfile.mkdtemp(prefix="aimstore-bench-", dir=self._schedule.folders.get(filesystem))
            self._folders[filesystem] = Path(made).absolute()  # processes work in folders of their own
        return self._folders[filesystem]

    def _without_paths(self, text: str) -> str:
        for folder in self._folders.values():
            text = text.replace(f"{folder}/", "").replace(str(folder), "…")
        text = re.sub(r"\bprepared-\d+\b", "prepared", text)  # so that equal reasons are told once
        with suppress(RuntimeError):
            text = text.replace(str(Path.home()), "~")
        return text


def _figures(sample: Mapping[str, float], stored: int | None) -> dict[str, float]:
    """The figures of a process, and those of the bytes that it left on the disk; None where these were there before."""
    found = {name: value for name, value in sample.items() if name not in UNREPORTED}
    added = 0 if stored is None else stored - sample.get("before_bytes", 0)
    if added > 0:
        found["stored_mb"] = added / 1e6
        if units := sample.get("units"):
            found["bytes_per_unit"] = added / units
        if written := sample.get("written_bytes"):
            found["amplification"] = written / added
    return found
