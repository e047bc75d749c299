"""tensorboardX: event files, written by a thread."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from . import measure

begun = time.perf_counter()
from tensorboardX import SummaryWriter  # noqa: E402  # the clock above is what the import row is about

IMPORTED = time.perf_counter() - begun


def imports() -> dict[str, Any]:
    return {"ms": IMPORTED * 1e3}


def init(folder: str) -> dict[str, Any]:
    return {}


def track(folder: str, calls: int) -> dict[str, Any]:
    """`flush` hands all to the operating system."""
    values = measure.losses(calls)
    writer = SummaryWriter(folder)
    begun = time.perf_counter()
    for step, value in enumerate(values):
        writer.add_scalar("loss", value, step)
    returned = time.perf_counter() - begun
    writer.flush()
    seconds = time.perf_counter() - begun
    writer.close()
    return {"calls_per_s": calls / seconds, "returned_per_s": calls / returned}


def latency(folder: str, calls: int) -> dict[str, Any]:
    with SummaryWriter(folder) as writer:
        steps = iter(range(calls))
        taken = measure.latencies(lambda value: writer.add_scalar("loss", value, next(steps)), measure.losses(calls))
    return measure.percentiles(taken)


def paced(folder: str, calls: int, interval: float) -> dict[str, Any]:
    with SummaryWriter(folder) as writer:
        steps = iter(range(calls))
        taken = measure.paced_latencies(
            lambda value: writer.add_scalar("loss", value, next(steps)), measure.losses(calls), interval
        )
    return measure.percentiles(taken)


def lifecycle(folder: str, runs: int, metrics: int, steps: int) -> dict[str, Any]:
    """A folder for each run; hyperparameters as its documentation logs them would make a file more, so as text."""
    names = [f"metric_{i}" for i in range(metrics)]
    values = measure.losses(steps)
    begun = time.perf_counter()
    for number in range(runs):
        with SummaryWriter(str(Path(folder, f"run_{number}"))) as writer:
            writer.add_text("hparams", str(measure.PARAMETERS))
            for step, value in enumerate(values):
                for name in names:
                    writer.add_scalar(name, value, step)
    return {"runs_per_s": runs / (time.perf_counter() - begun)}


if __name__ == "__main__":
    workloads = (init, track, latency, paced, lifecycle)
    measure.main({"import": imports, **{each.__name__: each for each in workloads}})
