"""The index container open for writing: kept for the next commit while nobody waits, since opening costs more than writing."""

from __future__ import annotations

import atexit
import logging
import time
import weakref
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from threading import RLock, Thread
from typing import Final

from aimstore.abc import Backend, Container, Lock, Mode, WriteBatch
from aimstore.errors import AimstoreError
from aimstore.process.forking import track_forks
from aimstore.process.lifecycle import is_ending
from aimstore.types import INDEX_PATH, META_PREFIX, meta_path

logger = logging.getLogger("aimstore")

IDLE: Final = 0.25
"""Seconds after a commit in which the next is expected, and the index is held for it, where commits follow each other."""

MOST: Final = 64
"""Commits after which it is given up."""

_LOOK: Final = 0.005
"""Seconds between two looks whether somebody waits."""


@dataclass(eq=False)
class _Held:
    lock: Lock
    container: Container
    commits: int = 0
    last: float = 0.0

    def over(self) -> bool:
        return self.commits >= MOST or time.monotonic() - self.last > IDLE or self.lock.contended()


class IndexWriter:
    """Commits batches to the index, one after another, from any thread.

    Between commits that follow each other the lock stays held while nobody waits for it; who does gets it within 5 ms of a
    commit's end. A process that ends leaves nothing undone: each commit is durable when it returns.
    """

    def __init__(self, backend: Backend, patience: float) -> None:
        """
        Args:
            backend: of the repository.
            patience: seconds that a commit waits for the index lock.
        """
        self._backend = backend
        self._patience = patience
        self._mutex = RLock()
        self._held: _Held | None = None
        self._last = -IDLE
        track_forks(self)
        _writers.add(self)

    def commit(self, make: Callable[[Container], WriteBatch], runs: Collection[str] = ()) -> None:
        """Write what `make` says of `runs`, given the index as it is, and return when it is durable.

        Raises:
            LockedError: others kept the index; nothing is written.
        """
        with self._mutex:
            if self._held is not None:
                try:
                    self._write(self._held, make)
                except AimstoreError as error:
                    logger.debug("the index is opened anew: %s", error)
                else:
                    return
            lock = self._backend.lock(INDEX_PATH, timeout=self._patience)
            try:
                self._note_loss(runs)
                held = self._held = _Held(lock, self._backend.open(INDEX_PATH, Mode.WRITE, lock=lock))
            except BaseException:  # Ctrl-C too: nobody else has the lock to release it
                lock.release()
                raise
            self._write(held, make)
            if self._held is held:
                Thread(target=self._look_after, args=(held,), name="aimstore-index", daemon=True).start()

    def _note_loss(self, runs: Collection[str]) -> None:
        """Where the index is gone, mark the one that is made anew, so that queries do not take it for all there is."""
        if self._backend.exists(INDEX_PATH):
            return
        known = {*self._backend.marked("meta/"), *map(meta_path, runs)}
        if INDEX_PATH not in known and any(path not in known for path in self._backend.list(META_PREFIX)):
            logger.warning(
                "the index was lost: queries look into every run, until `aimstore reindex --rebuild` is done"
            )
            self._backend.mark(INDEX_PATH)

    def _write(self, held: _Held, make: Callable[[Container], WriteBatch]) -> None:
        try:
            held.container.write(make(held.container))
            held.container.flush(sync=True)
        except BaseException:  # Ctrl-C too: what is half done must not be held
            with suppress(AimstoreError):
                self.let_go()
            raise
        held.commits += 1
        before, self._last = self._last, time.monotonic()
        held.last = self._last
        if is_ending() or self._last - before > IDLE or held.over():
            self.let_go()

    def let_go(self) -> None:
        """Close the index, if it is held, and release its lock."""
        with self._mutex:
            held, self._held = self._held, None
            if held is not None:
                with held.lock:
                    held.container.close()

    def _look_after(self, held: _Held) -> None:
        while self._held is held:
            time.sleep(_LOOK)
            with self._mutex:
                if self._held is not held:
                    return
                try:
                    if held.over():
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
