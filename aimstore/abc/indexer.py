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
    """Runs that may match.

    Attributes:
        runs: hashes, each once, in no order.
        exact: whether the hints hold of every one of these runs.
    """

    runs: Collection[str]
    exact: bool


class Indexer(ABC):
    """Keeps what queries need of each finalized run, so that queries need not open the runs' own containers.

    The law with the query engine: for every query, the runs among `candidates(hints)` that match are the runs among
    `runs()` that match. There may be too many candidates, never too few.

    Writing takes the index lock, for one batch at a time. A commit is durable when the call returns, so that the caller may
    remove the run's progress marker. Readers see a consistent state from one `refresh()` to the next.
    """

    @abstractmethod
    def index(self, run_hash: str, meta: Container) -> None:
        """Write (or replace) the entry of `run`, read from its meta container. The caller holds the run's lock.

        Raises:
            LockedError: the index stayed locked; nothing is written, and the caller keeps the run's progress marker.
        """

    @abstractmethod
    def remove(self, run_hash: str) -> None:
        """Remove `run` from the index; an unknown run is no error. Errors as `index`."""

    @abstractmethod
    def batch(self) -> AbstractContextManager[None]:
        """Collect `index` and `remove` within this context, and commit them together at its end; an exception drops them.

        Keep a batch to 64 runs at most, so that others get their turn at the index.
        """

    @abstractmethod
    def clear(self) -> None:
        """Empty the index, even where it cannot be read; the next `index` begins a new one."""

    @abstractmethod
    def refresh(self) -> None:
        """See what other processes have committed."""

    @abstractmethod
    def runs(self) -> Iterator[str]:
        """Hashes of the indexed runs, in order."""

    @abstractmethod
    def tree(self, run_hash: str) -> Mapping[str, Any] | None:
        """The entry of `run`, decoded (see `aimstore.index.entry`); None where the run is not indexed.

        Raises:
            CorruptionError: the entry is damaged.
        """

    @abstractmethod
    def trees(self, runs: Iterable[str] | None = None) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
        """The entries of the indexed runs among `runs`, or of all runs in the order of their hashes.

        A damaged entry yields None, and does not affect the others.
        """

    def check(self) -> None:
        """Read everything once.

        Raises:
            StorageError: a part of the index cannot be read.
        """
        for _ in itertools.chain(self.runs(), self.trees()):
            pass

    @abstractmethod
    def candidates(self, hints: Hint | None) -> Candidates | None:
        """The indexed runs of which `hints` may hold; None means every run.

        The index does not know structured properties (`("props", …)`). The caller has replaced terms on them by an `Among`;
        a term that is left may hold of any run. Raises as `trees`.
        """

    @abstractmethod
    def close(self) -> None:
        """Release what is open."""
