"""MLflow on SQLite: a row for each value, committed before the call returns."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from . import measure

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

begun = time.perf_counter()
import mlflow  # noqa: E402  # the clock above is what the import row is about

IMPORTED = time.perf_counter() - begun


def imports() -> dict[str, Any]:
    return {"ms": IMPORTED * 1e3}


def init(folder: str) -> dict[str, Any]:
    """The first use makes the tables."""
    _use(folder)
    return {}


def _use(folder: str) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{Path(folder, 'mlflow.db')}")
    mlflow.set_experiment("benchmark")


def track(folder: str, calls: int) -> dict[str, Any]:
    _use(folder)
    values = measure.losses(calls)
    with mlflow.start_run():
        mlflow.log_metric("warm", 0.0)
        begun = time.perf_counter()
        for step, value in enumerate(values):
            mlflow.log_metric("loss", value, step=step)
        seconds = time.perf_counter() - begun
    return {"calls_per_s": calls / seconds, "returned_per_s": calls / seconds}


def latency(folder: str, calls: int) -> dict[str, Any]:
    _use(folder)
    steps = iter(range(calls))
    with mlflow.start_run():
        mlflow.log_metric("warm", 0.0)
        taken = measure.latencies(
            lambda value: mlflow.log_metric("loss", value, step=next(steps)), measure.losses(calls)
        )
    return measure.percentiles(taken)


def paced(folder: str, calls: int, interval: float) -> dict[str, Any]:
    _use(folder)
    steps = iter(range(calls))
    with mlflow.start_run():
        mlflow.log_metric("warm", 0.0)
        taken = measure.paced_latencies(
            lambda value: mlflow.log_metric("loss", value, step=next(steps)), measure.losses(calls), interval
        )
    return measure.percentiles(taken)


def query(folder: str, runs: int) -> dict[str, Any]:
    """A search that all runs match, asked first and again. Its parameters are texts."""
    _use(folder)
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        found = len(mlflow.search_runs(filter_string="params.lr = '0.001'", max_results=50_000, output_format="list"))
        taken.append(time.perf_counter() - begun)
        assert found == runs, found
    return {"first_ms": taken[0] * 1e3, "us_per_run": min(taken[1:]) / runs * 1e6}


def lifecycle(folder: str, runs: int, metrics: int, steps: int) -> dict[str, Any]:
    """All metrics of a step in one call, as its users do."""
    _use(folder)
    names = [f"metric_{i}" for i in range(metrics)]
    values = measure.losses(steps)
    begun = time.perf_counter()
    for _ in range(runs):
        with mlflow.start_run():
            mlflow.log_params(measure.PARAMETERS)
            for step, value in enumerate(values):
                mlflow.log_metrics(dict.fromkeys(names, value), step=step)
    return {"runs_per_s": runs / (time.perf_counter() - begun)}


if __name__ == "__main__":
    workloads = (init, track, latency, paced, query, lifecycle)
    measure.main({"import": imports, **{each.__name__: each for each in workloads}})
