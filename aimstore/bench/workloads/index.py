"""The workload `index`: finished runs are indexed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aimstore.bench.workload import Better, Case, Figure, Job, Workload
from aimstore.bench.workloads.common import load_libraries, short_runs, timed


class Index(Workload):
    """`all`: the index is made from nothing. `each`: every run is indexed and committed by itself."""

    name = "index"
    figures = (Figure("runs_per_s", "runs", "1/s", Better.MORE),)
    sizes = {"runs": 200, "metrics": 5, "steps": 20, "each": 50}
    quick = {"runs": 20, "each": 5}

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        return (
            Case("all", f"an index of {sizes['runs']:,} runs from nothing"),
            Case("each", "one run, by itself"),
        )

    def prepared(self, case: Case, sizes: Mapping[str, Any]) -> str:
        return f"short-{sizes['runs']}-{sizes['metrics']}-{sizes['steps']}"

    def prepare(self, job: Job) -> None:
        repo = job.open()
        short_runs(repo, job.sizes["runs"], job.sizes["metrics"], job.sizes["steps"])
        repo.close()

    def setup(self, job: Job) -> None:
        load_libraries(job)
        super().setup(job)

    def run(self, job: Job) -> Mapping[str, float]:
        if job.case == "all":
            seconds, report = timed(lambda: self.repo.reindex(rebuild=True))
            indexed = len(report.indexed)
        else:
            chosen = self.repo.list_runs()[: job.sizes["each"]]
            seconds, indexed = timed(lambda: sum(len(self.repo.reindex(run).indexed) for run in chosen))
        if not indexed:
            raise RuntimeError("no run was indexed")
        return {"runs_per_s": indexed / seconds}
