"""Waits for events in other threads, with a limit: a faulty engine fails its tests instead of hanging them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final, Self

WAIT_VARIABLE: Final = "AIMSTORE_TEST_WAIT_SECONDS"
"""The environment variable that overrides `WAIT_SECONDS`, also in the processes that tests start."""

WAIT_SECONDS: Final = float(os.environ.get(WAIT_VARIABLE, 120))
"""Seconds that the kit waits for an event before the test fails: long enough that only a hanging engine fails."""


def until(condition: Callable[[], bool], what: str) -> None:
    """Return when `condition` is true. Fails with the message `what` if that takes too long."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"after {WAIT_SECONDS:.0f} s: {what}"
        time.sleep(0.0005)


class Background:
    """A function that runs in a thread of its own. The end of its `with` block waits for the function."""

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
        """Wait for the function to end, and raise its exception if there was one."""
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive(), f"a thread hangs: {self._work.__qualname__}"
        if self._raised is not None:
            raise self._raised

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is None:
            self.result()
        else:
            self._thread.join(WAIT_SECONDS)


def together(*works: Callable[[], object]) -> None:
    """Run each function in a thread of its own, and raise the exception of the first that failed."""
    ready = threading.Barrier(len(works))

    def started(work: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            ready.wait(WAIT_SECONDS)
            work()

        return run

    for thread in [Background(started(work)) for work in works]:
        thread.result()
