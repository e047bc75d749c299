"""Waiting for what happens in other threads, but not for ever: a faulty engine fails its tests and does not hang them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE = 30.0
"""Seconds after which something that should happen counts as not happening."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Return when `condition` holds; fail with `what` where it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"after {PATIENCE:.0f} s: {what}"
        time.sleep(0.0005)


class Background:
    """A function that runs in a thread of its own. As a context manager it waits for its end."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._raised: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._raised = error

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def result(self) -> None:
        """Wait for its end, and raise what it raised."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"a thread hangs: {self._work.__qualname__}"
        if self._raised is not None:
            raise self._raised

    def __enter__(self) -> Background:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self.result()
        else:
            self._thread.join(PATIENCE)


def together(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, and raise what the first of them raised."""
    ready = threading.Barrier(len(works))

    def started(work: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            ready.wait(PATIENCE)
            work()

        return run

    for thread in [Background(started(work)) for work in works]:
        thread.result()
