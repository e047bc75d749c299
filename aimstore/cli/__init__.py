"""The `aimstore` program. Its commands are found by name and imported when they run.

Commands of plug-ins (`aimstore_cli_commands`) are added to `COMMANDS`. `aimstore.cli.options` and
`aimstore.cli.output` hold the code that commands share; plug-ins may use both.
"""

from __future__ import annotations

from typing import Final

import click

from aimstore import __version__
from aimstore.cli.options import example, repo_option, traceback_option
from aimstore.cli.program import Program
from aimstore.plugins.specs import CommandSpec

COMMANDS: Final = (
    CommandSpec(name="init", summary="Create a repository.", factory="aimstore.cli.settings:init"),
    CommandSpec(name="status", summary="Show the state of a repository.", factory="aimstore.cli.maintain:status"),
    CommandSpec(name="runs", summary="List, show, annotate and delete runs.", factory="aimstore.cli.runs:runs"),
    CommandSpec(
        name="query", summary="Find runs, metrics or sequences by an expression.", factory="aimstore.cli.query:query"
    ),
    CommandSpec(name="reindex", summary="Finalize and index runs.", factory="aimstore.cli.maintain:reindex"),
    CommandSpec(name="convert", summary="Copy a repository to another engine.", factory="aimstore.cli.convert:convert"),
    CommandSpec(name="bench", summary="Measure storage engines, and other tools.", factory="aimstore.cli.bench:bench"),
    CommandSpec(name="config", summary="Show or change the configuration.", factory="aimstore.cli.settings:config"),
    CommandSpec(name="backends", summary="List the storage engines.", factory="aimstore.cli.backends:backends"),
)
"""The built-in commands, in the order in which the help lists them."""


@click.command(
    cls=Program,
    builtin=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("aimstore init", "aimstore runs ls", "aimstore query 'run.hparams.lr < 0.01'"),
)
@repo_option
@traceback_option
@click.version_option(__version__, message="%(prog)s %(version)s")
def main(repo: str | None) -> None:
    """Store, query and maintain experiment data.

    A repository is a directory named .aim. Commands use the nearest repository: that of the working directory or of its
    nearest parent. --repo selects another. The exit code is 0 for success, 2 for a mistake in the request, and 1 for a
    failure.
    """


__all__ = ["COMMANDS", "main"]
