"""The workload `read`: one metric whole, a range of its steps, its end, and a sample, first and repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aimstore.bench.peers.loops.measure import losses
from aimstore.bench.workload import Case, Figure, Job, Workload
from aimstore.bench.workloads.common import load_libraries, median_seconds, timed


class Read(Workload):
    """The process is fresh and its libraries are loaded; the files are in the cache of the operating system."""

    name = "read"
    figures = (
        Figure("open_ms", "from opening the repository", "ms"),
        Figure("first_ms", "first read", "ms"),
        Figure("repeated_ms", "repeated read", "ms"),
    )
    sizes = {"points": 100_000, "range": 1_000, "sample": 1_000, "tail": 100, "repeats": 5}
    quick = {"points": 10_000, "range": 100, "sample": 100}

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        return (
            Case("whole", f"all of {sizes['points']:,} points"),
            Case("range", f"{sizes['range']:,} of {sizes['points']:,} steps"),
            Case("tail", f"the last {sizes['tail']:,} points"),
            Case("sample", f"a sample of {sizes['sample']:,} points"),
        )

    def prepared(self, case: Case, sizes: Mapping[str, Any]) -> str:
        return f"points-{sizes['points']}"

    def prepare(self, job: Job) -> None:
        """One run with one metric."""
        from aimstore.run import Run

        repo = job.open()
        with Run(repo=repo) as run:
            run["hparams"] = {"lr": 0.1}
            for value in losses(job.sizes["points"], job.seed):
                run.track(value, name="loss")
        repo.close()

    def setup(self, job: Job) -> None:
        load_libraries(job)

    def run(self, job: Job) -> Mapping[str, float]:
        opened, read = timed(lambda: self._open(job))
        first, points = timed(read)
        if not points:
            raise RuntimeError("no points were read")
        repeated = median_seconds(read, job.sizes["repeats"])
        return {"open_ms": (opened + first) * 1e3, "first_ms": first * 1e3, "repeated_ms": repeated * 1e3}

    def _open(self, job: Job) -> Callable[[], int]:
        """Open the repository and its metric. Returns the call that reads, which returns the number of points."""
        self.repo = job.open()
        metric = self.repo.get_run(self.repo.list_runs()[0]).get_metric("loss")
        assert metric is not None
        middle, size = job.sizes["points"] // 2, min(job.sizes["range"], job.sizes["points"])
        reads: dict[str, Callable[[], int]] = {
            "whole": lambda: len(metric.numpy()[0]),
            "range": lambda: len(metric.read(middle - size // 2, middle - size // 2 + size)[0]),
            "tail": lambda: len(metric.tail(job.sizes["tail"])[0]),
            "sample": lambda: len(metric.sample(job.sizes["sample"])[0]),
        }
        return reads[job.case]
