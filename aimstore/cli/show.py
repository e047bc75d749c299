"""`aimstore runs show`: show the details of one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from aimstore.cli.describe import (
    SEQUENCE_COLUMNS,
    describe_sequence,
    held_by,
    leaf,
    owner_of,
    properties_of,
    sequence_cells,
)
from aimstore.cli.options import example, json_option, open_catalog, repo_option, resolve_run, traceback_option
from aimstore.cli.output import duration, moment, print_cut, print_json, print_table, printable
from aimstore.repository.runs import marked_runs


@click.command(epilog=example("aimstore runs show 1b9dea88"))
@click.argument("run_hash", metavar="HASH")
@repo_option
@json_option
@traceback_option
def show(run_hash: str, repo: str | None, as_json: bool) -> None:
    """Show the properties, parameters and sequences of a run.

    HASH may be a prefix that matches only one run.
    """
    opened = open_catalog(repo)
    run = opened.facade().get_run(resolve_run(opened, run_hash))
    owner = owner_of(opened, run.hash)
    known = properties_of(
        opened.properties(run.hash),
        active=owner is not None,
        stalled=run.hash in marked_runs(opened.context.backend),
    )
    parameters, sequences, notes = run[...], [describe_sequence(each) for each in run.sequences()], run.notes
    if as_json:
        rest = {"parameters": parameters, "sequences": sequences, "notes": [asdict(each) for each in notes]}
        print_json(known | {"held_by": owner} | rest)
        return
    click.echo("\n".join(_properties(known, owner)))
    if notes:
        click.echo("\nnotes")
        print_cut(f"  {each.id}  {moment(each.created_at)}  {printable(each.text)}" for each in notes)
    if parameters:
        click.echo("\nparameters")
        print_cut(_tree(parameters, "  "))
    if sequences:
        click.echo()
        print_table(SEQUENCE_COLUMNS, [sequence_cells(each) for each in sequences])


def _properties(known: dict[str, Any], owner: dict[str, Any] | None) -> Iterator[str]:
    state = known["state"]
    if owner is not None:
        state += f", written by {held_by(owner)} since {moment(owner['since'])}"
    elif state == "stalled":
        state += "; `aimstore reindex` finalizes it"
    rows = {
        "run": known["hash"],
        "name": known["name"],
        "experiment": known["experiment"],
        "description": known["description"],
        "state": f"{state}, archived" if known["archived"] else state,
        "tags": ", ".join(known["tags"]),
        "created": moment(known["created_at"], exactly=True),
        "finalized": moment(known["finalized_at"], exactly=True),
        "duration": duration(known["duration"]),
    }
    return (f"{title:<11}  {printable(value)}" for title, value in rows.items() if value not in (None, "", "-"))


def _tree(node: Mapping[Any, Any], indent: str) -> Iterator[str]:
    """Yield one line for each leaf and for each subtree's key; the values of one level are aligned."""
    width = max((len(_key(key)) for key, value in node.items() if not _is_subtree(value)), default=0)
    for key, value in node.items():
        if _is_subtree(value):
            yield f"{indent}{_key(key)}"
            yield from _tree(value, indent + "  ")
        else:
            yield f"{indent}{_key(key):<{width}}  {leaf(value)}"


def _is_subtree(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _key(key: str | int) -> str:
    return printable(key) if isinstance(key, str) else f"[{key}]"
