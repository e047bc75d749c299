"""The workload `lifecycle`: many short runs, each created, tracked into and finalized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aimstore.bench.workload import Better, Case, Figure, Job, Workload
from aimstore.bench.workloads.common import short_runs, timed


class Lifecycle(Workload):
    """Each run is on the disk and in the index before the next one begins."""

    name = "lifecycle"
    figures = (Figure("runs_per_s", "runs", "1/s", Better.MORE),)
    sizes = {"runs": 100, "metrics": 5, "steps": 20}
    quick = {"runs": 10}
    cost = ("bytes_per_unit", "amplification", "cpu_s", "peak_mb", "files")

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        return (Case("short", f"{sizes['runs']:,} runs of {sizes['metrics']} metrics × {sizes['steps']} steps"),)

    def setup(self, job: Job) -> None:
        super().setup(job)
        short_runs(self.repo, 1, 1, 1)  # loads what the first run of a process loads

    def run(self, job: Job) -> Mapping[str, float]:
        sizes = job.sizes
        seconds, _ = timed(lambda: short_runs(self.repo, sizes["runs"], sizes["metrics"], sizes["steps"]))
        return {"runs_per_s": sizes["runs"] / seconds}

    def units(self, job: Job) -> float:
        return float(job.sizes["runs"])
