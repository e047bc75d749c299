"""The writer thread: one thread per process, which drains the writers of all runs that the process writes."""

from __future__ import annotations

import logging
import threading
from time import perf_counter, sleep
from typing import Final, Protocol

from aimstore.process.forking import track_forks
from aimstore.sequences.limits import DRAIN_LIMITS, DrainLimits

logger = logging.getLogger("aimstore")


class Drainable(Protocol):
    """A writer that the thread drains; it reports its own errors."""

    def drain(self) -> object:
        """Write the pending points."""

    @property
    def unsealed_bytes(self) -> int:
        """Bytes that the writer keeps in memory for sealing."""

    def seal_largest(self, nbytes: int) -> None:
        """Seal the largest sequences, until the writer keeps `nbytes` less."""


class Orphan(Protocol):
    """An object that the thread closes because its owner dropped it without closing it."""

    def close(self) -> None: ...


class Drainer:
    """Drains writers in a thread, which runs while there are writers.

    A forked child has no writers and no thread; its first writer starts a thread.
    """

    def __init__(self, limits: DrainLimits = DRAIN_LIMITS) -> None:
        self._limits = limits
        self._writers: list[Drainable] = []
        self._orphans: list[Orphan] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        track_forks(self)

    def start(self, writer: Drainable) -> None:
        """Drain `writer` from now on."""
        with self._lock:
            self._writers = [*self._writers, writer]
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="aimstore-writer", daemon=True)
                self._thread.start()

    def stop(self, writer: Drainable) -> None:
        """Stop draining `writer`; a writer that is not drained is no error."""
        with self._lock:
            self._writers = [each for each in self._writers if each is not writer]

    def drain_all(self) -> None:
        """Drain every writer now, so that readers see all points tracked so far."""
        for writer in self._writers:
            writer.drain()

    def close_later(self, item: Orphan) -> None:
        """Close `item` in the thread. May be called anywhere, even in a destructor."""
        self._orphans.append(item)  # takes no lock: a destructor may interrupt a thread that holds it

    def _run(self) -> None:
        limits = self._limits
        pause = limits.interval_seconds
        while True:
            sleep(pause)
            with self._lock:
                if not self._writers:
                    self._thread = None
                    return
            begun = perf_counter()
            self.drain_all()
            self._bound_memory()
            self._close_orphans()
            pause = min(limits.max_interval_seconds, max(limits.interval_seconds, perf_counter() - begun))

    def _bound_memory(self) -> None:
        unsealed = [(writer.unsealed_bytes, writer) for writer in self._writers]
        excess = sum(nbytes for nbytes, _ in unsealed) - self._limits.unsealed_bytes
        if excess > 0:
            _, largest = max(unsealed, key=lambda pair: pair[0])
            largest.seal_largest(excess + self._limits.unsealed_bytes // 4)

    def _close_orphans(self) -> None:
        while self._orphans:
            item = self._orphans.pop()
            try:
                item.close()
            except Exception as error:  # there is no caller to raise it to
                logger.error("a run that was dropped without close() could not be ended: %s", error)

    def _after_fork_in_child(self) -> None:
        self._writers = []
        self._orphans = []
        self._lock = threading.Lock()
        self._thread = None


process_drainer: Final = Drainer()
"""The drainer of this process. A run's session starts and stops the draining of its writer here."""
