"""How long the index is waited for, and how long it is kept open for writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class IndexLimits:
    """What bounds the writer of the index.

    Attributes:
        lock_wait_seconds: seconds that a commit waits for the index lock. A run that could not be indexed by then keeps its
            progress marker.
        look_seconds: seconds between two looks of a finished run whether the holder of the lock has taken it in.
        waiting_runs: finished runs that wait for the index and that one commit takes in at most.
        idle_seconds: seconds to keep the index open after a commit, in case another follows.
        commits_per_lock: commits after which the lock is released, so that other processes get their turn.
        poll_seconds: seconds between two looks whether another process waits for the lock.
    """

    lock_wait_seconds: float = 60.0
    look_seconds: float = 0.1
    waiting_runs: int = 64
    idle_seconds: float = 0.25
    commits_per_lock: int = 64
    poll_seconds: float = 0.005


INDEX_LIMITS: Final = IndexLimits()
