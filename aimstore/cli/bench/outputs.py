"""Where results go: tables on stdout, JSON, a page and pictures. None of them is lost because another one cannot be written."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.output import say
from aimstore.errors import StorageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from aimstore.bench.outcomes import Report

STDOUT: Final = Path("-")

PIPE_COLUMNS: Final = 200
"""Columns of an output that is no terminal."""


@dataclass(frozen=True)
class Outputs:
    """What is written besides the tables; None is nothing.

    Attributes:
        json: file for every sample, or `STDOUT`, which then gets no tables.
        html: file for the page.
        png: folder for the charts.
    """

    json: Path | None
    html: Path | None
    png: Path | None

    def check(self) -> None:
        """Raise `PluginError` where the libraries for pages and pictures are needed and missing."""
        if self.html or self.png:
            from aimstore.bench.page import check_libraries

            check_libraries()

    def write(self, report: Report) -> list[OSError]:
        """Write all of it, and an interrupted report in any case. The errors, of which the user has been told."""
        from aimstore.bench.outcomes import to_json

        errors = [] if self.json == STDOUT else [_attempt(lambda: _print_report(report))]
        target = self.json or (_unused_name("aimstore-bench-interrupted") if report.interrupted else None)
        is_saved = False
        if target is not None:
            errors.append(_attempt(lambda: write_text(target, to_json(report))))
            is_saved = errors[-1] is None
        if report.interrupted:
            say(f"interrupted; the results until then are in {target}" if is_saved else "interrupted")
        errors += [_attempt(lambda: self._write_page(report)), _attempt(lambda: self._write_pictures(report))]
        found = [error for error in errors if error is not None]
        if not is_saved and any(error.errno != errno.EPIPE for error in found):
            _rescue(to_json(report))
        if self.json == STDOUT:
            _tell_problems(report)
        return found

    def _write_page(self, report: Report) -> None:
        if self.html is not None:
            from aimstore.bench.page import page

            write_text(self.html, page(report))

    def _write_pictures(self, report: Report) -> None:
        if self.png is not None:
            from aimstore.bench.drawing import write_pngs

            try:
                self.png.mkdir(parents=True, exist_ok=True)
                write_pngs(report, self.png)
            except OSError as error:
                raise StorageError(f"charts cannot be written into {self.png}: {error.strerror}") from error


def _attempt(output: Callable[[], object]) -> OSError | None:
    """The error of an output that failed. The user is told, unless the error is that the reader of stdout has gone."""
    try:
        output()
    except OSError as error:
        if error.errno != errno.EPIPE:
            say(f"Error: {error if isinstance(error, StorageError) else f'stdout cannot be written: {error.strerror}'}")
        return error
    return None


def _print_report(report: Report) -> None:
    from aimstore.bench.terminal import report_tables

    print_wide(report_tables(report))


def _tell_problems(report: Report) -> None:
    from aimstore.bench.tables import failures, omissions

    for line in failures(report) + omissions(report):
        say(line)


def _rescue(text: str) -> None:
    """Write the results where there is room, for they may have taken hours."""
    for folder in (Path(), Path(tempfile.gettempdir())):
        path = _unused_name("aimstore-bench-results", folder)
        with suppress(StorageError):
            write_text(path, text)
            say(f"the results are in {path}")
            return


def _unused_name(name: str, folder: Path = Path()) -> Path:
    path, number = folder / f"{name}.json", 1
    while path.exists():
        number += 1
        path = folder / f"{name}-{number}.json"
    return path


def write_text(path: Path, text: str) -> None:
    """Write a text to a file, which has all of it or is as it was; or to stdout.

    Raises:
        StorageError: that cannot be done.
    """
    if path == STDOUT:
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


def print_wide(renderable: RenderableType) -> None:
    """Print something of rich's; where stdout is no terminal, wide enough that nothing is cut."""
    from rich.console import Console

    console: Any = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPE_COLUMNS
    with console.capture() as captured:  # rich would end the program where the reader has gone
        console.print(renderable)
    click.echo(captured.get(), nl=False)
