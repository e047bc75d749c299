"""`aimstore query`: find runs or metrics by an expression."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.describe import HASH, SEQUENCE_COLUMNS, describe_sequence, leaf, sequence_cells
from aimstore.cli.options import example, json_option, open_repo, repo_option, traceback_option
from aimstore.cli.output import Column, moment, print_json, print_table, say, working
from aimstore.encoding.keys import format_path
from aimstore.errors import QuerySyntaxError
from aimstore.query.views import STORED_PROPERTIES

if TYPE_CHECKING:
    from aimstore.repo import Repo
    from aimstore.run import Run
    from aimstore.sequences.sequence import Metric
    from aimstore.types import TreePath

_METRICS: Final = (HASH, *SEQUENCE_COLUMNS)
_MISSING: Final = object()


@click.command(
    epilog=example(
        "aimstore query 'run.hparams.lr < 0.01 and \"good\" in run.tags'",
        "aimstore query --metrics 'metric.name == \"loss\" and metric.last < 0.1'",
    )
)
@click.argument("expression", metavar="[EXPR]", default="")
@click.option("--metrics", is_flag=True, help="Find metrics instead of runs; EXPR is over metric and run.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Stop after so many.")
@click.option("--count", is_flag=True, help="Print their number only.")
@click.option("--explain", is_flag=True, help="Print how the query is answered instead of what it finds.")
@repo_option
@json_option
@traceback_option
def query(
    expression: str, metrics: bool, limit: int | None, count: bool, explain: bool, repo: str | None, as_json: bool
) -> None:
    """Find runs or metrics by an expression.

    EXPR is a Python expression over run; without it, everything is found. Of runs, the attributes that it names are shown.
    Archived runs are left out unless it mentions run.archived. Where it raises for a run, that run does not match, and a
    warning says so.
    """
    if count + explain + (limit is not None) > 1:
        raise click.UsageError("--limit, --count and --explain exclude each other")
    opened = open_repo(repo)
    try:
        results = opened.query_metrics(expression) if metrics else opened.query_runs(expression)
    except QuerySyntaxError as error:
        hint = error.hint.replace("query_metrics", "--metrics")  # the library's word for it
        raise QuerySyntaxError(error.reason, error.expression, error.line, error.column, hint) from error
    if count or explain:
        with working("searching"):
            number_found = results.count()
        if explain:
            _print(results.explain(), {"explain": results.explain()}, as_json)
        else:
            _print(str(number_found), {"count": number_found}, as_json)
        return
    with working("searching"):
        found: list[Any] = list(islice(results, None if limit is None else limit + 1))
    more = limit is not None and len(found) > limit
    if metrics:
        _print_metrics(found[:limit], opened, as_json)
    else:
        _print_runs(found[:limit], opened, _shown_attributes(opened, expression), as_json)
    if not found:
        say("nothing matches")
    if more:
        say(f"the first {limit}; there are more")
        if results.progress.errors:  # of a whole search the library tells
            progress = results.progress
            say(f"Warning: the query raised for {progress.errors} so far, the first: {progress.first_error}")


def _print(text: str, value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(text)


def _shown_attributes(repo: Repo, expression: str) -> list[TreePath]:
    """Paths below `run` that an expression names, in its order, without those that are shown anyway."""
    named = {path[1:] for path in repo.query_engine.compile(expression).attributes or () if len(path) > 1}
    shown = named.difference((name,) for name in ("hash", "experiment", "metrics"))

    def place(path: TreePath) -> tuple[int, str]:
        return expression.find([str(part) for part in path if isinstance(part, str)][-1]), format_path(path)

    return sorted((path for path in shown if isinstance(path[0], str)), key=place)


def _print_runs(found: list[Run], repo: Repo, attributes: list[TreePath], as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "hash": run.hash,
                    "experiment": run.experiment,
                    "values": {format_path(path): _value(run, path, None) for path in attributes},
                }
                for run in found
            ]
        )
    elif found:
        columns = [HASH, Column("experiment"), *(Column(format_path(path)) for path in attributes)]
        rows = [
            [run.hash, run.experiment, *(_cell(_value(run, path, _MISSING)) for path in attributes)] for run in found
        ]
        print_table(columns, rows, known=repo.list_runs())


def _value(run: Run, path: TreePath, default: Any) -> Any:
    name = str(path[0])
    if name == "duration":
        created, finalized = run.created_at, run.finalized_at
        return (finalized - created).total_seconds() if created and finalized else None
    return getattr(run, name) if name in STORED_PROPERTIES else run.get(path, default)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):  # tags
        return ", ".join(value)
    return "" if value is _MISSING else value if isinstance(value, str) else leaf(value)


def _print_metrics(found: list[Metric], repo: Repo, as_json: bool) -> None:
    described = [{"run": metric.run.hash} | describe_sequence(metric) for metric in found]
    if as_json:
        print_json(described)
    elif found:
        print_table(_METRICS, [[each["run"], *sequence_cells(each)] for each in described], known=repo.list_runs())
