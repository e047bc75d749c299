"""`aimstore runs`: list and delete runs. `aimstore.cli.show` and `aimstore.cli.note` own the other commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.describe import HASH, STATE, held_by, listed, owner_of
from aimstore.cli.note import note
from aimstore.cli.options import example, json_option, open_catalog, repo_option, resolve_run, traceback_option
from aimstore.cli.output import Column, duration, moment, number, print_json, print_table, progress_bar, say, working
from aimstore.cli.show import show
from aimstore.errors import AimstoreError, LockedError

if TYPE_CHECKING:
    from aimstore.repository import Catalog

_COLUMNS: Final = (
    HASH,
    Column("name"),
    Column("experiment"),
    STATE,
    Column("created", whole=True),
    Column("duration", right=True, whole=True, spare=True),
    Column("metrics", right=True, whole=True, spare=True),
    Column("tags"),
)
_DESCENDING: Final = ("created", "duration", "metrics")


@click.group(epilog=example("aimstore runs ls --limit 10", "aimstore runs show 1b9dea88"))
def runs() -> None:
    """List, show, annotate and delete runs."""


runs.add_command(show)
runs.add_command(note)


@runs.command(
    epilog=example(
        "aimstore runs ls --query 'run.hparams.lr < 0.01' --sort name",
        "aimstore runs rm $(aimstore runs ls -q --query 'run.metrics[\"loss\"].last > 9')",
    )
)
@click.option("--all", "everything", is_flag=True, help="List archived runs too.")
@click.option("--query", "expression", metavar="EXPR", help="List only runs for which the expression is true.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="List at most N runs.")
@click.option(
    "--sort",
    type=click.Choice(["created", "name", "experiment", "state", "duration", "metrics"]),
    help="Sort by this column: times and numbers in descending order, names from A to Z.  [default: created]",
)
@click.option("--reverse", is_flag=True, help="Reverse the order.")
@click.option(
    "--order-by",
    metavar="PATH",
    help="Order by attributes as in queries instead of --sort: 'run.hparams.lr desc, run.name'.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the hashes.")
@repo_option
@json_option
@traceback_option
def ls(
    everything: bool,
    expression: str | None,
    limit: int | None,
    sort: str | None,
    reverse: bool,
    order_by: str | None,
    quiet: bool,
    repo: str | None,
    as_json: bool,
) -> None:
    """List runs, newest first.

    With --query, archived runs are listed only if the expression mentions run.archived.
    """
    if everything and expression is not None:
        raise click.UsageError("--all and --query exclude each other; mention run.archived in the expression")
    if order_by is not None and (sort or reverse):
        raise click.UsageError('--order-by excludes --sort and --reverse; write "desc" after an attribute')
    opened = open_catalog(repo)
    with working("reading the runs"):
        found = listed(opened, expression, order_by)
    shown = found if everything or expression is not None else [run for run in found if not run["archived"]]
    chosen = (shown if order_by is not None else _sorted(shown, sort or "created", reverse=reverse))[:limit]
    _print(chosen, opened, quiet=quiet, as_json=as_json)
    if not (quiet or as_json):
        _say_what_is_missing(len(found), len(shown), len(chosen), filtered=expression is not None)


def _print(chosen: list[dict[str, Any]], catalog: Catalog, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(chosen)
    elif quiet:
        for run in chosen:
            click.echo(run["hash"])
    elif chosen:
        print_table(_COLUMNS, [_cells(run) for run in chosen], known=catalog.list_runs())


_KEYS: Final = {"created": "created_at"} | {
    name: name for name in ("name", "experiment", "state", "duration", "metrics")
}


def _sorted(shown: list[dict[str, Any]], sort: str, *, reverse: bool) -> list[dict[str, Any]]:
    key = _KEYS[sort]
    by_hash = sorted(shown, key=lambda run: run["hash"])
    known = sorted((run for run in by_hash if run[key] is not None), key=lambda run: run[key])
    if (sort in _DESCENDING) != reverse:
        known.reverse()
    return [*known, *(run for run in by_hash if run[key] is None)]


def _cells(run: dict[str, Any]) -> list[str]:
    return [
        run["hash"],
        "" if run["name"] in (None, f"Run: {run['hash']}") else run["name"],  # the default name repeats the hash
        run["experiment"] or "",
        run["state"],
        moment(run["created_at"]),
        duration(run["duration"]),
        number(run["metrics"]),
        ", ".join(run["tags"]),
    ]


def _say_what_is_missing(found: int, shown: int, chosen: int, *, filtered: bool) -> None:
    if not shown:
        say("no run matches" if filtered else "no runs")
    elif chosen < shown:
        say(f"{chosen} of {shown} runs")
    if shown < found:
        say(f"archived: {found - shown} more, shown by --all")


@runs.command(epilog=example("aimstore runs rm 1b9dea88", "aimstore runs rm --yes 1b9dea88 410b1b44"))
@click.argument("hashes", metavar="HASH...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@repo_option
@json_option
@traceback_option
def rm(hashes: tuple[str, ...], yes: bool, repo: str | None, as_json: bool) -> None:
    """Delete runs and all their data.

    HASH may be a prefix of a run hash. If a process is writing one of the runs, nothing is deleted.
    """
    opened = open_catalog(repo)
    chosen = list(dict.fromkeys(resolve_run(opened, given) for given in hashes))
    _refuse_active(opened, chosen)
    if not yes:
        _confirm(opened, chosen)
    failed: dict[str, str] = {}
    with progress_bar("deleting") as advance:
        for done, run in enumerate(chosen, 1):
            try:
                opened.facade().delete_run(run)
            except AimstoreError as error:
                failed[run] = str(error)
            advance(done, len(chosen))
    _report([run for run in chosen if run not in failed], failed, as_json=as_json)
    if failed:
        raise SystemExit(1)


def _confirm(catalog: Catalog, chosen: list[str]) -> None:
    for run in chosen:
        properties = catalog.properties(run)
        say(f"{run}  {properties.name or ''}  {properties.experiment or ''}".rstrip())
    if not click.confirm(f"Delete {'this run' if len(chosen) == 1 else f'these {len(chosen)} runs'}?", err=True):
        raise click.Abort


def _report(deleted: list[str], failed: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json({"deleted": deleted, "failed": failed})
    else:
        for run in deleted:
            click.echo(f"deleted {run}")
    for run, reason in failed.items():
        say(f"run {run} is not deleted: {reason}")


def _refuse_active(catalog: Catalog, chosen: list[str]) -> None:
    owners = {run: owner_of(catalog, run) for run in chosen}
    active = [
        f"run {run} is being written by {held_by(owner)} since {moment(owner['since'])}"
        for run, owner in owners.items()
        if owner is not None
    ]
    if active:
        raise LockedError("\n".join([*active, "nothing is deleted; end the process, or leave out its run"]))
