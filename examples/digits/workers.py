"""Training processes: a few run at a time, each writes one run, and some are interrupted."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from signal import Signals
from typing import Any

from digits.training import Data, Settings, train

INTERRUPT_AFTER = 20
"""Epochs after which a run is interrupted; by then its training is well under way."""

spawn = get_context("spawn")


@dataclass
class Worker:
    """A training process, as its parent sees it.

    Attributes:
        settings: its hyper-parameters.
        interrupt: the signal that interrupts its training, if any.
        run: hash of its run, known after the first epoch.
        epochs: number of finished epochs.
        exit_code: exit code of the process; the negative signal number if a signal ended it.
    """

    settings: Settings
    interrupt: Signals | None = None
    run: str = ""
    epochs: int = 0
    exit_code: int | None = None
    # shared memory, which outlives the worker however it ends
    _steps: Any = field(default_factory=lambda: spawn.RawValue("q", 0))

    @property
    def tag(self) -> str:
        """The tag of its run."""
        return "interrupted" if self.interrupt else "grid"

    @property
    def steps(self) -> int:
        """The number of steps it has tracked."""
        return int(self._steps.value)


def run_workers(workers: Iterable[Worker], jobs: int, repo: str, sweep: str, data: Data) -> Iterator[Worker]:
    """Train in `jobs` processes at a time. Yields each worker when its process has ended."""
    waiting = deque(workers)
    running: dict[Connection, tuple[Worker, Any]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            worker = waiting.popleft()
            pipe, far_end = spawn.Pipe(duplex=False)
            arguments = (repo, sweep, worker.tag, worker.settings, data, worker._steps, far_end)
            process = spawn.Process(target=_work, args=arguments, daemon=True)  # gets SIGTERM when this program ends
            process.start()
            far_end.close()
            running[pipe] = worker, process
        for pipe in wait(list(running)):
            worker, process = running[pipe]
            try:
                worker.run = pipe.recv()
            except EOFError:
                process.join()
                worker.exit_code = process.exitcode
                del running[pipe]
                pipe.close()
                yield worker
            else:
                worker.epochs += 1
                if worker.interrupt and worker.epochs == INTERRUPT_AFTER:
                    os.kill(process.pid, worker.interrupt)


def _work(repo: str, sweep: str, tag: str, settings: Settings, data: Data, steps: Any, pipe: Connection) -> None:
    """Run in the process of a worker."""

    def note_steps(n: int) -> None:
        steps.value = n

    train(repo, sweep, tag, settings, data, on_step=note_steps, on_epoch=pipe.send)
