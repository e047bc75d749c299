"""One measurement: how often and where, with the signals that end it, and its exit code."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from aimstore.cli.bench.outputs import Outputs
from aimstore.cli.bench.progress import measuring_progress
from aimstore.cli.program import INTERRUPTED
from aimstore.errors import ConfigError

if TYPE_CHECKING:
    from types import FrameType

    from aimstore.bench.outcomes import Report
    from aimstore.bench.runner import Contestant, Plan, Schedule

REPETITIONS: Final = 5
QUICK_REPETITIONS: Final = 1
"""Repetitions of `--quick`, which is to take less than a minute with two engines."""

STOPPING: Final = b"stopping: ending what was started, then writing the results so far\n"


@dataclass(frozen=True)
class Effort:
    """How often is measured, and where.

    Attributes:
        quick: with small sizes.
        repeat: repetitions of each; None as `quick` says.
        warmup: unmeasured ones before them; None as `quick` says.
        folder: of the repositories; None is the temporary folder.
    """

    quick: bool
    repeat: int | None
    warmup: int | None
    folder: Path | None

    def schedule(self, *, tmpfs: Path | None = None, warmup: int = 1) -> Schedule:
        """The schedule with these folders, and with `warmup` where the user gave none."""
        from aimstore.bench.runner import Schedule

        folders = {"": self.folder, "disk": self.folder, "tmpfs": tmpfs}
        return Schedule(
            repeat=self.repeat or (QUICK_REPETITIONS if self.quick else REPETITIONS),
            warmup=(0 if self.quick else warmup) if self.warmup is None else self.warmup,
            folders={name: folder for name, folder in folders.items() if folder is not None},
        )

    def settings(self, schedule: Schedule) -> dict[str, Any]:
        """What a report notes of it."""
        return {"quick": self.quick, "repeat": schedule.repeat, "warmup": schedule.warmup}


def environment_of(schedule: Schedule) -> dict[str, Any]:
    """The environment of a report, with the file systems of the folders that are measured."""
    from aimstore.bench import environment

    temporary = Path(tempfile.gettempdir())
    return environment.describe([schedule.folders.get("", temporary), *schedule.folders.values()])


def measure(
    report: Report, plans: Sequence[Plan], contestants: Sequence[Contestant], schedule: Schedule, outputs: Outputs
) -> None:
    """Measure every plan, put the results into `report`, and write it. Exits with 1 where something failed or could not be
    written, and with 130 after an interruption."""
    from aimstore.bench.runner import run

    if not plans:
        raise ConfigError("nothing to measure")
    with measuring_progress(schedule.steps(plans, contestants)) as on_step, _stopped_by_signals():
        run(plans, contestants, schedule, report, on_step)
    errors = outputs.write(report)
    for error in errors:
        if error.errno == errno.EPIPE:
            raise error
    if report.interrupted:
        raise SystemExit(INTERRUPTED)
    if report.failed or errors:
        raise SystemExit(1)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM ends measuring as Ctrl-C does, so that no process is left over; the user is told at once what happens then."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        os.write(2, STOPPING)  # a handler may interrupt a print, which would not be entered again
        raise KeyboardInterrupt

    heeded = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) != signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
