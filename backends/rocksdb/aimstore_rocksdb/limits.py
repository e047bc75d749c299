"""The waiting times and sizes of the RocksDB backend that are not options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RocksDBLimits:
    """How long opening retries, and when data are merged or deleted one by one.

    Attributes:
        retry_seconds: how long to retry opening a database that a writer changes, or whose last writer is still closing it.
        retry_pause_seconds: pause between two attempts.
        single_deletes: keys of a range up to which each is deleted by itself: a range tombstone slows reads until the tables
            are merged.
        log_bytes: log of a new database up to which closing leaves it as it is.
        small_bytes: size of the tables up to which closing merges them where that saves space; takes a fifth of a second.
        large_bytes: size of the tables up to which closing merges them to remove deletions; takes one or two seconds.
        kept_deletions: deletions up to which merging, which takes some milliseconds, is not worth it.
    """

    retry_seconds: float = 2.0
    retry_pause_seconds: float = 0.003
    single_deletes: int = 1000
    log_bytes: int = 16 << 10
    small_bytes: int = 32 << 20
    large_bytes: int = 256 << 20
    kept_deletions: int = 100
