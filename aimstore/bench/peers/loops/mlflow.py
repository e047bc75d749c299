"""MLflow on SQLite: a row for each value, committed before the call returns."""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path
from typing import Any

from . import measure

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}

begun = time.perf_counter()
import mlflow  # noqa: E402  # the clock above is what the import row is about

IMPORT_SECONDS = time.perf_counter() - begun


def init(folder: str) -> dict[str, Any]:
    """The first use makes the tables."""
    _use(folder)
    return {}


def _use(folder: str) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{Path(folder, 'mlflow.db')}")
    mlflow.set_experiment("benchmark")


def begin(folder: str) -> measure.Logging:
    """A call returns when its value is committed."""
    _use(folder)
    mlflow.start_run()
    mlflow.log_metric("warm", 0.0)
    steps = count()
    return measure.Logging(lambda value: mlflow.log_metric("loss", value, step=next(steps)), close=mlflow.end_run)


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
    measure.main(measure.logging_loops(begin), init, query, lifecycle, import_seconds=IMPORT_SECONDS)
