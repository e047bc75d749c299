"""What happens to live objects when the process forks.

A forked child shares its parent's file descriptors and holds a copy of its memory, but none of its threads. Touching an
engine handle there can hang (a mutex held by a thread that does not exist) or destroy the parent's data, and so can
merely letting the handle be garbage-collected. Objects that own such handles register here; in the child each one is told
at once, before any other code runs.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import Protocol


class ForkAware(Protocol):
    """Something that must know when it finds itself in a forked child."""

    def _after_fork_in_child(self) -> None: ...


_live: weakref.WeakSet[ForkAware] = weakref.WeakSet()


def track_forks(owner: ForkAware) -> None:
    """Call `owner._after_fork_in_child()` in every child forked while `owner` lives. Holds no reference to it."""
    _live.add(owner)


def leak(handle: object) -> None:
    """Never release `handle`, not even at interpreter exit: it belongs to the parent process."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


def _in_child() -> None:
    for owner in list(_live):
        owner._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
