"""Waiting times and sizes, with their units and defaults, in one place.

Each group is a frozen dataclass. What uses it takes an instance in its constructor, with `GROUP()` as the default, so that a
test or a program passes other values instead of replacing constants. Engines keep their own limits beside their options.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LockWaits:
    """How a lock file is waited for.

    Attributes:
        poll_seconds: pause of a waiter between two attempts.
        look_seconds: how long to retry while processes that only look at the lock stand in the way.
        owner_seconds: how long to retry reading the owner, which the holder writes just after it has the lock.
    """

    poll_seconds: float = 0.003
    look_seconds: float = 1.0
    owner_seconds: float = 0.06


@dataclass(frozen=True, slots=True)
class ReaderPoolLimits:
    """How many open readers a pool keeps.

    Attributes:
        idle_readers: readers that stay open while nobody uses them; readers in use are not counted.
    """

    idle_readers: int = 16
