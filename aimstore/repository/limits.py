"""Limits and waits of the repository layer, as values that tests and programs can replace."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LockWaits:
    """Seconds to wait for a lock before `LockedError` is raised.

    Attributes:
        run: for a run that is held for maintenance, such as indexing. A run that a writer holds is refused at once.
        index: for the index, before it is marked, cleared or declared complete.
        database: for the lock under which the metadata database is created or migrated.
    """

    run: float = 20.0
    index: float = 60.0
    database: float = 60.0


@dataclass(frozen=True)
class ReindexLimits:
    """Limits of one index commit during a reindex.

    Attributes:
        batch_runs: maximum number of runs. A commit takes about as many milliseconds on a disk; between two commits
            other processes get access to the index.
        batch_seconds: after this time no further run is added to the batch.
        contended_batch_seconds: the same limit while another process waits for a run of the batch.
    """

    batch_runs: int = 16
    batch_seconds: float = 1.0
    contended_batch_seconds: float = 0.05


@dataclass(frozen=True)
class ReadLimits:
    """Limits on what queries read at a time and cache.

    Attributes:
        cached_entries: number of decoded entries of pending runs that are cached for the next query.
        first_batch_runs: number of runs whose entries and properties are read first; few, to return the first result
            soon.
        batch_runs: number of runs whose entries and properties are read together after that.
        full_scan_runs: number of candidates from which reading the whole index costs less than looking up each run.
    """

    cached_entries: int = 2000
    first_batch_runs: int = 16
    batch_runs: int = 256
    full_scan_runs: int = 20_000


@dataclass(frozen=True)
class RepositoryLimits:
    """All limits and waits of one repository; its context passes them down."""

    waits: LockWaits = field(default_factory=LockWaits)
    reindex: ReindexLimits = field(default_factory=ReindexLimits)
    reads: ReadLimits = field(default_factory=ReadLimits)
