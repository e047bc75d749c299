"""What the commands of `aimstore bench` do with their results: a bar while they come, then tables, files and exit codes."""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.output import say
from aimstore.cli.program import INTERRUPTED
from aimstore.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from types import FrameType

    from aimstore.bench.report import Report
    from aimstore.bench.runner import Contestant, Plan, Say, Schedule

QUICK: Final = 1
"""Repetitions of `--quick`, which is to take less than a minute with two engines."""

TELL_EVERY: Final = 30.0
"""Seconds between two lines of progress, where stderr is no terminal."""

ROOMY: Final = 100
"""Columns of a terminal from which there is room for a bar."""


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
    gone = unsaved = None
    if json_file != Path("-"):
        gone = _attempt(lambda: _print(lambda console: show(report, console)))
    if json_file is not None or report.interrupted:
        target = json_file or _unused("aimstore-bench-interrupted")
        unsaved = _attempt(lambda: write(target, to_json(report)))
        if report.interrupted:
            say("interrupted" if unsaved else f"interrupted; the results until then are in {target}")
    drawn = [_attempt(lambda: _html(html, report)), _attempt(lambda: _pngs(png, report))]
    lost = [error for error in (gone, unsaved, *drawn) if error is not None]
    saved = unsaved is None and (json_file is not None or report.interrupted)
    if any(error.errno != errno.EPIPE for error in lost) and not saved:
        _rescue(to_json(report))
    if json_file == Path("-"):
        for line, _ in troubles(report):
            say(line)
    for error in lost:
        if error.errno == errno.EPIPE:
            raise error
    if report.interrupted:
        raise SystemExit(INTERRUPTED)
    if report.failed or lost:
        raise SystemExit(1)


def _attempt(output: Callable[[], object]) -> OSError | None:
    """Write what can be written, whatever else cannot. The error, which has been said, unless it is that the reader has gone."""
    try:
        output()
    except OSError as error:
        if error.errno != errno.EPIPE:
            say(f"Error: {error if isinstance(error, StorageError) else f'stdout cannot be written: {error.strerror}'}")
        return error
    return None


def _html(path: Path | None, report: Report) -> None:
    if path is not None:
        from aimstore.bench.html import page

        write(path, page(report))


def _pngs(folder: Path | None, report: Report) -> None:
    if folder is not None:
        from aimstore.bench.charts import write_pngs

        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_pngs(report, folder)
        except OSError as error:
            raise StorageError(f"charts cannot be written into {folder}: {error.strerror}") from error


def _rescue(text: str) -> None:
    """Put the results where there is room, for they may have taken hours."""
    for folder in (Path(), Path(tempfile.gettempdir())):
        path = _unused("aimstore-bench-results", folder)
        with suppress(StorageError):
            write(path, text)
            say(f"the results are in {path}")
            return


def _unused(name: str, folder: Path = Path()) -> Path:
    path, number = folder / f"{name}.json", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.json"
    return path


def write(path: Path, text: str) -> None:
    """Write a text to a file, which has all of it or is as it was; - is stdout.

    Raises:
        StorageError: that cannot be done.
    """
    if path == Path("-"):
        click.echo(text, nl=False)
        return
    path = path.resolve() if path.is_symlink() else path
    whole = path if path.exists() and not path.is_file() else path.with_name(f".{path.name}-{os.getpid()}")
    try:
        whole.write_text(text, encoding="utf-8")
        if whole != path:
            whole.replace(path)
    except OSError as error:
        if whole != path:
            whole.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error


def print_wide(renderable: Any) -> None:
    """Print something of rich's; where that is no terminal, wide enough that nothing is cut."""

    def show(console: Any) -> None:
        if not console.is_terminal:
            console.width = 200
        console.print(renderable)

    _print(show)


def _print(show: Callable[[Any], None]) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    with console.capture() as captured:  # rich would end the program where the reader has gone
        show(console)
    click.echo(captured.get(), nl=False)


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
    """A bar with the time left, where stderr is a terminal, else a line now and then."""
    total = schedule.steps(plans, contestants)
    if not sys.stderr.isatty():
        yield _lines(total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    console = Console(stderr=True)
    done = "{task.completed:.0f}/{task.total:.0f} {task.description}"
    columns: list[ProgressColumn] = [
        TextColumn(done, markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    ]
    if console.width >= ROOMY:
        columns = [BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), *columns]
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda text, done: progress.update(task, completed=done, description=text)


def _lines(total: int) -> Say:
    begun = told = time.monotonic()

    def tell(text: str, done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= TELL_EVERY:
            told = now
            say(f"{done}/{total} after {now - begun:.0f} s: {text}")

    return tell
