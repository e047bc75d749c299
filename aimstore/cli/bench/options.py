"""Options of the commands that measure, and what their values mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from aimstore.cli.bench.measuring import Effort
from aimstore.cli.bench.outputs import STDOUT, Outputs
from aimstore.cli.options import traceback_option


class _Names(click.ParamType):  # type: ignore[type-arg]  # generic in the newest click only
    """Different names, separated by commas."""

    name = "A,B,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[str]:
        found = list(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))
        if not found:
            self.fail(f"{value!r} names none", param, ctx)
        return found


class KeyValue(click.ParamType):  # type: ignore[type-arg]
    """A pair of texts; `name` is its form."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, _, text = value.partition("=")
        if not key.strip() or not text.strip():
            self.fail(f"{value!r} is not {self.name}", param, ctx)
        return key.strip(), text.strip()


class _WritableFile(click.Path):
    """A path that a file can have, or stdout: after hours of measuring is too late to find out."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(value)
        if path != STDOUT and not path.absolute().parent.is_dir():
            self.fail(f"there is no folder {path.parent} to write {path.name} into", param, ctx)
        if path.is_dir():
            self.fail(f"{path} is a folder", param, ctx)
        return path


NAMES: Final = _Names()
WRITABLE_FILE: Final = _WritableFile(dir_okay=False)
EXISTING_FILE: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
EXISTING_FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)
FOLDER: Final = click.Path(path_type=Path, file_okay=False)


def engine_options(options: Iterable[tuple[str, str]]) -> dict[str, dict[str, Any]]:
    """The options by engine, of pairs ENGINE.KEY and VALUE."""
    from aimstore.config import parse_value

    found: dict[str, dict[str, Any]] = {}
    for name, text in options:
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
        "--dir", "folder", type=EXISTING_FOLDER, help="Folder for the repositories (default: temporary folder)."
    ),
    click.option("--json", type=WRITABLE_FILE, help="Write every sample and the environment to FILE; - for stdout."),
    click.option("--html", type=WRITABLE_FILE, help="Write a page with tables and charts to FILE."),
    click.option("--png", type=FOLDER, help="Write the charts into DIRECTORY as PNG files."),
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
        json: Path | None,
        html: Path | None,
        png: Path | None,
        **rest: Any,
    ) -> None:
        outputs = Outputs(json, html, png)
        outputs.check()
        command(effort=Effort(quick, repeat, warmup, folder), outputs=outputs, **rest)

    for option in reversed(_MEASURING):
        collect = option(collect)
    return collect
