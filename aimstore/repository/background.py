"""The background indexer: a thread that finalizes and indexes stalled runs, one at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from aimstore.abc import Closing
from aimstore.errors import AimstoreError
from aimstore.process import shield, track_forks, unwatch, watch
from aimstore.repository.context import RepositoryContext
from aimstore.repository.reindex import ReindexReport, index_runs
from aimstore.repository.runs import marked_runs
from aimstore.types import INDEX_PATH, meta_path

logger = logging.getLogger("aimstore")


@dataclass(frozen=True)
class IndexerTiming:
    """When the background indexer looks for stalled runs, and how long it waits. All values but `idle_factor` are in
    seconds.

    Attributes:
        interval: time between two checks of the progress markers.
        idle_factor: maximum number of intervals between two checks while there is nothing to do.
        longest_retry: maximum time before a run that could not be indexed is tried again.
        stop_wait: time that `stop` waits for the run that is being indexed.
        courtesy: time for which the indexer gives way to runs that are being finalized.
        courtesy_poll: time between two checks whether those runs are finalized.
    """

    interval: float = 10.0
    idle_factor: int = 6
    longest_retry: float = 3600.0
    stop_wait: float = 10.0
    courtesy: float = 1.0
    courtesy_poll: float = 0.005

    def __post_init__(self) -> None:
        if not self.interval > 0:
            raise ValueError(f"the interval must be a number of seconds above 0, not {self.interval!r:.60}")


@dataclass(frozen=True)
class _Retry:
    """When to retry a run that failed, on the monotonic clock, and the delay in seconds."""

    due: float
    delay: float


Tell: TypeAlias = Callable[[ReindexReport], None]
"""Called in the indexer's thread with the report for one run."""


class BackgroundIndexer(Closing):
    """Indexes stalled runs (runs with a progress marker and no lock holder) in a thread. See `Repo.start_indexer`.

    While there is nothing to do, the thread only lists the markers from time to time. The process may be killed at any
    moment. The thread ends with its process and does not exist in a forked child.
    """

    def __init__(
        self, context: RepositoryContext, timing: IndexerTiming | None = None, tell: Tell | None = None
    ) -> None:
        """
        Args:
            context: the opened parts of the repository.
            timing: intervals and waits.
            tell: called for each run that was indexed, was removed, or failed for the first time.
        """
        self._context = context
        self._timing = timing or IndexerTiming()
        self._tell = tell
        self._retries: dict[str, _Retry] = {}
        self._said: set[str] = set()
        self._forget_thread()
        track_forks(self)

    def _forget_thread(self) -> None:
        self._mutex = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    _after_fork_in_child = _forget_thread

    @property
    def running(self) -> bool:
        """Whether the thread is running."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Start the thread, unless it is already running."""
        with shield, self._mutex:
            if self.running:
                return
            _ = (
                self._context.indexer
            )  # imported here, because a process that forks meanwhile has half a module for ever
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopping,), name="aimstore-indexer", daemon=True
            )
            self._thread.start()
            watch(self)  # the thread must not be in the middle of a run when the interpreter ends

    def stop(self) -> None:
        """Stop the thread: it finishes its current run; return when it has ended. A second call does nothing."""
        with shield, self._mutex:
            thread, self._thread = self._thread, None
            self._stopping.set()
            unwatch(self)
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._timing.stop_wait)
            if thread.is_alive():
                logger.warning("the background indexer is still busy; it ends after the run that it is indexing")

    def close(self) -> None:
        """Stop the thread, because the process is about to end."""
        self.stop()

    def reopen(self) -> None:
        """Start the thread again, because the process did not end."""
        self.start()

    # The thread

    def _run(self, stopping: threading.Event) -> None:
        pause = self._timing.interval
        while not stopping.is_set():
            found = False
            try:
                for run in self._stalled():
                    found = True
                    self._let_others_go_first(stopping)
                    if stopping.is_set():
                        return
                    begun = time.monotonic()
                    self._index(run)
                    stopping.wait(time.monotonic() - begun)  # leave half of the time to the program
            except Exception as error:  # report it here: there is no caller; the next check may succeed
                self._say_once(f"the background indexer continues after {type(error).__name__}: {error}")
            pause = self._timing.interval if found else min(2 * pause, self._timing.idle_factor * self._timing.interval)
            stopping.wait(pause)

    def _stalled(self) -> Iterator[str]:
        """Marked runs whose lock is free, without failed runs whose retry is not due."""
        backend = self._context.backend
        marked = marked_runs(backend)
        for gone in self._retries.keys() - set(marked):
            del self._retries[gone]
        for run in marked:
            retry = self._retries.get(run)
            if (retry is None or time.monotonic() >= retry.due) and backend.lock_owner(meta_path(run)) is None:
                yield run

    def _let_others_go_first(self, stopping: threading.Event) -> None:
        deadline = time.monotonic() + self._timing.courtesy
        while self._context.backend.lock_owner(INDEX_PATH) is not None and time.monotonic() < deadline:
            if stopping.wait(self._timing.courtesy_poll):
                return

    def _index(self, run_hash: str) -> None:
        report = ReindexReport()
        try:
            index_runs(self._context, [run_hash], {run_hash}, report)
        except (AimstoreError, OSError) as error:
            report.failed[run_hash] = str(error)
        if run_hash in report.failed:
            last = self._retries.get(run_hash)
            delay = self._timing.interval if last is None else min(2 * last.delay, self._timing.longest_retry)
            self._retries[run_hash] = _Retry(time.monotonic() + delay, delay)
            if not self._say_once(f"run {run_hash} is not indexed and will be tried again: {report.failed[run_hash]}"):
                return
        else:
            self._retries.pop(run_hash, None)
        if self._tell is not None and (report.indexed or report.removed or report.failed):
            self._tell(report)

    def _say_once(self, text: str) -> bool:
        if text in self._said:
            return False
        self._said.add(text)
        logger.warning("%s", text)
        return True
