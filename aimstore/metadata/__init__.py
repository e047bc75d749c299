"""What the metadata database gives out: plain values. SQLAlchemy is loaded by `open_store`, on first use."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aimstore.metadata.store import MetadataStore

__all__ = [
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
        name, experiment, description: None where never given.
        archived: hidden from listings by default.
        tags: names, sorted.
        created_at, finalized_at: microseconds since the epoch, UTC; None where unknown, or not finalized.
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
"""Before the run's hash."""


def default_properties(run: str) -> RunProperties:
    """The structured properties of a run of which the metadata database says nothing."""
    return RunProperties(run, name=f"{DEFAULT_NAME}{run}", experiment=DEFAULT_EXPERIMENT)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named group of runs."""

    name: str
    description: str | None = None
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Tag:
    """A label of any number of runs."""

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


def open_store(
    url: str | Path, *, lock: Callable[[], AbstractContextManager[object]], timeout: float = 60.0
) -> MetadataStore:
    """The metadata database at a SQLAlchemy URL, or the SQLite file at a path; see `store.MetadataStore`."""
    from aimstore.metadata.store import MetadataStore  # costs 180 ms: SQLAlchemy

    return MetadataStore(url, lock=lock, timeout=timeout)
