"""How far measuring is: a bar with the time left, or a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from aimstore.cli.output import say

if TYPE_CHECKING:
    from aimstore.bench.runner import OnStep

LINE_SECONDS: Final = 30.0
"""Seconds between two lines, where stderr is no terminal."""

BAR_COLUMNS: Final = 100
"""Columns of a terminal from which there is room for a bar."""


@contextmanager
def measuring_progress(total: int) -> Iterator[OnStep]:
    """Show the steps done of `total`: in a terminal by a bar, elsewhere by lines on stderr."""
    if not sys.stderr.isatty():
        yield _lines(total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.table import Column

    console = Console(stderr=True)
    done = "{task.completed:.0f}/{task.total:.0f} {task.description}"
    columns: list[ProgressColumn] = [
        TextColumn(done, markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    ]
    if console.width >= BAR_COLUMNS:
        columns = [BarColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), *columns]
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda text, done: bar.update(task, completed=done, description=text)


def _lines(total: int) -> OnStep:
    begun = told = time.monotonic()

    def tell(text: str, done: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= LINE_SECONDS:
            told = now
            say(f"{done}/{total} after {now - begun:.0f} s: {text}")

    return tell
