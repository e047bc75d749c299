"""The indexer contract: entries of finalized runs, and candidates for a query."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from aimstore.abc.container import Container
from aimstore.abc.query import Hint


@dataclass(frozen=True)
class Candidates:
    """Runs that may match a query.

    Attributes:
        runs: run hashes, each once, in no particular order.
        exact: whether the hints are true of every one of these runs.
    """

    runs: Collection[str]
    exact: bool


class Indexer(ABC):
    """Stores what queries need of each finalized run, so that queries need not open the runs' own containers.

    The contract with the query engine: for every query, the runs among `candidates(hints)` that match are exactly the
    runs among `runs()` that match. There may be too many candidates, but never too few.

    Writing takes the index lock for one batch at a time. A commit is durable when the call returns, so the caller may
    then remove the run's progress marker. Readers see a consistent state between two calls of `refresh()`.
    """

    @abstractmethod
    def index(self, run_hash: str, meta: Container) -> None:
        """Write (or replace) the entry of the run `run_hash`, read from its meta container. The caller holds the run's
        lock.

        Raises:
            LockedError: the index stayed locked; nothing is written, and the caller keeps the run's progress marker.
        """

    @abstractmethod
    def remove(self, run_hash: str) -> None:
        """Remove the run `run_hash` from the index; an unknown run is no error. Raises the same errors as `index`."""

    @abstractmethod
    def batch(self) -> AbstractContextManager[None]:
        """Collect the calls of `index` and `remove` in this context, and commit them together at its end.

        An exception discards them. A batch should hold at most 64 runs, so that other processes get access to the
        index.
        """

    @abstractmethod
    def clear(self) -> None:
        """Empty the index, even if it cannot be read; the next `index` creates a new index."""

    @abstractmethod
    def refresh(self) -> None:
        """Make the commits of other processes visible."""

    @abstractmethod
    def runs(self) -> Iterator[str]:
        """The hashes of the indexed runs, in order."""

    @abstractmethod
    def tree(self, run_hash: str) -> Mapping[str, Any] | None:
        """The decoded entry of the run `run_hash` (see `aimstore.index.entry`), or None if the run is not indexed.

        Raises:
            CorruptionError: the entry is damaged.
        """

    @abstractmethod
    def trees(self, runs: Iterable[str] | None = None) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
        """The entries of the indexed runs among `runs`, or of all runs in the order of their hashes.

        A damaged entry yields None, and does not affect the others.
        """

    def check(self) -> None:
        """Read the whole index once.

        Raises:
            StorageError: a part of the index cannot be read.
        """
        for _ in itertools.chain(self.runs(), self.trees()):
            pass

    @abstractmethod
    def candidates(self, hints: Hint | None) -> Candidates | None:
        """The indexed runs for which `hints` may be true; None means every run.

        The index does not know structured properties (`("props", …)`). The caller has replaced terms on them with an
        `Among`; any such term that remains may be true of any run. Raises the same errors as `trees`.
        """

    @abstractmethod
    def close(self) -> None:
        """Release all open resources."""
