"""The program: how it finds its commands, and how it ends (messages, exit codes, interruptions)."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from aimstore.cli.options import TRACEBACK
from aimstore.errors import (
    AimstoreError,
    ConfigError,
    EncodingError,
    InvalidRunHashError,
    PluginError,
    QuerySyntaxError,
    RepositoryError,
    RunNotFoundError,
    UnsupportedError,
)
from aimstore.plugins import CommandSpec, plugins
from aimstore.plugins.loading import load_reference

logger = logging.getLogger("aimstore")

MISTAKES: Final = (
    ConfigError,
    EncodingError,
    InvalidRunHashError,
    PluginError,
    QuerySyntaxError,
    RepositoryError,
    RunNotFoundError,
    UnsupportedError,
)
"""Errors that the user fixes by changing the request: exit code 2. All other errors are failures: exit code 1."""

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C, as in shells: 128 plus the signal number."""


class Program(click.Group):
    """A group whose commands are specs, imported when they run. Listing the commands imports none.

    An `AimstoreError` or `OSError` ends the program with a message on stderr and an exit code. Ctrl-C and a reader that
    closed stdout end it with an exit code and no message.
    """

    def __init__(self, *args: Any, builtin: Iterable[CommandSpec], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.builtin: Final = {spec.name: spec for spec in builtin}

    # The commands

    def specs(self) -> dict[str, CommandSpec]:
        """All commands: the built-in commands, and those of plug-ins whose name is not taken by a built-in command."""
        try:
            added = plugins().cli_commands()
        except PluginError as error:
            logger.warning("no commands of plug-ins: %s", error)
            added = {}
        for name in added.keys() & self.builtin.keys():
            logger.warning("the command %r of a plug-in is ignored: aimstore has one of that name", name)
        return added | self.builtin

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.builtin, *sorted(self.specs().keys() - self.builtin.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        spec = self.builtin.get(cmd_name) or self.specs().get(cmd_name)
        if spec is None:
            return None
        command = load_reference(spec, spec.factory)
        if not isinstance(command, click.Command):
            raise PluginError(f"{spec.kind} {spec.name!r}: {spec.factory} is no click.Command but {command!r:.80}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with _warnings_shown():
            specs = self.specs()
        for title, chosen in (
            ("Commands", list(self.builtin)),
            ("Commands of plug-ins", sorted(specs.keys() - self.builtin.keys())),
        ):
            if chosen:
                with formatter.section(title):
                    formatter.write_dl([(name, specs[name].summary) for name in chosen])

    # The end of the program

    def invoke(self, ctx: click.Context) -> Any:
        with _warnings_shown(), _one_message(ctx):
            result = super().invoke(ctx)
            sys.stdout.flush()  # flush here to notice a reader that closed stdout
            return result


@contextmanager
def _one_message(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        ctx.exit(INTERRUPTED)
    except (AimstoreError, OSError) as error:
        if ctx.meta.get(TRACEBACK) or getattr(error, "errno", None) == errno.EPIPE:  # click ends quietly on EPIPE
            raise
        raise (_Mistake if isinstance(error, MISTAKES) else click.ClickException)(str(error)) from error


class _Mistake(click.ClickException):
    exit_code = 2


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.secho(f"{record.levelname.capitalize()}: {record.getMessage()}", err=True, fg="yellow")


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Show the library's log messages on stderr."""
    handler = _ToStderr(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def warnings_hidden() -> Iterator[None]:
    """Hide the library's warnings, because the command shows them in its own way."""

    def hide(record: logging.LogRecord) -> bool:
        return record.levelno > logging.WARNING

    logger.addFilter(hide)
    try:
        yield
    finally:
        logger.removeFilter(hide)
