"""What the commands of `aimstore bench` do with their results: a bar while they come, then tables, files and exit codes."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.output import say
from aimstore.cli.program import INTERRUPTED
from aimstore.errors import ConfigError

if TYPE_CHECKING:
    from types import FrameType

    from aimstore.bench.runner import Contestant, Plan, Say, Schedule

QUICK: Final = 1
"""Repetitions of `--quick`, which is to take less than a minute with two engines."""


def measure(
    kind: str,
    plans: list[Plan],
    contestants: Any,
    settings: dict[str, Any],
    *,
    quick: bool,
    repeat: int | None,
    warmup: int | None,
    folder: Path | None,
    json_file: Path | None,
    html: Path | None,
    png: Path | None,
    tmpfs: Path | None = None,
    notes: list[str] | None = None,
    facts: list[list[str]] | None = None,
) -> None:
    """Measure, and put the results where they are wanted."""
    from aimstore.bench import environment
    from aimstore.bench.report import Report, to_json
    from aimstore.bench.runner import Schedule
    from aimstore.bench.runner import run as run_all
    from aimstore.bench.tables import show, troubles

    if html or png:
        from aimstore.bench.charts import check_library

        check_library()
    if not plans:
        raise ConfigError("nothing to measure")
    places = {"": folder, "disk": folder, "tmpfs": tmpfs}
    schedule = Schedule(
        repeat=repeat or (QUICK if quick else 5),
        warmup=(0 if quick else 1) if warmup is None else warmup,
        places={name: place for name, place in places.items() if place is not None},
    )
    names = [contestant.name for contestant in contestants]
    settings = {"quick": quick, "repeat": schedule.repeat, "warmup": schedule.warmup, **settings}
    used = [folder or Path(tempfile.gettempdir()), *([tmpfs] if tmpfs else [])]
    report = Report(kind, names, environment.describe(used), settings, notes=notes or [], facts=facts or [])
    with _bar(schedule, plans, contestants) as bar, _ended_by_sigterm():
        run_all(plans, contestants, schedule, report, bar)
    if json_file != Path("-"):
        show(report, _console())  # before the files, which may not be written
    if json_file is not None or report.interrupted:
        target = json_file or _unused(Path("aimstore-bench-interrupted.json"))
        write(target, to_json(report))
        if report.interrupted:
            say(f"interrupted; the results until then are in {target}")
    if html is not None:
        from aimstore.bench.html import page

        write(html, page(report))
    if png is not None:
        from aimstore.bench.charts import write_pngs

        png.mkdir(parents=True, exist_ok=True)
        write_pngs(report, png)
    if json_file == Path("-"):
        for line, _ in troubles(report):
            say(line)
    if report.interrupted:
        raise SystemExit(INTERRUPTED)
    if report.failed:
        raise SystemExit(1)


def _unused(path: Path) -> Path:
    number = 1
    while path.exists():
        number += 1
        path = path.with_stem(f"aimstore-bench-interrupted-{number}")
    return path


def write(path: Path, text: str) -> None:
    if path == Path("-"):
        click.echo(text, nl=False)
    else:
        path.write_text(text, encoding="utf-8")


def print_wide(renderable: Any) -> None:
    console = _console()
    if not console.is_terminal:
        console.width = 200
    console.print(renderable)


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends measuring as Ctrl-C does, so that no process is left over."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _bar(schedule: Schedule, plans: list[Plan], contestants: list[Contestant]) -> Iterator[Say]:
    """A bar with the time left, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda text, done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=schedule.steps(plans, contestants))
        yield lambda text, done: progress.update(task, completed=done, description=text)
