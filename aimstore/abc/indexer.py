"""The indexer contract: packed records of finalized runs, and candidates for a query."""

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
    """Runs that may match.

    Attributes:
        runs: hashes, each once, in no order.
        exact: the hints hold of every one of them.
    """

    runs: Collection[str]
    exact: bool


class Indexer(ABC):
    """Keeps what queries need of each finalized run, so that they open no run's own containers.

    The law with the query engine: for every query, the runs among `candidates(hints)` that match are the runs among
    `runs()` that match. Candidates may be too many, never too few.

    Writing takes the index lock, for a batch at a time. What is committed is durable when the call returns, so that the
    caller may remove the run's progress marker. Readers see a consistent state from one `refresh()` to the next.
    """

    @abstractmethod
    def index(self, run: str, meta: Container) -> None:
        """Write (or replace) the packed record of `run`, read from its meta container. The caller holds the run's lock.

        Raises:
            LockedError: the index stayed busy; nothing is written, and the caller keeps the run's progress marker.
        """

    @abstractmethod
    def remove(self, run: str) -> None:
        """Drop all that the index holds of `run`; an unknown run is no error. Errors as `index`."""

    @abstractmethod
    def batch(self) -> AbstractContextManager[None]:
        """Within this context `index` and `remove` collect, and commit together at its end; an exception drops them all.

        Keep a batch to 64 runs at most, so that others get their turn at the index.
        """

    @abstractmethod
    def clear(self) -> None:
        """Forget everything, also an index that cannot be read; the next `index` starts afresh."""

    @abstractmethod
    def refresh(self) -> None:
        """See what other processes have committed."""

    @abstractmethod
    def runs(self) -> Iterator[str]:
        """Hashes of the indexed runs, in order."""

    @abstractmethod
    def tree(self, run: str) -> Mapping[str, Any] | None:
        """The packed record of `run`, decoded (see `aimstore.index.record`); None where it is not indexed.

        Raises:
            CorruptionError: the record is damaged.
        """

    @abstractmethod
    def trees(self, runs: Iterable[str] | None = None) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
        """The packed records of `runs` (those that are indexed), or of all runs in order of their hashes.

        A record that is damaged is given as None, and breaks no other.
        """

    def check(self) -> None:
        """Read everything once.

        Raises:
            StorageError: something cannot be read.
        """
        for _ in itertools.chain(self.runs(), self.trees()):
            pass

    @abstractmethod
    def candidates(self, hints: Hint | None) -> Candidates | None:
        """The indexed runs of which `hints` may hold; None means every run.

        Terms on structured properties (`("props", …)`) are not for the index: who asks has put an `Among` in their place, or they
        may hold of any run. Raises as `trees`.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what is open."""
