"""Training processes: some at a time, each writing one run, and now and then one that is interrupted."""

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
"""Epochs that a run which is to be interrupted gets; enough that it is well under way."""

spawn = get_context("spawn")


@dataclass
class Worker:
    """One training process as its parent sees it.

    Attributes:
        settings: what it trains.
        interrupt: the signal that it gets in the middle of its training.
        run: hash of its run, known after its first epoch.
        epochs: how many it has finished.
        exit_code: of the process; minus the number of the signal where that ended it.
    """

    settings: Settings
    interrupt: Signals | None = None
    run: str = ""
    epochs: int = 0
    exit_code: int | None = None
    # in memory that both processes share, so that it outlives the worker however that ends
    _steps: Any = field(default_factory=lambda: spawn.RawValue("q", 0))

    @property
    def tag(self) -> str:
        """What its run is tagged with."""
        return "interrupted" if self.interrupt else "grid"

    @property
    def steps(self) -> int:
        """How many steps it has tracked."""
        return int(self._steps.value)


def run_workers(workers: Iterable[Worker], jobs: int, repo: str, sweep: str, data: Data) -> Iterator[Worker]:
    """Train, `jobs` processes at a time; gives each worker when its process has ended."""
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
    """What runs in the process of a worker."""

    def note_steps(n: int) -> None:
        steps.value = n

    train(repo, sweep, tag, settings, data, on_step=note_steps, on_epoch=pipe.send)
