"""Options of the commands that measure, and what their values mean."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from aimstore.cli.bench.measuring import Effort
from aimstore.cli.bench.outputs import STDOUT, Outputs
from aimstore.cli.options import traceback_option

FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)
EXISTING_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
FILE: Final = click.Path(path_type=Path)


def comma_separated(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    """The different names in `A,B,…`; none where the option is not given."""
    if value is None:
        return []
    found = list(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))
    if not found:
        raise click.BadParameter(f"{value!r} names none")
    return found


def key_values(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """The texts by their keys, of a repeated KEY=VALUE."""
    found = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise click.BadParameter(f"{text!r} is not {parameter.metavar}")
        found[key.strip()] = value.strip()
    return found


def writable_file(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """A path that a file can have, for after hours of measuring is too late to find out."""
    if value is not None and value != STDOUT:
        if not value.absolute().parent.is_dir():
            raise click.BadParameter(f"there is no folder {value.parent} to write {value.name} into")
        if value.is_dir():
            raise click.BadParameter(f"{value} is a folder")
    return value


def engine_options(options: dict[str, str]) -> dict[str, dict[str, Any]]:
    """The options by engine, of texts by ENGINE.KEY."""
    from aimstore.config import parse_value

    found: dict[str, dict[str, Any]] = {}
    for name, text in options.items():
        engine, dot, key = name.partition(".")
        if not dot or not key:
            raise click.BadParameter(
                f"{name}={text} does not say of which engine: ENGINE.KEY=VALUE", param_hint="'--option'"
            )
        found.setdefault(engine, {})[key] = parse_value(text)
    return found


_MEASURING: Final = (
    click.option("--repeat", type=click.IntRange(1), metavar="N", help="Repetitions (default 5; 1 with --quick)."),
    click.option(
        "--warmup",
        type=click.IntRange(0),
        metavar="N",
        help="Unmeasured warm-up repetitions (default 1; 0 with --quick and for peers).",
    ),
    click.option("--quick", is_flag=True, help="Small sizes, for a look that is not to be quoted."),
    click.option(
        "--dir", "folder", type=FOLDER, metavar="DIR", help="Folder for the repositories (default: temporary folder)."
    ),
    click.option(
        "--json",
        "json_file",
        type=FILE,
        metavar="FILE",
        callback=writable_file,
        help="Write every sample and the environment to FILE; - for stdout.",
    ),
    click.option(
        "--html", type=FILE, metavar="FILE", callback=writable_file, help="Write a page with tables and charts to FILE."
    ),
    click.option(
        "--png",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Write the charts into DIR as PNG files.",
    ),
    traceback_option,
)


def measuring_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that measures, given as `effort: Effort` and `outputs: Outputs`."""

    @wraps(command)
    def collect(
        *,
        quick: bool,
        repeat: int | None,
        warmup: int | None,
        folder: Path | None,
        json_file: Path | None,
        html: Path | None,
        png: Path | None,
        **rest: Any,
    ) -> None:
        outputs = Outputs(json_file, html, png)
        outputs.check()
        command(effort=Effort(quick, repeat, warmup, folder), outputs=outputs, **rest)

    for option in reversed(_MEASURING):
        collect = option(collect)
    return collect
