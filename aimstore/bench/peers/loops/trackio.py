"""Trackio: one SQLite database for a project, written by a thread."""

from __future__ import annotations

import os
import time
from typing import Any

from . import measure

os.environ |= {"TRACKIO_SHOW_DASHBOARD": "false", "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}


def imports() -> dict[str, Any]:
    begun = time.perf_counter()
    _library()
    return {"ms": (time.perf_counter() - begun) * 1e3}


def init(folder: str) -> dict[str, Any]:
    return {}


def _library(folder: str = "") -> Any:
    if folder:
        os.environ["TRACKIO_DIR"] = folder  # read when it is imported
    import trackio

    return trackio


def _begin(trackio: Any, name: str) -> Any:
    return trackio.init(project="benchmark", name=name, config=measure.PARAMETERS, embed=False, auto_log_gpu=False)


def track(folder: str, calls: int) -> dict[str, Any]:
    """`finish` waits for the thread to have written all; there is no other way to know."""
    trackio = _library(folder)
    values = measure.losses(calls)
    _begin(trackio, "run")
    begun = time.perf_counter()
    for value in values:
        trackio.log({"loss": value})
    returned = time.perf_counter() - begun
    trackio.finish()
    return {"calls_per_s": calls / (time.perf_counter() - begun), "returned_per_s": calls / returned}


def latency(folder: str, calls: int) -> dict[str, Any]:
    trackio = _library(folder)
    _begin(trackio, "run")
    taken = measure.latencies(lambda value: trackio.log({"loss": value}), measure.losses(calls))
    trackio.finish()
    return measure.percentiles(taken)


def paced(folder: str, calls: int, interval: float) -> dict[str, Any]:
    trackio = _library(folder)
    _begin(trackio, "run")
    taken = measure.paced_latencies(lambda value: trackio.log({"loss": value}), measure.losses(calls), interval)
    trackio.finish()
    return measure.percentiles(taken)


def lifecycle(folder: str, runs: int, metrics: int, steps: int) -> dict[str, Any]:
    """All metrics of a step in one call, as its users do."""
    trackio = _library(folder)
    names = [f"metric_{i}" for i in range(metrics)]
    values = measure.losses(steps)
    begun = time.perf_counter()
    for number in range(runs):
        _begin(trackio, f"run-{number}")
        for value in values:
            trackio.log(dict.fromkeys(names, value))
        trackio.finish()
    return {"runs_per_s": runs / (time.perf_counter() - begun)}


if __name__ == "__main__":
    workloads = (init, track, latency, paced, lifecycle)
    measure.main({"import": imports, **{each.__name__: each for each in workloads}})
