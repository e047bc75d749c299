"""How open runs end when their process does: signals, interpreter exit, forks.

Python runs a signal handler in the main thread between any two bytecodes, so one that has work to do must never wait for
a lock that the interrupted code holds. Every section of ours that holds a lock or is half-way through a change runs
under `shield`; a signal that arrives meanwhile waits until the section is left. Code outside such sections, the hot path
of `track` above all, takes no lock that ending a run needs.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from aimstore.errors import AimstoreError
from aimstore.process.forking import track_forks

logger = logging.getLogger("aimstore")

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Closable(Protocol):
    """What is to be ended with its process."""

    def close(self) -> None: ...

    def reopen(self) -> None:
        """Go on after `close`, because the process turned out to live on."""


class _Shield:
    """Context manager that holds back signals in the main thread; reentrant, and free in other threads."""

    def __init__(self) -> None:
        self.depth = 0
        self.pending: list[int] = []
        self.main = threading.main_thread().ident

    def __enter__(self) -> None:
        if threading.get_ident() == self.main:
            self.depth += 1

    def __exit__(self, *_: object) -> None:
        if threading.get_ident() == self.main:
            self.depth -= 1
            self._deliver()

    def _deliver(self) -> None:
        if self.pending and not self.depth:
            try:
                _lifecycle.handle(self.pending.pop(0), None)
            finally:  # a handler that raises keeps no other signal waiting
                self._deliver()


class _Lifecycle:
    """The open runs of this process, and the handlers that are installed while there are any."""

    def __init__(self) -> None:
        self.open: dict[int, Closable] = {}
        self.previous: dict[int, Any] = {}
        self.at_exit = False
        self.ending = 0
        self.masks = threading.local()
        track_forks(self)
        os.register_at_fork(before=self._hold_signals, after_in_parent=self._let_signals_through)

    def watch(self, item: Closable) -> None:
        self.open[id(item)] = item
        if not self.at_exit:
            self.at_exit = True
            atexit.register(self.close_all)
            if "multiprocessing.util" in sys.modules:  # a multiprocessing child leaves by os._exit, past atexit
                from multiprocessing import util

                util.Finalize(None, self.close_all, exitpriority=100)
        if threading.current_thread() is threading.main_thread():
            self._install()

    def unwatch(self, item: Closable) -> None:
        self.open.pop(id(item), None)
        if not self.open and threading.current_thread() is threading.main_thread():
            self._uninstall()

    def _install(self) -> None:
        for number in _SIGNALS:
            if number not in self.previous:
                previous = signal.getsignal(number)
                set_from_python = previous is not None  # any other handler is not ours to call
                if set_from_python and previous is not signal.SIG_IGN:
                    self.previous[number] = previous
                    signal.signal(number, self._on_signal)

    def _uninstall(self) -> None:
        for number, previous in list(self.previous.items()):
            if signal.getsignal(number) == self._on_signal:  # else somebody chained theirs before ours: leave it
                signal.signal(number, previous)
                del self.previous[number]

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if shield.depth:
            shield.pending.append(number)
        else:
            self.handle(number, frame)

    def handle(self, number: int, frame: FrameType | None) -> None:
        if number not in self.previous and signal.getsignal(number) != self._on_signal:
            signal.raise_signal(number)  # it waited until the last run was closed: it is not ours any more
            return
        previous: Callable[[int, FrameType | None], object] | int | None = self.previous.get(number, signal.SIG_DFL)
        if callable(previous) and number == signal.SIGINT:
            previous(number, frame)  # KeyboardInterrupt unwinds to whoever catches it, or to interpreter exit
            return
        ended = list(self.open.values())
        try:
            self.close_all()
        finally:  # a SIGINT that waited until everything was closed has raised KeyboardInterrupt
            if callable(previous):
                previous(number, frame)
                for item in ended:  # the program's own handler lets it live on, so its runs do too
                    self._quietly(item.reopen)
            elif previous == signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)

    def close_all(self) -> None:
        """Close everything open; an error in one is logged and keeps no other from closing."""
        with shield:
            self.ending += 1
            try:
                for item in list(self.open.values()):
                    self._quietly(item.close)
            finally:
                self.ending -= 1

    @staticmethod
    def _quietly(action: Callable[[], None]) -> None:
        try:
            action()
        except (AimstoreError, OSError) as error:
            logger.error("%s", error)

    def _after_fork_in_child(self) -> None:
        shield.depth = 0
        shield.pending.clear()
        shield.main = threading.main_thread().ident
        self.open.clear()
        with contextlib.suppress(ValueError):  # forked from a thread that cannot set handlers: they find nothing open
            self._uninstall()
        self.at_exit = False
        self.ending = 0
        self._let_signals_through()

    def _hold_signals(self) -> None:
        """Python forgets what reaches a child before its handlers are put back, so that nothing must reach it until then."""
        self.masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def _let_signals_through(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self.masks.before)


shield = _Shield()
_lifecycle = _Lifecycle()

watch = _lifecycle.watch
"""Close `item` when the process ends: at interpreter exit, on SIGTERM, and on SIGINT where that ends it."""

unwatch = _lifecycle.unwatch
"""Forget `item`; when nothing is left, the signal handlers found before are put back."""


def is_ending() -> bool:
    """Whether the process seems to end, and everything open is being closed."""
    return _lifecycle.ending > 0
