"""How long to wait for the index, and how long to keep it open for writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class IndexLimits:
    """The limits of the index writer.

    Attributes:
        lock_wait_seconds: seconds that a commit waits for the index lock. A run that could not be indexed by then keeps
            its progress marker.
        look_seconds: seconds between two checks whether the holder of the lock has indexed a waiting run.
        waiting_runs: maximum number of waiting runs that one commit indexes.
        idle_seconds: seconds to keep the index open after a commit, in case another follows.
        commits_per_lock: number of commits after which the lock is released, so that other processes get access.
        poll_seconds: seconds between two checks whether another process waits for the lock.
    """

    lock_wait_seconds: float = 60.0
    look_seconds: float = 0.1
    waiting_runs: int = 64
    idle_seconds: float = 0.25
    commits_per_lock: int = 64
    poll_seconds: float = 0.005


INDEX_LIMITS: Final = IndexLimits()
