"""The workload `scale`: what grows with the number of runs, and with the length of a metric."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from aimstore.bench import synthetic
from aimstore.bench.peers.loops.measure import losses, resident
from aimstore.bench.sizes import size_of
from aimstore.bench.workload import Better, Case, Figure, Job, Workload
from aimstore.bench.workloads.common import load_libraries, median_seconds, timed
from aimstore.bench.workloads.query import ALL_BY_INDEX, count_matches, iterate_matches

_DISTINCT_VALUES = 100_000
"""Different values; a longer metric repeats them with another sign, so that the values themselves take little memory."""


class Scale(Workload):
    """By runs: a repository is made of finished runs with 20 parameters each. By points: one metric is written, and read in the
    same process."""

    name = "scale"
    figures = (
        Figure("index_us_per_run", "index the runs", "µs/run"),
        Figure("all_us_per_run", "a query that all match", "µs/run"),
        Figure("open_ms", "open the repository and count its runs", "ms"),
        Figure("ten_ms", "a query that 10 match, first", "ms"),
        Figure("ten_repeated_ms", "a query that 10 match, repeated", "ms"),
        Figure("bytes_per_run", "stored in index and metadata", "B/run"),
        Figure("query_mb", "memory taken by the queries", "MB"),
        Figure("points_per_s", "track, until in the engine's log", "1/s", Better.MORE),
        Figure("close_ms", "finalize", "ms"),
        Figure("read_ms", "read all points", "ms"),
        Figure("tail_ms", "read the last 100 points", "ms"),
        Figure("sample_ms", "sample 1,000 points", "ms"),
        Figure("bytes_per_unit", "stored per point", "B"),
        Figure("write_mb", "memory taken by writing", "MB"),
    )
    sizes = {"runs": (10, 100, 1_000, 10_000, 100_000), "points": (10**3, 10**4, 10**5, 10**6, 10**7), "params": 20}
    quick = {"runs": (10, 100), "points": (10**3, 10**4)}
    cost = ("cpu_s",)

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        return (
            *(
                Case(f"runs={runs}", f"{runs:,} runs", {"total": runs}, "runs in the repository", runs)
                for runs in sizes["runs"]
            ),
            *(
                Case(f"points={points}", f"{points:,} points", {"length": points}, "points of the metric", points)
                for points in sizes["points"]
            ),
        )

    def setup(self, job: Job) -> None:
        load_libraries(job)
        super().setup(job)

    def run(self, job: Job) -> Mapping[str, float]:
        return self._runs(job) if "total" in job.sizes else self._points(job)

    def _runs(self, job: Job) -> Mapping[str, float]:
        runs = job.sizes["total"]
        empty = size_of(job.folder)
        seconds, _ = timed(lambda: synthetic.build(self.repo, runs, job.sizes["params"]))
        self.repo.close()
        stored = size_of(job.folder) - empty
        before, _ = resident()
        opened, _ = timed(lambda: count_matches(self.repo, ALL_BY_INDEX, runs))
        ten = synthetic.matching(10)
        first, _ = timed(lambda: iterate_matches(self.repo, ten, min(10, runs)))
        repeated = median_seconds(lambda: iterate_matches(self.repo, ten, min(10, runs)), 5)
        every = median_seconds(lambda: iterate_matches(self.repo, ALL_BY_INDEX, runs), 3)
        found = {
            "index_us_per_run": seconds / runs * 1e6,
            "all_us_per_run": every / runs * 1e6,
            "open_ms": opened * 1e3,
            "ten_ms": first * 1e3,
            "ten_repeated_ms": repeated * 1e3,
            "query_mb": max(0.0, resident()[0] - before),
        }
        return {**found, "bytes_per_run": stored / runs} if stored > 0 else found

    def _points(self, job: Job) -> Mapping[str, float]:
        from aimstore.run import Run

        points = job.sizes["length"]
        values = losses(min(points, _DISTINCT_VALUES), job.seed)
        run = Run(repo=self.repo)
        before, _ = resident()
        begun = time.perf_counter()
        for sign in chain.from_iterable(repeat((1.0, -1.0), -(-points // _DISTINCT_VALUES))):
            for value in values[: max(0, points)]:
                run.track(sign * value, name="loss")
            points -= len(values)
            if points <= 0:
                break
        run.flush()
        written = time.perf_counter() - begun
        took, _ = timed(run.close)
        memory = max(0.0, resident()[1] - before)
        metric = self.repo.get_run(run.hash).get_metric("loss")
        assert metric is not None
        return {
            "points_per_s": job.sizes["length"] / written,
            "close_ms": took * 1e3,
            "read_ms": timed(metric.numpy)[0] * 1e3,
            "tail_ms": median_seconds(lambda: metric.tail(100), 5) * 1e3,
            "sample_ms": median_seconds(lambda: metric.sample(1_000), 5) * 1e3,
            "write_mb": memory,
        }

    def units(self, job: Job) -> float:
        return float(job.sizes.get("length", 0))
