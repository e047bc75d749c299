"""W&B offline: a file of records for each run, written by a service process."""

from __future__ import annotations

import os
import time
from typing import Any

os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB__DISABLE_STATS": "true"}

from . import measure

begun = time.perf_counter()
import wandb  # noqa: E402  # the clock above is what the import row is about

IMPORTED = time.perf_counter() - begun


def imports() -> dict[str, Any]:
    return {"ms": IMPORTED * 1e3}


def init(folder: str) -> dict[str, Any]:
    return {}


def _run(folder: str) -> Any:
    settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off", silent=True)
    return wandb.init(project="benchmark", dir=folder, mode="offline", config=measure.PARAMETERS, settings=settings)


def track(folder: str, calls: int) -> dict[str, Any]:
    """`finish` waits for the service to have written all; there is no other way to know."""
    values = measure.losses(calls)
    run = _run(folder)
    begun = time.perf_counter()
    for value in values:
        run.log({"loss": value})
    returned = time.perf_counter() - begun
    run.finish()
    return {"calls_per_s": calls / (time.perf_counter() - begun), "returned_per_s": calls / returned}


def latency(folder: str, calls: int) -> dict[str, Any]:
    run = _run(folder)
    taken = measure.latencies(lambda value: run.log({"loss": value}), measure.losses(calls))
    run.finish()
    return measure.percentiles(taken)


def paced(folder: str, calls: int, interval: float) -> dict[str, Any]:
    run = _run(folder)
    taken = measure.paced_latencies(lambda value: run.log({"loss": value}), measure.losses(calls), interval)
    run.finish()
    return measure.percentiles(taken)


def lifecycle(folder: str, runs: int, metrics: int, steps: int) -> dict[str, Any]:
    """All metrics of a step in one call, as its users do."""
    names = [f"metric_{i}" for i in range(metrics)]
    values = measure.losses(steps)
    begun = time.perf_counter()
    for _ in range(runs):
        run = _run(folder)
        for value in values:
            run.log(dict.fromkeys(names, value))
        run.finish()
    return {"runs_per_s": runs / (time.perf_counter() - begun)}


if __name__ == "__main__":
    workloads = (init, track, latency, paced, lifecycle)
    measure.main({"import": imports, **{each.__name__: each for each in workloads}})
