"""The metadata database: name, experiment, tags and notes of every run, in SQL.

This room owns the SQL database of a repository: its schema and migrations (`models`, `schema`), its transactions and
waits (`database`), and its answers to queries (`snapshot`). It imports the contracts, errors, types and moments, and no
other room. `open_store` opens a `MetadataStore`, whose methods return the plain values of this module. Importing the
package does not load SQLAlchemy; `open_store` does.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aimstore.metadata.store import MetadataStore

__all__ = [
    "DATABASE_WAITS",
    "DEFAULT_EXPERIMENT",
    "DEFAULT_NAME",
    "DatabaseWaits",
    "Experiment",
    "Note",
    "RunProperties",
    "Tag",
    "default_properties",
    "open_store",
]


@dataclass(frozen=True, slots=True)
class RunProperties:
    """The structured properties of one run; for a run without a row see `default_properties`.

    Attributes:
        hash: 24 lower-case hexadecimal digits.
        name, experiment, description: None if never set.
        archived: hidden from listings by default.
        tags: tag names, sorted.
        created_at, finalized_at: microseconds since the epoch, UTC; None if unknown or not finalized.
    """

    hash: str
    name: str | None = None
    experiment: str | None = None
    description: str | None = None
    archived: bool = False
    tags: tuple[str, ...] = ()
    created_at: int | None = None
    finalized_at: int | None = None


DEFAULT_EXPERIMENT: Final = "default"
DEFAULT_NAME: Final = "Run: "
"""The prefix of a default name; the run hash follows."""


def default_properties(run_hash: str) -> RunProperties:
    """The structured properties of a run that has no row in the metadata database."""
    return RunProperties(run_hash, name=f"{DEFAULT_NAME}{run_hash}", experiment=DEFAULT_EXPERIMENT)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named group of runs."""

    name: str
    description: str | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Tag:
    """A label for any number of runs."""

    name: str
    color: str | None = None
    description: str | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Free text about a run; times are microseconds since the epoch, UTC."""

    id: int
    text: str
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class DatabaseWaits:
    """Waits for the metadata database.

    Attributes:
        lock_seconds: seconds to wait while another process holds the database, before raising `StorageError`. In an
            SQLite URL, `?timeout=` overrides this value.
        slice_seconds: maximum seconds that one call of SQLite waits; then Python handles signals and calls it again.
    """

    lock_seconds: float = 60.0
    slice_seconds: float = 0.5


DATABASE_WAITS: Final = DatabaseWaits()


def open_store(
    url: str | Path, *, lock: Callable[[], AbstractContextManager[object]], waits: DatabaseWaits = DATABASE_WAITS
) -> MetadataStore:
    """Open the metadata database at a SQLAlchemy URL, or the SQLite file at a path; see `store.MetadataStore`."""
    from aimstore.metadata.store import MetadataStore  # takes 180 ms to load SQLAlchemy

    return MetadataStore(url, lock=lock, waits=waits)
