"""`aimstore status` and `aimstore reindex`: show the state of a repository, and repair it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.describe import HASH, STATE, held_by, owner_of, properties_of
from aimstore.cli.options import example, json_option, open_catalog, repo_option, resolve_run, traceback_option
from aimstore.cli.output import (
    Column,
    moment,
    print_json,
    print_table,
    progress_bar,
    say,
    size,
    working,
)
from aimstore.cli.settings import effective_options
from aimstore.repository.background import BackgroundIndexer, IndexerTiming
from aimstore.repository.reindex import ReindexReport
from aimstore.repository.runs import marked_runs

if TYPE_CHECKING:
    from aimstore.repository import Catalog

_PENDING: Final = (
    HASH,
    Column("experiment"),
    STATE,
    Column("created", whole=True, spare=True),
    Column("written by"),
    Column("since", whole=True),
)


@click.command(epilog=example("aimstore status"))
@repo_option
@json_option
@traceback_option
def status(repo: str | None, as_json: bool) -> None:
    """Show the state of a repository.

    Shows the number of runs, how many are active (a process is writing the run) or stalled (the process died before it
    finalized the run), how many are indexed, the size of the repository, and how it is stored.
    """
    opened = open_catalog(repo)
    with working("measuring"):
        state = opened.facade().status()
    running = [
        properties_of(opened.properties(run), active=active, stalled=not active) | {"held_by": owner_of(opened, run)}
        for runs, active in ((state.active, True), (state.stalled, False))
        for run in runs
    ]
    config = opened.context.config
    options = effective_options(config.backend, config.options)
    found = asdict(state) | {
        "pending": running,
        "indexer": config.indexer,
        "query_engine": config.query,
        "metadata_url": _without_password(config.metadata_url),
        "options": options,
    }
    if as_json:
        print_json(found)
        return
    click.echo("\n".join(_summary(found, set(config.options))))
    if running:
        click.echo()
        print_table(_PENDING, [_cells(run) for run in running], known=opened.list_runs())
    if state.stalled:
        say("`aimstore reindex` finalizes stalled runs, whose process died")


def _summary(found: dict[str, Any], given: set[str]) -> Iterator[str]:
    finalized = found["runs"] - len(found["active"]) - len(found["stalled"])
    yield f"repository  {found['path']}"
    yield (
        f"runs        {found['runs']}: {finalized} finalized, {len(found['active'])} active, "
        f"{len(found['stalled'])} stalled"
    )
    yield f"index       {found['indexed']} runs, by {found['indexer']}"
    yield f"size        {size(found['nbytes'])}"
    yield f"metadata    {found['metadata_url'] or 'run_metadata.sqlite'}"
    yield f"backend     {found['backend']}"
    for name, value in found["options"].items():
        yield f"  {name} = {value}{'' if name in given else '  (default)'}"


def _without_password(url: str) -> str:
    if not url:
        return ""
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


def _cells(run: dict[str, Any]) -> list[str]:
    owner = run["held_by"]
    return [
        run["hash"],
        run["experiment"] or "",
        run["state"],
        moment(run["created_at"]),
        "-" if owner is None else held_by(owner),
        "-" if owner is None else moment(owner["since"]),
    ]


@click.command(
    epilog=example(
        "aimstore reindex", "aimstore reindex --run 1b9dea88", "aimstore reindex --rebuild", "aimstore reindex --watch"
    )
)
@click.option("--run", "run_hash", metavar="HASH", help="Reindex only this run, even if it is indexed already.")
@click.option("--rebuild", is_flag=True, help="Rebuild the index from all runs; repairs a damaged index.")
@click.option("--watch", is_flag=True, help="Keep running: index runs whose process dies, one at a time, until Ctrl-C.")
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0, min_open=True),
    help="With --watch: seconds between two checks (default 10).",
)
@repo_option
@json_option
@traceback_option
def reindex(
    run_hash: str | None, rebuild: bool, watch: bool, interval: float | None, repo: str | None, as_json: bool
) -> None:
    """Finalize and index runs.

    Without options, handles stalled runs: those whose process died before it finalized them. Runs that a process is
    writing are left alone. The exit code is 1 if a run could not be indexed. With --watch --json, prints one line of
    JSON for each run.
    """
    if run_hash is not None and rebuild:
        raise click.UsageError("--run and --rebuild exclude each other")
    if watch and (rebuild or run_hash is not None):
        raise click.UsageError("--watch goes neither with --run nor with --rebuild")
    if interval is not None and not watch:
        raise click.UsageError("--interval goes with --watch")
    opened = open_catalog(repo)
    if watch:
        _watch(opened, interval, as_json)
        return
    run = None if run_hash is None else resolve_run(opened, run_hash, more=marked_runs(opened.context.backend))
    with progress_bar("indexing runs") as advance:
        report = opened.facade().reindex(run, rebuild=rebuild, advance=advance)
    if as_json:
        print_json(asdict(report))
    else:
        click.echo(f"indexed  {len(report.indexed)}")
        click.echo(f"active   {len(report.active)}" + ("  (left alone)" if report.active else ""))
        click.echo(f"removed  {len(report.removed)}" + ("  (remains of runs)" if report.removed else ""))
        click.echo(f"failed   {len(report.failed)}")
    for failed, reason in report.failed.items():
        say(f"run {failed} is not indexed: {reason}")
    if report.failed:
        raise SystemExit(1)


def _watch(catalog: Catalog, interval: float | None, as_json: bool) -> None:
    """Print the background indexer's work, one line for each run, until Ctrl-C."""
    reports: SimpleQueue[ReindexReport] = SimpleQueue()
    timing = IndexerTiming() if interval is None else IndexerTiming(interval)
    with suppress(KeyboardInterrupt), BackgroundIndexer(catalog.context, timing, reports.put) as indexer:
        indexer.start()
        say(f"watching {catalog.context.path}; Ctrl-C ends it")
        while True:
            report = reports.get()
            for state, runs in (("indexed", report.indexed), ("removed", report.removed), ("failed", report.failed)):
                for run in runs:
                    reason = report.failed.get(run)
                    if as_json:
                        click.echo(json.dumps({"run": run, "state": state, "reason": reason}))
                    elif reason is None:  # failures were logged
                        click.echo(f"{state}  {run}")
