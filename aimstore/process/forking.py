"""What happens to live objects when the process forks.

A forked child shares its parent's file descriptors and holds a copy of its memory, but none of its threads. Using an
engine handle there can hang (a thread that no longer exists holds a mutex) or destroy the parent's data; merely letting
the handle be garbage-collected can do the same. Objects that own such handles register here. In the child, each
registered object is told before any other code runs.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """An object that must know when it finds itself in a forked child."""

    def _after_fork_in_child(self) -> None: ...


_live: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def track_forks(owner: ForkAware) -> None:
    """Call `owner._after_fork_in_child()` in every child forked while `owner` lives. Holds no reference to `owner`."""
    _live.add(owner)


def keep_alive(handle: object) -> None:
    """Never release `handle`, not even at interpreter exit, because it belongs to the parent process."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


def _tell_child() -> None:
    for owner in list(_live):
        owner._after_fork_in_child()


os.register_at_fork(after_in_child=_tell_child)
