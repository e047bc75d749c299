"""W&B offline: a file of records for each run, written by a service process."""

from __future__ import annotations

import os
import time
from typing import Any

os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_CONSOLE": "off", "WANDB__DISABLE_STATS": "true"}

from . import measure

begun = time.perf_counter()
import wandb  # noqa: E402  # the clock above is what the import row is about

IMPORT_SECONDS = time.perf_counter() - begun


def _run(folder: str) -> Any:
    settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, console="off", silent=True)
    return wandb.init(project="benchmark", dir=folder, mode="offline", config=measure.PARAMETERS, settings=settings)


def begin(folder: str) -> measure.Logging:
    """`finish` waits for the service to have written all; there is no other way to know."""
    run = _run(folder)
    return measure.Logging(lambda value: run.log({"loss": value}), run.finish)


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
    measure.main(measure.logging_loops(begin), lifecycle, import_seconds=IMPORT_SECONDS)
