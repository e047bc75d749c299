"""`aimstore query`: find runs, metrics or sequences by an expression."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.describe import HASH, SEQUENCE_COLUMNS, describe_sequence, leaf, sequence_cells
from aimstore.cli.options import example, json_option, open_catalog, repo_option, traceback_option
from aimstore.cli.output import Column, moment, number, print_json, print_table, say, working
from aimstore.encoding.keys import format_path
from aimstore.errors import QueryRuntimeError, QuerySyntaxError
from aimstore.query.views import STORED_PROPERTIES, RunView
from aimstore.results import RunResults
from aimstore.run import queried_run

if TYPE_CHECKING:
    from aimstore.repository import Catalog
    from aimstore.repository.queried import QueriedRun
    from aimstore.results import Results
    from aimstore.run import Run
    from aimstore.sequences.sequence import Sequence
    from aimstore.types import TreePath

_SEQUENCES: Final = (HASH, *SEQUENCE_COLUMNS)
_METRICS: Final = re.compile(r"run\s*\.\s*metrics\s*\[")
_MISSING: Final = object()


@click.command(
    epilog=example(
        "aimstore query 'run.hparams.lr < 0.01 and \"good\" in run.tags'",
        "aimstore query --order-by 'run.created_at desc' --limit 10",
        "aimstore query --metrics 'metric.name == \"loss\"' --order-by metric.last --limit 3",
        "aimstore query --sequences --kind image 'run.experiment == \"baseline\"'",
    )
)
@click.argument("expression", metavar="[EXPR]", default="")
@click.option("--metrics", is_flag=True, help="Find metrics instead of runs; EXPR is over metric and run.")
@click.option("--sequences", is_flag=True, help="Find sequences of any kind; EXPR is over sequence and run.")
@click.option("--kind", metavar="KIND", help="With --sequences: find only this kind, such as text or image.")
@click.option(
    "--order-by",
    metavar="PATH",
    help="Order by attributes as in EXPR; desc puts the greatest first; separate attributes with commas.",
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Show at most N results.")
@click.option("--offset", type=click.IntRange(min=0), default=0, metavar="N", help="Skip the first N results.")
@click.option("--count", is_flag=True, help="Print only the number of results.")
@click.option("--explain", is_flag=True, help="Print how the query is answered, instead of its results.")
@repo_option
@json_option
@traceback_option
def query(
    expression: str,
    metrics: bool,
    sequences: bool,
    kind: str | None,
    order_by: str | None,
    limit: int | None,
    offset: int,
    count: bool,
    explain: bool,
    repo: str | None,
    as_json: bool,
) -> None:
    """Find runs, metrics or sequences by an expression.

    EXPR is a Python expression over run. Without EXPR, everything matches. The table of runs has a column for each
    attribute that EXPR names. Archived runs are left out unless EXPR mentions run.archived. A run for which EXPR raises
    an error does not match; a warning shows the number of these errors.
    """
    _check_options(metrics=metrics, sequences=sequences, kind=kind, count=count, explain=explain)
    catalog = open_catalog(repo)
    one_more = limit if limit is None or count or explain else limit + 1  # shows whether there are more results
    window = {"order_by": order_by, "limit": one_more, "offset": offset}
    results = _results(catalog, expression, metrics=metrics, sequences=sequences, kind=kind, window=window)
    if count or explain:
        with working("searching"):
            counted = results.count()
        if explain:
            _print(results.explain(), {"explain": results.explain()}, as_json)
        else:
            _print(str(counted), {"count": counted}, as_json)
        return
    with working("searching"):
        found: list[Any] = list(results.queried_runs() if isinstance(results, RunResults) else results)
    if isinstance(results, RunResults):
        _print_runs(found[:limit], catalog, expression, order_by, as_json)
    else:
        _print_sequences(found[:limit], catalog, as_json)
    _say_what_is_missing(len(found), limit, offset)


def _check_options(*, metrics: bool, sequences: bool, kind: str | None, count: bool, explain: bool) -> None:
    if count and explain:
        raise click.UsageError("--count and --explain exclude each other")
    if metrics and sequences:
        raise click.UsageError("--metrics and --sequences exclude each other; sequences of numbers are --kind number")
    if kind is not None and not sequences:
        raise click.UsageError("--kind needs --sequences")


def _results(
    catalog: Catalog, expression: str, *, metrics: bool, sequences: bool, kind: str | None, window: dict[str, Any]
) -> Results[Any]:
    repo = catalog.facade()
    try:
        if metrics:
            return repo.query_metrics(expression, **window)
        if sequences:
            return repo.query_sequences(expression, kind=kind, **window)
        return repo.query_runs(expression, **window)
    except QuerySyntaxError as error:  # the hint names methods; a command has options
        hint = error.hint.replace("query_metrics", "--metrics").replace("query_sequences", "--sequences")
        raise QuerySyntaxError(error.reason, error.expression, error.line, error.column, hint) from error


def _say_what_is_missing(found: int, limit: int | None, offset: int) -> None:
    if not found:
        say("nothing matches" if not offset else f"nothing matches beyond the first {offset}")
    elif limit is not None and found > limit:
        say(
            f"showing {limit} from number {offset + 1} on; there are more"
            if offset
            else f"showing {limit}; there are more"
        )


def _print(text: str, value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(value)
    else:
        click.echo(text)


def _shown_attributes(catalog: Catalog, expression: str, order_by: str | None) -> list[TreePath]:
    """Paths below `run` that the expression and then the order name, without those that are always shown."""
    engine = catalog.context.query_engine
    read = [(expression, engine.compile(expression).attributes)]
    if order_by is not None:
        read.append((order_by, engine.order(order_by).attributes))
    shown: dict[TreePath, None] = {}
    for text, paths in read:
        below = {path[1:] for path in paths or () if len(path) > 1 and isinstance(path[1], str)}
        named = below.difference((name,) for name in ("hash", "experiment", "metrics"))
        shown |= dict.fromkeys(sorted(named, key=lambda path: _place(text, path)))
    return list(shown)


def _place(text: str, path: TreePath) -> tuple[int, str]:
    return text.find([part for part in path if isinstance(part, str)][-1]), format_path(path)


def _print_runs(
    found: list[QueriedRun], catalog: Catalog, expression: str, order_by: str | None, as_json: bool
) -> None:
    attributes = _shown_attributes(catalog, expression, order_by)
    figures = _Figures(catalog, order_by)
    titles = [*map(format_path, attributes), *figures.titles]
    runs = [queried_run(catalog, each) for each in found]
    values = [[_value(run, path, _MISSING) for path in attributes] for run in runs]
    measured = [figures.of(each) for each in found]
    if as_json:
        rows = [[None if value is _MISSING else value for value in row] for row in values]
        print_json(
            [
                {"hash": run.hash, "experiment": run.experiment, "values": dict(zip(titles, row + more, strict=True))}
                for run, row, more in zip(runs, rows, measured, strict=True)
            ]
        )
    elif found:
        columns = [HASH, Column("experiment"), *map(Column, titles[: len(attributes)])]
        columns += [Column(title, right=True) for title in figures.titles]
        cells = [
            [run.hash, run.experiment, *map(_cell, row), *map(_figure, more)]
            for run, row, more in zip(runs, values, measured, strict=True)
        ]
        print_table(columns, cells, known=catalog.list_runs())


class _Figures:
    """Metric figures that an order names. They are not attributes of runs."""

    def __init__(self, catalog: Catalog, order_by: str | None) -> None:
        self._order = None if order_by is None else catalog.context.query_engine.order(order_by)
        names = self._order.names if self._order is not None else ()
        self._places = [i for i, name in enumerate(names) if _METRICS.match(name)]
        self.titles = [names[i].removeprefix("run.") for i in self._places]

    def of(self, run: QueriedRun) -> list[Any]:
        if self._order is None or not self._places:
            return []
        try:
            values = self._order.values(RunView(run))
        except QueryRuntimeError:  # the search has warned about it
            return [None for _ in self._places]
        return [values[i] for i in self._places]


def _value(run: Run, path: TreePath, default: Any) -> Any:
    name = str(path[0])
    return getattr(run, name) if name in STORED_PROPERTIES else run.get(path, default)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):  # tags
        return ", ".join(value)
    return "" if value is _MISSING else value if isinstance(value, str) else leaf(value)


def _figure(value: Any) -> str:
    return "" if value is None else number(value) if isinstance(value, (int, float)) else _cell(value)


def _print_sequences(found: list[Sequence], catalog: Catalog, as_json: bool) -> None:
    described = [{"run": sequence.run.hash} | describe_sequence(sequence) for sequence in found]
    if as_json:
        print_json(described)
    elif found:
        print_table(_SEQUENCES, [[each["run"], *sequence_cells(each)] for each in described], known=catalog.list_runs())
