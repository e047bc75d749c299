"""The fresh process of one repetition: `python -m aimstore.bench.worker` with an order, a JSON object, on stdin.

The last line of its output is the result, or `{"failure": …}`.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any, Final

from aimstore.bench.peers.loops.measure import Usage, open_files
from aimstore.bench.sizes import size_of
from aimstore.bench.workload import Job, Workload
from aimstore.errors import AimstoreError
from aimstore.plugins.loading import load_reference
from aimstore.plugins.specs import WorkloadSpec

PREPARE: Final = "prepare"
"""Phase that makes the data of a case, and measures nothing."""

RUN: Final = "run"
"""Phase that is measured."""

BOTH: Final = "both"
"""Both phases in one process, for engines that are not persistent."""


def order_of(spec: WorkloadSpec, job: Job, phase: str) -> dict[str, Any]:
    """The order for a worker, which JSON can hold."""
    return {
        "workload": {"name": spec.name, "factory": spec.factory, "extra": spec.extra},
        "phase": phase,
        "job": {**vars(job), "folder": str(job.folder), "sizes": dict(job.sizes), "options": dict(job.options)},
    }


def work(order: dict[str, Any]) -> dict[str, float]:
    """Carry out an order; the figures."""
    spec = WorkloadSpec(summary="", **order["workload"])
    workload: Workload = load_reference(spec, spec.factory)()
    job = Job(**{**order["job"], "folder": Path(order["job"]["folder"])})
    if order["phase"] != RUN:
        workload.prepare(job)
    return {} if order["phase"] == PREPARE else _measured(workload, job)


def _measured(workload: Workload, job: Job) -> dict[str, float]:
    workload.setup(job)
    before = size_of(job.folder)
    usage = Usage.begin()
    try:
        result = dict(workload.run(job))
        files = open_files() - usage.files
    finally:
        workload.teardown(job)
    return {"files": files, **usage.until_now(), "before_bytes": before, "units": workload.units(job), **result}


def _failure(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, (AimstoreError, OSError)):
        return text
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{text} ({Path(frame.filename).name}, line {frame.lineno}, in {frame.name})"


def main() -> int:
    """The process's exit code."""
    try:
        answer: dict[str, Any] = work(json.load(sys.stdin))
    except Exception as error:  # a workload or an engine of a plug-in may raise anything
        traceback.print_exc()
        answer = {"failure": _failure(error)}
    print(json.dumps(answer), flush=True)  # noqa: T201  the answer
    return 1 if "failure" in answer else 0


if __name__ == "__main__":
    sys.exit(main())
