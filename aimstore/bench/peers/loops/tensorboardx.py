"""tensorboardX: event files, written by a thread."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path
from typing import Any

from . import measure

begun = time.perf_counter()
from tensorboardX import SummaryWriter  # noqa: E402  # the clock above is what the import row is about

IMPORT_SECONDS = time.perf_counter() - begun


def begin(folder: str) -> measure.Logging:
    """`flush` hands all to the operating system."""
    writer = SummaryWriter(folder)
    steps = count()
    return measure.Logging(lambda value: writer.add_scalar("loss", value, next(steps)), writer.flush, writer.close)


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
    measure.main(measure.logging_loops(begin), lifecycle, import_seconds=IMPORT_SECONDS)
