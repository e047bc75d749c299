"""The workload `query`: few runs match, all match, or they are only counted; by the number of runs, and by matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from aimstore.bench import synthetic
from aimstore.bench.peers.loops.measure import open_files
from aimstore.bench.workload import Case, Figure, Job, Workload
from aimstore.bench.workloads.common import load_libraries, median_seconds, timed

if TYPE_CHECKING:
    from aimstore.repo import Repo

ALL_BY_INDEX: Final = "run.hparams.p0 >= 0"
"""True of every run, as an index of ordered values tells without reading them."""

ALL_BY_PREDICATE: Final = "run.hparams.p0 * 2 >= 0"
"""True of every run, as only evaluating the predicate tells."""


class Query(Workload):
    """Finished runs with 20 parameters each. Results are iterated, as a program does that shows them, without reading the runs'
    own containers. The process is fresh and its libraries are loaded."""

    name = "query"
    figures = (
        Figure("first_ms", "query that few match, first", "ms"),
        Figure("repeated_ms", "query that few match, repeated", "ms"),
        Figure("count_ms", "count of all, by the index", "ms"),
        Figure("exact_us_per_run", "query that all match, by the index", "µs/run"),
        Figure("evaluated_us_per_run", "query that all match, each evaluated", "µs/run"),
        Figure("open_files", "files open afterwards", ""),
    )
    sizes = {
        "runs": (1_000, 10_000, 100_000),
        "matches": (1, 10, 100, 1_000, 10_000),
        "few_matches": 100,
        "params": 20,
        "unfinished": 500,
        "finished": 10_000,
        "repeats": 9,
    }
    quick = {"runs": (100, 1_000), "matches": (), "few_matches": 10, "unfinished": 10, "finished": 100, "repeats": 3}

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        largest = max(sizes["runs"])
        return (
            *(
                Case(
                    f"runs={runs}",
                    f"{sizes['few_matches']:,} of {runs:,} runs",
                    {"finished_runs": runs, "matching_runs": sizes["few_matches"], "unfinished_runs": 0},
                    "runs in the repository",
                    runs,
                )
                for runs in sizes["runs"]
            ),
            *(
                Case(
                    f"matches={matches}",
                    f"{matches:,} of {largest:,} runs",
                    {"finished_runs": largest, "matching_runs": matches, "unfinished_runs": 0},
                    f"matches among {largest:,} runs",
                    matches,
                )
                for matches in sizes["matches"]
                if matches <= largest
            ),
            Case(
                "unfinished",
                f"{sizes['unfinished']:,} unfinished runs beside {sizes['finished']:,}",
                {
                    "finished_runs": sizes["finished"],
                    "matching_runs": sizes["few_matches"],
                    "unfinished_runs": sizes["unfinished"],
                },
            ),
        )

    def prepared(self, case: Case, sizes: Mapping[str, Any]) -> str:
        return f"synthetic-{sizes['finished_runs']}-{sizes['params']}" + (
            f"-{sizes['unfinished_runs']}" if sizes["unfinished_runs"] else ""
        )

    def prepare(self, job: Job) -> None:
        repo = job.open()
        synthetic.build(repo, job.sizes["finished_runs"], job.sizes["params"])
        synthetic.build_unfinished(
            repo, job.sizes["unfinished_runs"], job.sizes["params"], first=job.sizes["finished_runs"]
        )
        repo.close()

    def setup(self, job: Job) -> None:
        load_libraries(job)

    def run(self, job: Job) -> Mapping[str, float]:
        before = open_files()
        self.repo = job.open()
        selective, few = synthetic.matching(job.sizes["matching_runs"]), job.sizes["matching_runs"]
        result = {
            "first_ms": timed(lambda: iterate_matches(self.repo, selective, few))[0] * 1e3,
            "repeated_ms": median_seconds(lambda: iterate_matches(self.repo, selective, few), job.sizes["repeats"])
            * 1e3,
        }
        if job.case.startswith("matches"):
            return result
        runs = job.sizes["finished_runs"] + job.sizes["unfinished_runs"]
        times = max(1, job.sizes["repeats"] // 3)
        result |= {
            "count_ms": median_seconds(lambda: count_matches(self.repo, ALL_BY_INDEX, runs), times) * 1e3,
            "exact_us_per_run": median_seconds(lambda: iterate_matches(self.repo, ALL_BY_INDEX, runs), times)
            / runs
            * 1e6,
            "evaluated_us_per_run": median_seconds(lambda: iterate_matches(self.repo, ALL_BY_PREDICATE, runs), times)
            / runs
            * 1e6,
        }
        return {**result, "open_files": open_files() - before}


def iterate_matches(repo: Repo, expression: str, expected: int) -> None:
    """Iterate over the runs that match."""
    _check_count(expression, sum(1 for _ in repo.query_runs(expression)), expected)


def count_matches(repo: Repo, expression: str, expected: int) -> None:
    """Count the runs that match."""
    _check_count(expression, repo.query_runs(expression).count(), expected)


def _check_count(expression: str, found: int, expected: int) -> None:
    """Raise if a query gives another number of runs, since its time would mean nothing."""
    if found != expected:
        raise RuntimeError(f"{expression} matched {found} runs instead of {expected}")
