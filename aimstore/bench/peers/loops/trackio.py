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


def _library(folder: str = "") -> Any:
    if folder:
        os.environ["TRACKIO_DIR"] = folder  # read when it is imported
    import trackio

    return trackio


def _start(trackio: Any, name: str) -> None:
    trackio.init(project="benchmark", name=name, config=measure.PARAMETERS, embed=False, auto_log_gpu=False)


def begin(folder: str) -> measure.Logging:
    """`finish` waits for the thread to have written all; there is no other way to know."""
    trackio = _library(folder)
    _start(trackio, "run")
    return measure.Logging(lambda value: trackio.log({"loss": value}), trackio.finish)


def lifecycle(folder: str, runs: int, metrics: int, steps: int) -> dict[str, Any]:
    """All metrics of a step in one call, as its users do."""
    trackio = _library(folder)
    names = [f"metric_{i}" for i in range(metrics)]
    values = measure.losses(steps)
    begun = time.perf_counter()
    for number in range(runs):
        _start(trackio, f"run-{number}")
        for value in values:
            trackio.log(dict.fromkeys(names, value))
        trackio.finish()
    return {"runs_per_s": runs / (time.perf_counter() - begun)}


if __name__ == "__main__":
    measure.main({**measure.logging_loops(begin), "import": imports}, lifecycle)
