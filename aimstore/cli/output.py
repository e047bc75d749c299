"""Output of commands: results on stdout, as tables that fit the terminal or as JSON; progress on stderr.

Control characters in text from a repository are escaped, so that the text can neither break a table nor control the
terminal.
"""

from __future__ import annotations

import base64
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import singledispatch
from itertools import pairwise
from threading import Timer
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.encoding.tensors import python_scalar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from aimstore.repository.reindex import Advance

SHORT_HASH: Final = 8
"""Minimum number of digits shown of a run hash if the terminal is too narrow for all 24."""

STATUS_DELAY_SECONDS: Final = 0.7
"""Seconds of work after which a terminal shows what the command is doing."""

_UNLIMITED: Final = 100_000
"""Width, in columns, of an output that is not a terminal."""


@dataclass(frozen=True)
class Column:
    """A column of a table, and how it shrinks if the terminal is too narrow for the table.

    Attributes:
        title: the heading.
        right: align to the right.
        hashes: the column holds run hashes, which are cut to the digits needed to tell them apart.
        whole: never cut this column. Other columns are cut, and end in "…".
        spare: drop this column if cutting is not enough.
        wraps: continue on the next line instead of cutting.
        styles: the rich style of a cell, by its text.
    """

    title: str
    right: bool = False
    hashes: bool = False
    whole: bool = False
    spare: bool = False
    wraps: bool = False
    styles: Mapping[str, str] = field(default_factory=dict)


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, known: Sequence[str] = ()) -> None:
    """Print rows of text. A pipe or a file receives every cell in full.

    Args:
        columns: the columns of the table.
        rows: each row holds one text per column.
        known: further hashes from which a cut hash must differ.
    """
    console = _console()
    table = _table(columns, rows)
    if not console.is_terminal:
        with console.capture() as captured:
            console.print(table)
        click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
        return
    if _width(console, table) > console.width:
        rows = _with_short_hashes(columns, rows, known)
        table = _table(columns, rows)
    kept = list(range(len(columns)))
    for i in [i for i in reversed(kept) if columns[i].spare]:
        if _width(console, table) > console.width:
            kept.remove(i)
            table = _table([columns[k] for k in kept], [[row[k] for k in kept] for row in rows])
    console.print(table)


def _width(console: Console, table: Table) -> int:
    return console.measure(table, options=console.options.update(width=_UNLIMITED)).maximum


def print_cut(lines: Iterable[str]) -> None:
    """Print lines of text. A terminal shows them cut to its width."""
    console = _console()
    for line in lines:
        if console.is_terminal:
            console.print(line, no_wrap=True, overflow="ellipsis", markup=False, emoji=False)
        else:
            click.echo(line)


def _table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            Text(column.title), justify="right" if column.right else "left", no_wrap=column.whole or column.hashes
        )
    for row in rows:
        table.add_row(
            *(
                Text(printable(cell), column.styles.get(cell, ""), no_wrap=not column.wraps, overflow="ellipsis")
                for column, cell in zip(columns, row, strict=True)
            )
        )
    return table


def _with_short_hashes(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], known: Sequence[str]
) -> list[list[str]]:
    where = [i for i, column in enumerate(columns) if column.hashes]
    hashes = sorted({row[i] for row in rows for i in where}.union(known))
    shared = max((_common(left, right) for left, right in pairwise(hashes)), default=0)
    digits = max(SHORT_HASH, shared + 1)
    return [[cell[:digits] if i in where else cell for i, cell in enumerate(row)] for row in rows]


def _common(left: str, right: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=_UNLIMITED)


# Cells


def printable(text: str) -> str:
    """`text` with unprintable characters escaped."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def number(value: float | int | None) -> str:
    """A float with six significant digits; "-" for None."""
    return "-" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def moment(value: datetime | None, *, exactly: bool = False) -> str:
    """Local time to the minute, or with `exactly` to the second with its time zone; "-" for None."""
    return "-" if value is None else f"{value.astimezone():{'%Y-%m-%d %H:%M:%S %Z' if exactly else '%Y-%m-%d %H:%M'}}"


def duration(seconds: float | None) -> str:
    """`850 ms`, `12.3 s`, `4m 05s`, `3h 07m` or `2d 11h`; "-" for None."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02}m"
    return f"{hours // 24}d {hours % 24:02}h"


def size(nbytes: int) -> str:
    """`312 B`, `4.0 KiB`, …"""
    value, unit = float(nbytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{nbytes} B" if unit == "B" else f"{value:.1f} {unit}"


def context(value: Mapping[str, Any]) -> str:
    """`subset=train, fold=1`; "-" for an empty context."""
    return ", ".join(f"{key}={item}" for key, item in value.items()) or "-"


# JSON


def print_json(value: Any) -> None:
    """Print `value`, converted by `jsonable`, as one JSON document."""
    import json

    click.echo(json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False))


@singledispatch
def jsonable(value: Any) -> Any:
    """Convert `value` to JSON types, the same way in every command.

    Floats that are not finite become the strings "NaN", "Infinity" and "-Infinity"; times become ISO 8601 with their
    offset; durations become seconds; bytes become base64; arrays become nested lists; NumPy scalars become numbers.
    Keys become strings; if a key looks like another key's string, its type follows: {1: 0, "1": 0} has the keys "1
    (int)" and "1". Every other value becomes a string.
    """
    if value is None:
        return None
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # do not import NumPy only to recognize its values
        return jsonable(value.tolist() if value.shape else python_scalar(value))
    return str(value)


@jsonable.register(bool)
@jsonable.register(int)
@jsonable.register(str)
def _as_it_is(value: Any) -> Any:
    return value


@jsonable.register
def _float(value: float) -> Any:
    return value if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"


@jsonable.register
def _datetime(value: datetime) -> Any:
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()


@jsonable.register
def _date(value: date) -> Any:
    return value.isoformat()


@jsonable.register
def _timedelta(value: timedelta) -> Any:
    return value.total_seconds()


@jsonable.register(Mapping)
def _mapping(value: Mapping[Any, Any]) -> Any:
    taken = {key for key in value if isinstance(key, str)}
    found = {}
    for key, item in value.items():
        name = str(key)
        if not isinstance(key, str):
            while name in taken:
                name += f" ({type(key).__name__})"
            taken.add(name)
        found[name] = jsonable(item)
    return found


@jsonable.register(list)
@jsonable.register(tuple)
@jsonable.register(set)
@jsonable.register(frozenset)
def _items(value: Any) -> Any:
    return [jsonable(item) for item in value]


@jsonable.register(bytes)
@jsonable.register(bytearray)
@jsonable.register(memoryview)
def _bytes(value: Any) -> Any:
    return base64.b64encode(value).decode()


# Progress


def say(text: str) -> None:
    """Print a line for the user on stderr."""
    click.echo(text, err=True)


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show what the command is doing if it takes long and stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    status = _console(stderr=True).status(text)
    later = Timer(STATUS_DELAY_SECONDS, status.start)
    later.daemon = True
    later.start()
    try:
        yield
    finally:
        later.cancel()
        later.join()  # it may be starting right now
        status.stop()


@contextmanager
def progress_bar(text: str) -> Iterator[Advance]:
    """Yield a function that takes the number done and the total. It draws a bar if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
