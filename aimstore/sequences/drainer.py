"""The writer thread: one per process, for all runs that it writes."""

from __future__ import annotations

import logging
import threading
from time import perf_counter, sleep
from typing import Protocol

from aimstore.process.forking import track_forks

logger = logging.getLogger("aimstore")

INTERVAL = 0.025
"""Seconds between two drains; a killed process loses what it tracked since the last one."""

MAX_INTERVAL = 0.05
"""Seconds at most, when the drains themselves take long."""

MAX_HELD = 24 * 1024 * 1024
"""Bytes that all writers of the process keep for sealing, before the largest are sealed early."""


class Drainable(Protocol):
    """What the thread drains; its errors are its own to report."""

    def drain(self) -> None: ...

    @property
    def held(self) -> int: ...

    def release(self, nbytes: int) -> None: ...


class Closable(Protocol):
    """What the thread closes when its owner was dropped without doing so."""

    def close(self) -> None: ...


class _Drainer:
    def __init__(self) -> None:
        self.writers: list[Drainable] = []
        self.orphans: list[Closable] = []
        self.lock = threading.Lock()
        self.thread: threading.Thread | None = None
        track_forks(self)

    def add(self, writer: Drainable) -> None:
        with self.lock:
            self.writers = [*self.writers, writer]
            if self.thread is None:
                self.thread = threading.Thread(target=self._run, name="aimstore-writer", daemon=True)
                self.thread.start()

    def remove(self, writer: Drainable) -> None:
        with self.lock:
            self.writers = [each for each in self.writers if each is not writer]

    def close_later(self, item: Closable) -> None:
        # called from destructors, so it takes no lock: appending to a list needs none
        self.orphans.append(item)

    def _close_orphans(self) -> None:
        while self.orphans:
            item = self.orphans.pop()
            try:
                item.close()
            except Exception as error:  # nobody is left to tell
                logger.error("a run that was dropped without close() could not be ended: %s", error)

    def _run(self) -> None:
        pause = INTERVAL
        while True:
            sleep(pause)
            with self.lock:
                if not self.writers:
                    self.thread = None
                    return
            begun = perf_counter()
            for writer in self.writers:
                writer.drain()
            self._bound()
            self._close_orphans()
            pause = min(MAX_INTERVAL, max(INTERVAL, perf_counter() - begun))

    def _bound(self) -> None:
        held = [(writer.held, writer) for writer in self.writers]
        excess = sum(nbytes for nbytes, _ in held) - MAX_HELD
        if excess > 0:
            _, largest = max(held, key=lambda pair: pair[0])
            largest.release(excess + MAX_HELD // 4)

    def _after_fork_in_child(self) -> None:
        self.writers = []
        self.orphans = []
        self.lock = threading.Lock()
        self.thread = None


_drainer = _Drainer()

add = _drainer.add
"""Drain `writer` from now on."""

remove = _drainer.remove
"""Drain it no longer."""

close_later = _drainer.close_later
"""Close `item` from the writer thread. May be called anywhere, also from a destructor."""


def drain_all() -> None:
    """Drain every writer of the process now, so that readers see what was tracked so far."""
    for writer in _drainer.writers:
        writer.drain()
