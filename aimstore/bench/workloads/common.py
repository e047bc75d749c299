"""Shared by the workloads: loading libraries, clocks, short runs, and other processes."""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aimstore.bench.peers.loops.measure import PARAMETERS, losses
from aimstore.bench.workload import Better, Figure, Job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aimstore.repo import Repo

_T = TypeVar("_T")

LATENCY: Final = (
    Figure("p50_us", "p50", "µs", panel="latency of a call"),
    Figure("p99_us", "p99", "µs", panel="latency of a call"),
    Figure("p999_us", "p99.9", "µs", panel="latency of a call"),
    Figure("max_us", "longest", "µs", panel="latency of a call"),
)
"""The figures of `measure.percentiles`."""

CALLS: Final = Figure("calls_per_s", "calls", "1/s", Better.MORE)


def load_libraries(job: Job) -> None:
    """Load the libraries that reading and querying load, by doing both elsewhere, so that the clock does not cover it."""
    from aimstore.run import Run

    with TemporaryDirectory(dir=job.folder.parent) as folder:
        repo = replace(job, folder=Path(folder)).open()
        with Run(repo=repo) as run:
            run["lr"] = 0.1
            run.track(1.0, name="loss")
        for found in repo.query_runs("run.lr > 0"):
            metric = found.get_metric("loss")
            assert metric is not None
            metric.numpy()
        repo.query_runs("run.lr > 0").count()
        repo.close()


def timed(work: Callable[[], _T]) -> tuple[float, _T]:
    """The seconds that some work takes without the garbage collector, and its result."""
    gc.collect()
    gc.disable()
    try:
        begun = time.perf_counter()
        result = work()
        return time.perf_counter() - begun, result
    finally:
        gc.enable()


def median_seconds(work: Callable[[], object], times: int) -> float:
    """The median of the seconds that some work takes when it is done several times."""
    return median(timed(work)[0] for _ in range(times))


def short_runs(repo: Repo, runs: int, metrics: int, steps: int) -> None:
    """Create, track and finalize runs one after the other, each with hyperparameters and some metrics."""
    from aimstore.run import Run

    names = [f"metric_{i}" for i in range(metrics)]
    values = losses(steps)
    for _ in range(runs):
        with Run(repo=repo, experiment="benchmark") as run:
            run["hparams"] = PARAMETERS
            for step, value in enumerate(values):
                for name in names:
                    run.track(value, name=name, step=step)


@contextmanager
def processes(targets: Sequence[tuple[Callable[..., None], tuple[Any, ...]]]) -> Iterator[list[SpawnProcess]]:
    """Run functions in processes of their own. The end of the block waits for them; raises if one failed."""
    spawning = multiprocessing.get_context("spawn")
    started = [spawning.Process(target=target, args=arguments) for target, arguments in targets]
    for process in started:
        process.start()
    try:
        yield started
        for process in started:
            process.join()
            if process.exitcode:
                raise RuntimeError(f"a process beside this one ended with exit code {process.exitcode}")
    finally:
        for process in started:
            process.kill()
            process.join()
