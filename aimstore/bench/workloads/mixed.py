"""The workload `mixed`: several processes write runs while one reads and queries."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from aimstore.bench.peers.loops.measure import losses, open_files
from aimstore.bench.workload import Better, Case, Figure, Job, Workload
from aimstore.bench.workloads.common import load_libraries, processes, short_runs


class Mixed(Workload):
    """Each writer tracks as fast as it can until it has tracked all; the reader queries all runs and reads the newest metric,
    over and over, until the writers have ended."""

    name = "mixed"
    figures = (
        Figure("calls_per_s", "calls of all writers", "1/s", Better.MORE),
        Figure("queries_per_s", "queries with a read, at the same time", "1/s", Better.MORE),
        Figure("slowest_ms", "slowest query with a read", "ms"),
        Figure("most_files", "most files open at once", ""),
    )
    sizes = {"writers": 2, "calls": 1_000_000, "finished": 100}
    quick = {"calls": 50_000, "finished": 5}
    multi_process = True
    persistent = True
    cost = ("cpu_s", "peak_mb", "amplification", "bytes_per_unit")

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        return (Case("readers", f"{sizes['writers']} writers of {sizes['calls']:,} calls beside a reader"),)

    def setup(self, job: Job) -> None:
        load_libraries(job)
        repo = job.open()
        short_runs(repo, job.sizes["finished"], 5, 20)
        repo.close()

    def run(self, job: Job) -> Mapping[str, float]:
        taken: list[float] = []
        files = 0
        sizes = job.sizes
        writers = [(write, (job, sizes["calls"], job.seed + i)) for i in range(sizes["writers"])]
        self.repo = job.open()
        begun = time.perf_counter()
        with processes(writers) as started:
            while any(process.is_alive() for process in started):
                at = time.perf_counter()
                found = list(self.repo.query_runs("run.hparams.lr > 0"))
                metric = next((metric for run in found[-1:] for metric in run.metrics()), None)
                if metric is not None:
                    metric.tail(100)
                taken.append(time.perf_counter() - at)
                files = max(files, open_files())
        seconds = time.perf_counter() - begun
        return {
            "calls_per_s": sizes["writers"] * sizes["calls"] / seconds,
            "queries_per_s": len(taken) / seconds,
            "slowest_ms": max(taken, default=0.0) * 1e3,
            "most_files": files,
        }

    def units(self, job: Job) -> float:
        return float(job.sizes["writers"] * job.sizes["calls"])


def write(job: Job, calls: int, seed: int) -> None:
    """One writer: a run with one metric."""
    from aimstore.run import Run

    values = losses(calls, seed)
    with Run(repo=job.open()) as run:
        run["hparams"] = {"lr": 0.1}
        for value in values:
            run.track(value, name="loss")
