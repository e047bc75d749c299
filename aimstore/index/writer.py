"""The index container, open for writing. It stays open for the next commit while no process waits for it."""

from __future__ import annotations

import atexit
import logging
import time
import weakref
from collections.abc import Callable, Collection
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from threading import RLock, Thread

from aimstore.abc import Backend, Container, Lock, Mode, WriteBatch
from aimstore.errors import AimstoreError, LockedError
from aimstore.index.limits import INDEX_LIMITS, IndexLimits
from aimstore.index.waiting import WaitingRuns
from aimstore.process.forking import track_forks
from aimstore.process.lifecycle import is_ending
from aimstore.types import INDEX_PATH, META_PREFIX, meta_path

logger = logging.getLogger("aimstore")


@dataclass(eq=False)
class _Held:
    """The index container open for writing. `last` is the time of the last commit, by the writer's clock."""

    lock: Lock
    container: Container
    commits: int = 0
    last: float = 0.0


class IndexWriter:
    """Commits batches to the index, one after another, from any thread.

    While commits follow each other, the lock stays held unless a process waits for it. A waiting process gets the lock
    within `poll_seconds` of the end of a commit. A process may end at any time, because each commit is durable when it
    returns.
    """

    def __init__(
        self,
        backend: Backend,
        limits: IndexLimits = INDEX_LIMITS,
        clock: Callable[[], float] = time.monotonic,
        waiting: WaitingRuns | None = None,
    ) -> None:
        """
        Args:
            backend: the backend of the repository.
            limits: how long to wait for the lock, and how long to keep it.
            clock: a monotonic clock in seconds.
            waiting: the finalized runs that wait for the index.
        """
        self._backend = backend
        self._limits = limits
        self._waiting = waiting or WaitingRuns(backend, limits.waiting_runs)
        self._clock = clock
        self._mutex = RLock()
        self._held: _Held | None = None
        self._last = -float("inf")
        track_forks(self)
        _writers.add(self)

    def commit(
        self,
        make: Callable[[Container], WriteBatch],
        runs: Collection[str] = (),
        *,
        durable: Callable[[], None] = lambda: None,
        finished: str | None = None,
    ) -> None:
        """Write the batch that `make` returns for `runs`, given the current index, and return when it is durable.

        Args:
            make: returns the batch to write; called with the lock held.
            runs: the runs that the batch is about.
            durable: called once the batch is durable, with the lock still held.
            finished: the run, if the commit is about a single finalized run. The process that holds the index may index
                it.

        Raises:
            LockedError: other processes kept the index; nothing is written.
        """
        deadline = self._clock() + self._limits.lock_wait_seconds
        try:
            self._commit_within(self._limits.poll_seconds, make, runs, durable)
        except LockedError:
            with self._waiting.announce(finished) if finished is not None else nullcontext() as marker:
                while marker is None or not self._waiting.is_indexed(marker):
                    left = deadline - self._clock()
                    if left <= 0:
                        raise
                    with suppress(LockedError):
                        self._commit_within(min(left, self._limits.look_seconds), make, runs, durable)
                        return

    def _commit_within(
        self,
        seconds: float,
        make: Callable[[Container], WriteBatch],
        runs: Collection[str],
        durable: Callable[[], None],
    ) -> None:
        with self._mutex:
            if self._held is not None:
                try:
                    self._write(self._held, make, durable)
                except AimstoreError as error:
                    logger.debug("the index is opened anew: %s", error)
                else:
                    return
            lock = self._backend.lock(INDEX_PATH, timeout=seconds)
            try:
                self._note_loss(runs)
                held = self._held = _Held(lock, self._backend.open(INDEX_PATH, Mode.WRITE, lock=lock))
            except BaseException:  # Ctrl-C too: nobody else has the lock to release it
                lock.release()
                raise
            self._write(held, make, durable)
            if self._held is held:
                Thread(target=self._release_in_time, args=(held,), name="aimstore-index", daemon=True).start()

    def _note_loss(self, runs: Collection[str]) -> None:
        """If the index is lost, mark the new index as unfinished, so that queries do not rely on it alone."""
        if self._backend.exists(INDEX_PATH):
            return
        known = {*self._backend.marked("meta/"), *map(meta_path, runs)}
        if INDEX_PATH not in known and any(path not in known for path in self._backend.list(META_PREFIX)):
            logger.warning(
                "the index was lost: queries look into every run, until `aimstore reindex --rebuild` is done"
            )
            self._backend.mark(INDEX_PATH)

    def _write(self, held: _Held, make: Callable[[Container], WriteBatch], durable: Callable[[], None]) -> None:
        try:
            held.container.write(make(held.container))
            held.container.flush(sync=True)
            durable()
        except BaseException:  # Ctrl-C too: a container that is half open must not be kept
            with suppress(AimstoreError):
                self.let_go()
            raise
        held.commits += 1
        before, self._last = self._last, self._clock()
        held.last = self._last
        if is_ending() or self._last - before > self._limits.idle_seconds or self._is_over(held):
            self.let_go()

    def _is_over(self, held: _Held) -> bool:
        """Whether it is time to release the lock."""
        return (
            held.commits >= self._limits.commits_per_lock
            or self._clock() - held.last > self._limits.idle_seconds
            or held.lock.contended()
        )

    def let_go(self) -> None:
        """Close the index, if it is open, and release its lock."""
        with self._mutex:
            held, self._held = self._held, None
            if held is not None:
                with held.lock:
                    held.container.close()

    def _release_in_time(self, held: _Held) -> None:
        while self._held is held:
            time.sleep(self._limits.poll_seconds)
            with self._mutex:
                if self._held is not held:
                    return
                try:
                    if self._is_over(held):
                        self.let_go()
                except AimstoreError as error:
                    self._held = None
                    logger.warning("the index: %s", error)

    def _after_fork_in_child(self) -> None:
        self._mutex = RLock()
        self._held = None  # the parent's


_writers: weakref.WeakSet[IndexWriter] = weakref.WeakSet()


@atexit.register
def _let_all_go() -> None:
    for writer in list(_writers):
        with suppress(AimstoreError):
            writer.let_go()
