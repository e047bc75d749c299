"""What commands say of a run: its properties, its state, who holds it, and what it tracked."""

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
"""Archived ones too, being mentioned."""

STATES: Final = {"active": "green", "stalled": "yellow", "finalized": "dim"}
"""A run is active while some process writes it, stalled when that died without ending it, else finalized."""

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
    """What `runs ls --json` says of each run: of all runs, or of the runs that match an expression."""
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
    """The structured properties of a run as JSON has them. `stalled`: the run is stalled unless it is active."""
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
    """The process that has a run open for writing, as JSON has it: host, pid (None if not known) and since when."""
    owner = writer_of(catalog.context.backend, run_hash)
    return None if owner is None else _described(owner)


def _described(owner: LockOwner) -> dict[str, Any]:
    return {"host": owner.host, "pid": owner.pid or None, "since": datetime.fromtimestamp(owner.since, UTC)}


def held_by(owner: dict[str, Any]) -> str:
    """`process 4711 on host`, from what `owner_of` gives."""
    return f"process {owner['pid'] or '(unknown)'} on {owner['host']}"


def describe_sequence(sequence: Sequence) -> dict[str, Any]:
    """What is known of a sequence without reading it, as JSON has it."""
    names = ("name", "context", "kind", "count", "first_step", "last_step", "last", "min", "max")
    return {name: getattr(sequence, name, None) for name in names}  # objects have no last, min and max


def sequence_cells(sequence: dict[str, Any]) -> list[str]:
    """The cells of `SEQUENCE_COLUMNS`, from what `describe_sequence` gives."""
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
    """A parameter's value in one line; of an array its type and shape."""
    if getattr(value, "shape", ()) and hasattr(value, "dtype"):
        return f"{value.dtype} array of shape {value.shape}"
    return printable(repr(value.item() if hasattr(value, "dtype") and hasattr(value, "item") else value))
