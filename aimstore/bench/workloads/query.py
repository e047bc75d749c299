"""The workload `query`: few runs match, all match, or they are only counted; by size of the repository, and by matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from aimstore.bench import synthetic
from aimstore.bench.peers.loops.measure import open_files
from aimstore.bench.workload import Case, Figure, Job, Workload
from aimstore.bench.workloads.common import load_libraries, timed, usual

if TYPE_CHECKING:
    from aimstore.repo import Repo

EXACT: Final = "run.hparams.p0 >= 0"
"""True of every run, as an index of ordered values can tell without looking at them."""

DECIDED: Final = "run.hparams.p0 * 2 >= 0"
"""True of every run, as only the predicate can tell."""


class Query(Workload):
    """Over runs that have ended, with 20 parameters each. Results are taken one by one, as a program does that shows them, and
    nothing is read of their own containers. The process is fresh and its libraries are loaded."""

    name = "query"
    figures = (
        Figure("first_ms", "few match, first query", "ms", panel="few of the runs match"),
        Figure("few_ms", "few match, asked again", "ms", panel="few of the runs match"),
        Figure("count_ms", "count of all, exact", "ms"),
        Figure("exact_us_per_run", "all match, exact", "µs/run", panel="all runs match"),
        Figure("decided_us_per_run", "all match, each looked at", "µs/run", panel="all runs match"),
        Figure("held_files", "files open afterwards", ""),
    )
    sizes = {
        "runs": (1_000, 10_000, 100_000),
        "matches": (1, 10, 100, 1_000, 10_000),
        "few": 100,
        "params": 20,
        "unfinished": 500,
        "beside": 10_000,
        "again": 9,
    }
    quick = {"runs": (100, 1_000), "matches": (), "few": 10, "unfinished": 10, "beside": 100, "again": 3}

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        largest = max(sizes["runs"])
        return (
            *(
                Case(
                    f"runs={runs}",
                    f"{sizes['few']:,} of {runs:,} runs",
                    {"total": runs, "wanted": sizes["few"], "open": 0},
                    "runs in the repository",
                    runs,
                )
                for runs in sizes["runs"]
            ),
            *(
                Case(
                    f"matches={matches}",
                    f"{matches:,} of {largest:,} runs",
                    {"total": largest, "wanted": matches, "open": 0},
                    f"matches among {largest:,} runs",
                    matches,
                )
                for matches in sizes["matches"]
                if matches <= largest
            ),
            Case(
                "unfinished",
                f"{sizes['unfinished']:,} unfinished runs beside {sizes['beside']:,}",
                {"total": sizes["beside"], "wanted": sizes["few"], "open": sizes["unfinished"]},
            ),
        )

    def prepared(self, case: Case, sizes: Mapping[str, Any]) -> str:
        return f"synthetic-{sizes['total']}-{sizes['params']}" + (f"-{sizes['open']}" if sizes["open"] else "")

    def prepare(self, job: Job) -> None:
        repo = job.open()
        synthetic.build(repo, job.sizes["total"], job.sizes["params"])
        synthetic.build_unfinished(repo, job.sizes["open"], job.sizes["params"], first=job.sizes["total"])
        repo.close()

    def setup(self, job: Job) -> None:
        load_libraries(job)

    def run(self, job: Job) -> Mapping[str, float]:
        before = open_files()
        self._repo: Repo = job.open()
        selective, few = synthetic.matching(job.sizes["wanted"]), job.sizes["wanted"]
        result = {
            "first_ms": timed(lambda: taken(self._repo, selective, few))[0] * 1e3,
            "few_ms": usual(lambda: taken(self._repo, selective, few), job.sizes["again"]) * 1e3,
        }
        if job.case.startswith("matches"):
            return result
        runs = job.sizes["total"] + job.sizes["open"]
        times = max(1, job.sizes["again"] // 3)
        result |= {
            "count_ms": usual(lambda: counted(self._repo, EXACT, runs), times) * 1e3,
            "exact_us_per_run": usual(lambda: taken(self._repo, EXACT, runs), times) / runs * 1e6,
            "decided_us_per_run": usual(lambda: taken(self._repo, DECIDED, runs), times) / runs * 1e6,
        }
        return {**result, "held_files": open_files() - before}

    def teardown(self, job: Job) -> None:
        self._repo.close()


def taken(repo: Repo, expression: str, expected: int) -> None:
    """Take every run that matches."""
    check(expression, sum(1 for _ in repo.query_runs(expression)), expected)


def counted(repo: Repo, expression: str, expected: int) -> None:
    """Count the runs that match."""
    check(expression, repo.query_runs(expression).count(), expected)


def check(expression: str, found: int, expected: int) -> None:
    """A query that gives something else measures nothing."""
    if found != expected:
        raise RuntimeError(f"{expression} matched {found} runs instead of {expected}")
