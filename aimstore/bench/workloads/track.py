"""The workload `track`: values into one sequence and into many, objects, and the latency of each call."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from aimstore.bench.peers.loops.measure import latencies, losses, percentiles
from aimstore.bench.workload import Better, Case, Figure, Job, Workload
from aimstore.bench.workloads.common import CALLS, LATENCY

if TYPE_CHECKING:
    from aimstore.run import Run


class Track(Workload):
    """The clock stops when all values are in the engine's log; the run is finalized later."""

    name = "track"
    figures = (CALLS, Figure("returned_per_s", "calls until they returned", "1/s", Better.MORE), *LATENCY)
    sizes = {"calls": 100_000, "names": 25, "contexts": 4, "objects": 200, "object_bytes": 65_536}
    quick = {"calls": 10_000, "objects": 20}
    cost = ("bytes_per_unit", "amplification", "cpu_s", "peak_mb")

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        sequences = sizes["names"] * sizes["contexts"]
        return (
            Case("one", "one sequence"),
            Case("many", f"{sequences} sequences"),
            Case("objects", f"arrays of {sizes['object_bytes']:,} bytes"),
            Case("latency", "each call timed"),
        )

    def setup(self, job: Job) -> None:
        from aimstore.run import Run

        repo = job.open()
        repo.close()
        self._calls = list(_calls(job))
        self._run: Run = Run(repo=repo)

    def run(self, job: Job) -> Mapping[str, float]:
        run = self._run
        if job.case == "latency":
            return percentiles(latencies(lambda value: run.track(value, name="loss"), losses(job.sizes["calls"])))
        begun = time.perf_counter()
        for value, name, context in self._calls:
            run.track(value, name=name, context=context)
        returned = time.perf_counter() - begun
        run.flush()
        calls = len(self._calls)
        return {"calls_per_s": calls / (time.perf_counter() - begun), "returned_per_s": calls / returned}

    def teardown(self, job: Job) -> None:
        self._run.close()

    def units(self, job: Job) -> float:
        return float(job.sizes["objects" if job.case == "objects" else "calls"])


def _calls(job: Job) -> Iterator[tuple[Any, str, dict[str, Any] | None]]:
    """Value, name and context of each call."""
    sizes = job.sizes
    if job.case == "one":
        yield from ((value, "loss", None) for value in losses(sizes["calls"], job.seed))
    elif job.case == "many":
        names = [f"metric_{i}" for i in range(sizes["names"])]
        contexts = [{"subset": f"part_{i}"} for i in range(sizes["contexts"])]
        targets = cycle([(name, context) for name in names for context in contexts])
        values = losses(sizes["calls"], job.seed)
        yield from ((value, *target) for value, target in zip(values, targets, strict=False))
    elif job.case == "objects":
        import numpy as np

        numbers = np.random.default_rng(job.seed)
        arrays = [numbers.random(max(1, sizes["object_bytes"] // 8)) for _ in range(8)]
        yield from ((array, "samples", None) for array in islice(cycle(arrays), sizes["objects"]))
