"""Structured properties of a run: their mirror in the run's meta container, and the properties derived from them.

The metadata database is the primary store of the properties; it can be rebuilt from the mirror. Every derived property
is defined here once, for queries, the SDK, data frames and the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aimstore.abc import Container, Mode, WriteBatch
from aimstore.encoding.moments import from_microseconds, moment
from aimstore.encoding.values import encode_value
from aimstore.errors import LockedError
from aimstore.metadata import Note, RunProperties
from aimstore.process import shield
from aimstore.repository.context import RepositoryContext
from aimstore.repository.runs import lock_run
from aimstore.storage.layout import property_key
from aimstore.types import meta_path


@dataclass(frozen=True)
class RunNote:
    """A free-text note about a run.

    Attributes:
        id: identifies the note; no other note ever has the same id.
        text: the text of the note.
        created_at, updated_at: when the note was added, and when its text was last changed, in UTC.
    """

    id: int
    text: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, note: Note) -> RunNote:
        """Make a `RunNote` from a note of the metadata database."""
        return cls(note.id, note.text, moment(note.created_at), moment(note.updated_at))


MIRRORED: Final = ("name", "experiment", "description", "archived", "tags", "created_at", "finalized_at")
"""Properties that the meta container mirrors."""


def mirrored_properties(run_hash: str, mirrored: Mapping[str, Any]) -> RunProperties:
    """The properties from the mirror in the run's meta container; `mirrored` is the result of `read_properties`."""
    known = {name: value for name, value in mirrored.items() if name in MIRRORED}
    return RunProperties(run_hash, **{**known, "tags": tuple(known.get("tags", ()))})


def put_properties(batch: WriteBatch, properties: RunProperties) -> None:
    """Add the mirror of `properties` to a batch; a property that is None is removed."""
    for name in MIRRORED:
        value = getattr(properties, name)
        if value is None:
            batch.delete(property_key(name))
        else:
            batch.put(property_key(name), encode_value(value))


def write_properties(meta: Container, properties: RunProperties) -> None:
    """Mirror the properties in a meta container that is open for writing."""
    batch = WriteBatch()
    put_properties(batch, properties)
    meta.write(batch)


def mirror(context: RepositoryContext, properties: RunProperties) -> None:
    """Mirror the properties in the run's meta container, unless a writer has the run open: it does so at the end."""
    run_hash = properties.hash
    with (
        suppress(LockedError),
        shield,
        lock_run(context, run_hash, maintenance=True) as lock,
        context.backend.open(meta_path(run_hash), Mode.WRITE, lock=lock) as meta,
    ):
        write_properties(meta, properties)


def end_of(properties: RunProperties, *, active: bool) -> datetime | None:
    """When the run was last finalized, in UTC; None for a stalled run, and while a process is writing the run."""
    return None if active else from_microseconds(properties.finalized_at)


def duration_of(properties: RunProperties, *, active: bool) -> float | None:
    """Seconds from the creation of the run to its end, or to now while a process is writing the run; never negative.

    None for a stalled run, whose end is unknown, and if the creation time is unknown.
    """
    created = from_microseconds(properties.created_at)
    end = datetime.now(UTC) if active else end_of(properties, active=False)
    if created is None or end is None:
        return None
    return max(0.0, (end - created).total_seconds())
