"""The background indexer: a thread that takes care of runs whose process died, one at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final, Self

from aimstore.errors import AimstoreError
from aimstore.forking import track_forks
from aimstore.lifecycle import shield, unwatch, watch
from aimstore.maintenance import ReindexReport, index_runs
from aimstore.session import Parts, marked_runs
from aimstore.types import INDEX_PATH, meta_path

logger = logging.getLogger("aimstore")

INTERVAL: Final = 10.0
"""Seconds between two looks at the progress markers."""

IDLE: Final = 6
"""Intervals between two looks at most, while there is nothing to do; each is twice as long as the one before."""

LAST_RETRY: Final = 3600.0
"""Seconds at most until a run that could not be indexed is tried again; each time it is twice as long."""

PATIENCE: Final = 10.0
"""Seconds that `stop` waits for the run that is being indexed."""

_COURTESY: Final = 1.0
"""Seconds at most for which runs that are just being finalized go first."""

_PAUSE: Final = 0.005

Tell = Callable[[ReindexReport], None]
"""Called in the indexer's thread with what was done for one run."""


class BackgroundIndexer:
    """Indexes stalled runs, those with a progress marker whose lock nobody holds, in a thread. See `Repo.start_indexer`.

    While there is nothing to do it lists the markers now and then, and nothing else. It may be killed at any moment. It ends
    with its process, and is not there in a forked child.
    """

    def __init__(self, parts: Parts, interval: float = INTERVAL, tell: Tell | None = None) -> None:
        """
        Args:
            parts: of the repository.
            interval: seconds between two looks at the progress markers.
            tell: called for each run that was indexed or removed, or failed for the first time.
        """
        if not interval > 0:
            raise ValueError(f"the interval is a number of seconds above 0, not {interval!r:.60}")
        self._parts = parts
        self._interval = interval
        self._tell = tell
        self._retries: dict[
            str, tuple[float, float]
        ] = {}  # when a run that failed is tried again, and how long that was
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
        """Whether the thread is there."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    def start(self) -> None:
        """Start the thread; where it runs, nothing happens."""
        with shield, self._mutex:
            if self.running:
                return
            self._stopping = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stopping,), name="aimstore-indexer", daemon=True
            )
            self._thread.start()
            watch(self)  # the thread must not be in the middle of something when the interpreter goes

    def stop(self) -> None:
        """Return when the thread has ended; a run that it has begun with is ended first. A second call does nothing."""
        with shield, self._mutex:
            thread, self._thread = self._thread, None
            self._stopping.set()
            unwatch(self)
        if thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE)
            if thread.is_alive():
                logger.warning("the background indexer is still busy, and ends after the run that it has begun with")

    def close(self) -> None:
        """The process seems to end."""
        self.stop()

    def reopen(self) -> None:
        """It did not."""
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # The thread

    def _run(self, stopping: threading.Event) -> None:
        pause = self._interval
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
                    stopping.wait(time.monotonic() - begun)  # half of the time the program has for itself
            except Exception as error:  # nobody else could say it, and the next look may go well
                self._say_once(f"the background indexer goes on after {type(error).__name__}: {error}")
            pause = self._interval if found else min(2 * pause, IDLE * self._interval)
            stopping.wait(pause)

    def _stalled(self) -> Iterator[str]:
        """Marked runs that nobody holds now, but for those that failed and are not to be tried again yet."""
        backend = self._parts.backend
        marked = marked_runs(backend)
        for gone in self._retries.keys() - set(marked):
            del self._retries[gone]
        for run in marked:
            due, _ = self._retries.get(run, (0.0, 0.0))
            if time.monotonic() >= due and backend.lock_owner(meta_path(run)) is None:
                yield run

    def _let_others_go_first(self, stopping: threading.Event) -> None:
        deadline = time.monotonic() + _COURTESY
        while self._parts.backend.lock_owner(INDEX_PATH) is not None and time.monotonic() < deadline:
            if stopping.wait(_PAUSE):
                return

    def _index(self, run: str) -> None:
        report = ReindexReport()
        try:
            index_runs(self._parts, [run], {run}, report)
        except (AimstoreError, OSError) as error:
            report.failed[run] = str(error)
        if run in report.failed:
            _, last = self._retries.get(run, (0.0, self._interval / 2))
            self._retries[run] = time.monotonic() + min(2 * last, LAST_RETRY), min(2 * last, LAST_RETRY)
            if not self._say_once(f"run {run} is not indexed, and will be tried again: {report.failed[run]}"):
                return
        else:
            self._retries.pop(run, None)
        if self._tell is not None and (report.indexed or report.removed or report.failed):
            self._tell(report)

    def _say_once(self, text: str) -> bool:
        if text in self._said:
            return False
        self._said.add(text)
        logger.warning("%s", text)
        return True
