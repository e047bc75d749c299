"""Options that commands share, and functions that interpret their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from aimstore.errors import InvalidRunHashError, RunNotFoundError

if TYPE_CHECKING:
    from aimstore.repo import Repo
    from aimstore.repository import Catalog

_F = TypeVar("_F", bound=Callable[..., Any])

TRACEBACK: Final = "aimstore.traceback"
"""Key in `Context.meta`. If set, errors are raised instead of shown as a message."""

LEAST_PREFIX: Final = 4
"""Minimum number of digits in a prefix of a run hash, so that a typing error matches no run."""

CANDIDATES: Final = 10
"""Maximum number of runs listed for an ambiguous prefix."""

_PREFIX = re.compile(r"[0-9a-f]{1,24}")


def _inherited(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Make `aimstore --repo PATH command` equal to `aimstore command --repo PATH`."""
    return ctx.find_root().params.get("repo") if value is None else value


def _remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.meta[TRACEBACK] = True


_repo = click.option(
    "--repo",
    metavar="PATH",
    callback=_inherited,
    help="Folder that holds .aim, or .aim itself (default: the nearest, searching upward).",
)
_traceback = click.option(
    "--traceback",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_remember,
    envvar="AIMSTORE_DEBUG",
    help="Show where an error was raised; the same as AIMSTORE_DEBUG=1.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")


def repo_option(command: _F) -> _F:
    """Add `--repo PATH`, passed as `repo: str | None`; see `open_repo`."""
    return _repo(command)


def traceback_option(command: _F) -> _F:
    """Add `--traceback`, which passes no argument."""
    return _traceback(command)


def json_option(command: _F) -> _F:
    """Add `--json`, passed as `as_json: bool`."""
    return _json(command)


def engine_options(texts: Iterable[str]) -> dict[str, Any]:
    """The engine options given by a repeated `--option KEY=VALUE`."""
    return dict(_key_value(text) for text in texts)


def _key_value(text: str) -> tuple[str, Any]:
    from aimstore.config import parse_value

    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="'--option'")
    return key.strip(), parse_value(value.strip())


def example(*lines: str) -> str:
    """Format command lines as the examples at the end of a command's help, for use as its `epilog`."""
    title = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", title, *(f"  $ {line}" for line in lines)])


def open_catalog(repo: str | None) -> Catalog:
    """Open the repository of `--repo` for commands that need more than the public interface."""
    from aimstore.repository import open_repository

    return open_repository(repo)


def open_repo(repo: str | None) -> Repo:
    """Open the repository of `--repo`."""
    return open_catalog(repo).facade()


def resolve_run(catalog: Catalog, prefix: str, *, more: Collection[str] = ()) -> str:
    """Return the hash of the only run whose hash begins with `prefix`, among all runs and `more`.

    A whole hash is a valid prefix.

    Raises:
        InvalidRunHashError: `prefix` is not hexadecimal, is too short, or matches several runs; the message lists them.
        RunNotFoundError: no run's hash begins with `prefix`.
    """
    if not _PREFIX.fullmatch(prefix):
        raise InvalidRunHashError(f"not a run hash: {prefix!r:.80}; a run hash is 24 lower-case hexadecimal digits")
    if len(prefix) < LEAST_PREFIX:
        raise InvalidRunHashError(f"{prefix!r} is too short to name a run; give {LEAST_PREFIX} digits of its hash")
    found = [run for run in sorted({*catalog.list_runs(), *more}) if run.startswith(prefix)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RunNotFoundError(f"no run {prefix} in {catalog.context.path}; `aimstore runs ls --all` lists the runs")
    listed = [f"  {run}  {catalog.properties(run).name or ''}".rstrip() for run in found[:CANDIDATES]]
    if len(found) > CANDIDATES:
        listed.append(f"  and {len(found) - CANDIDATES} more")
    raise InvalidRunHashError("\n".join([f"{prefix} may be any of {len(found)} runs; give more digits:", *listed]))
