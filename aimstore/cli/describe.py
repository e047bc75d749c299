"""Descriptions of runs that commands share: properties, state, lock owner and sequences."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aimstore.cli.output import Column, context, number, printable
from aimstore.encoding.moments import from_microseconds
from aimstore.repository.properties import duration_of, end_of
from aimstore.repository.runs import marked_runs, writer_of
from aimstore.repository.selection import Pushdown, Selection

if TYPE_CHECKING:
    from aimstore.errors import LockOwner
    from aimstore.metadata import RunProperties
    from aimstore.repository import Catalog
    from aimstore.repository.queried import QueriedRun
    from aimstore.sequences.sequence import Sequence

_EVERY_RUN: Final = "run.archived or True"
"""Matches archived runs too, because it mentions `run.archived`."""

STATES: Final = {"active": "green", "stalled": "yellow", "finalized": "dim"}
"""A run is active while a process writes it, stalled if that process died without finalizing it, else finalized."""

HASH: Final = Column("hash", hashes=True)
STATE: Final = Column("state", whole=True, styles=STATES)


SEQUENCE_COLUMNS: Final = (
    Column("name"),
    Column("context"),
    Column("kind", spare=True),
    Column("count", right=True, whole=True),
    Column("steps", right=True, spare=True),
    Column("last", right=True, whole=True),
    Column("min", right=True, whole=True),
    Column("max", right=True, whole=True),
)


def listed(catalog: Catalog, expression: str | None, order_by: str | None = None) -> list[dict[str, Any]]:
    """Describe all runs, or the runs that match an expression, as `runs ls --json` prints them."""
    marked = set(marked_runs(catalog.context.backend))
    if expression is None and order_by is None:
        found: Iterable[QueriedRun] = Selection(catalog, Pushdown())
    else:
        repo = catalog.facade()
        results = repo.query_runs(_EVERY_RUN if expression is None else expression, order_by=order_by)
        found = results.queried_runs()
    return [
        properties_of(run.row, active=run.active, stalled=run.hash in marked) | {"metrics": len(run.metrics)}
        for run in found
    ]


def properties_of(row: RunProperties, *, active: bool, stalled: bool) -> dict[str, Any]:
    """The structured properties of a run, for JSON. With `stalled`, the run is stalled unless it is active."""
    return {
        "hash": row.hash,
        "name": row.name,
        "experiment": row.experiment,
        "description": row.description,
        "state": "active" if active else "stalled" if stalled else "finalized",
        "archived": row.archived,
        "tags": list(row.tags),
        "created_at": from_microseconds(row.created_at),
        "finalized_at": end_of(row, active=active),
        "duration": duration_of(row, active=active),
    }


def owner_of(catalog: Catalog, run_hash: str) -> dict[str, Any] | None:
    """The process that has a run open for writing, for JSON: host, pid (None if unknown) and start time."""
    owner = writer_of(catalog.context.backend, run_hash)
    return None if owner is None else _described(owner)


def _described(owner: LockOwner) -> dict[str, Any]:
    return {"host": owner.host, "pid": owner.pid or None, "since": datetime.fromtimestamp(owner.since, UTC)}


def held_by(owner: dict[str, Any]) -> str:
    """`process 4711 on host`, from the result of `owner_of`."""
    return f"process {owner['pid'] or '(unknown)'} on {owner['host']}"


def describe_sequence(sequence: Sequence) -> dict[str, Any]:
    """Describe a sequence for JSON, without reading its points."""
    names = ("name", "context", "kind", "count", "first_step", "last_step", "last", "min", "max")
    return {name: getattr(sequence, name, None) for name in names}  # sequences of objects have no last, min and max


def sequence_cells(sequence: dict[str, Any]) -> list[str]:
    """The cells of `SEQUENCE_COLUMNS`, from the result of `describe_sequence`."""
    first, last = sequence["first_step"], sequence["last_step"]
    return [
        sequence["name"],
        context(sequence["context"]),
        sequence["kind"],
        number(sequence["count"]),
        "-" if first is None else f"{first}..{last}",
        *(number(sequence[name]) for name in ("last", "min", "max")),
    ]


def leaf(value: Any) -> str:
    """The value of a parameter in one line; for an array, its type and shape."""
    if getattr(value, "shape", ()) and hasattr(value, "dtype"):
        return f"{value.dtype} array of shape {value.shape}"
    return printable(repr(value.item() if hasattr(value, "dtype") and hasattr(value, "item") else value))
