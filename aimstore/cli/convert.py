"""`aimstore convert`: copy a repository to another engine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import click

from aimstore.cli.options import engine_options, example, json_option, open_catalog, traceback_option
from aimstore.cli.output import print_json, progress_bar, say
from aimstore.plugins import plugins
from aimstore.repository.location import directory_of

if TYPE_CHECKING:
    from aimstore.repository.conversion import ConversionReport

_SHOWN: Final = 10
"""Maximum number of hashes in one line of the summary."""


@click.command(
    epilog=example(
        "aimstore convert results results-lmdb --backend lmdb",
        "aimstore convert results fast --backend lmdb --option map_size=4GiB",
    )
)
@click.argument("source", metavar="SRC")
@click.argument("path", metavar="DST")
@click.option("--backend", metavar="NAME", required=True, help="Storage engine of the copy; see aimstore backends.")
@click.option("--option", "options", metavar="KEY=VALUE", multiple=True, help="Option of the engine; may be repeated.")
@click.option("--metadata-url", metavar="URL", help="SQLAlchemy URL of the copy's metadata database (default: SQLite).")
@click.option("--skip-active", is_flag=True, help="Skip runs that a process is writing.")
@json_option
@traceback_option
def convert(
    source: str,
    path: str,
    backend: str,
    options: tuple[str, ...],
    metadata_url: str | None,
    skip_active: bool,
    as_json: bool,
) -> None:
    """Copy a repository to another engine.

    SRC and DST are folders that hold .aim. SRC is not changed. At the end, every run is compared with its copy by
    checksum. To continue an interrupted conversion, repeat the command. The exit code is 1 if a run could not be
    copied.
    """
    from aimstore.repository.conversion import convert as make_copy

    given = engine_options(options)
    manager = plugins()
    with manager.make_backend(manager.backend(backend), directory_of(path), given) as wanted:
        persistent = wanted.capability.persistent
    if not persistent:
        raise click.BadParameter(f"{backend} keeps nothing beyond this process", param_hint="'--backend'")
    opened = open_catalog(source)
    try:
        report = make_copy(
            opened.context,
            path,
            backend=backend,
            options=given or None,
            metadata_url=metadata_url,
            skip_active=skip_active,
            progress=progress_bar,
        )
    except KeyboardInterrupt:
        say("interrupted; the same command goes on where this one stopped")
        raise
    if as_json:
        print_json(asdict(report))
    else:
        _print(report, backend)
    for run, reason in report.failed.items():
        say(f"run {run} is not in the copy: {reason}")
    if report.stalled:
        say(f"`aimstore reindex --repo {path}` finalizes stalled runs, whose process died")
    if report.failed:
        say("the copy is not complete; the same command tries again what failed")
        raise SystemExit(1)


def _print(report: ConversionReport, backend: str) -> None:
    click.echo(f"repository  {report.path} ({backend})")
    click.echo(f"copied      {len(report.copied)}")
    if report.present:
        click.echo(f"present     {len(report.present)}  (copied by an earlier attempt)")
    click.echo(f"stalled     {_listed(report.stalled)}")
    click.echo(f"skipped     {_listed(report.skipped)}")
    click.echo(f"failed      {len(report.failed)}")


def _listed(runs: list[str]) -> str:
    if not runs:
        return "0"
    more = f" and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return f"{len(runs)}: {' '.join(runs[:_SHOWN])}{more}"
