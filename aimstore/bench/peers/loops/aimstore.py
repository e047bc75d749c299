"""aimstore's own side of each row."""

from __future__ import annotations

import random
import time
from importlib import import_module
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from . import measure

begun = time.perf_counter()
from aimstore import Repo, Run  # noqa: E402  # the clock above is what the import row is about

IMPORT_SECONDS = time.perf_counter() - begun


def init(folder: str) -> dict[str, Any]:
    Repo.init(folder).close()
    return {}


def track(folder: str, calls: int) -> dict[str, Any]:
    """The clock stops when all is in the engine's log. `track` is called directly: the function in
    between that the shared loop calls costs the other tools 0.05 µs a call, and would cost aimstore a tenth."""
    values = measure.losses(calls)
    with Run(repo=folder) as run:
        begun = time.perf_counter()
        for value in values:
            run.track(value, name="loss")
        returned = time.perf_counter() - begun
        run.flush()
        seconds = time.perf_counter() - begun
    return {"calls_per_s": calls / seconds, "returned_per_s": calls / returned}


def begin(folder: str) -> measure.Logging:
    run = Run(repo=folder)
    return measure.Logging(lambda value: run.track(value, name="loss"), run.flush, run.close)


def slow(folder: str, calls: int, jitter: float) -> dict[str, Any]:
    """A loop of one step a second, without waiting: the writer's clock is set on by a second, give or take `jitter` (the
    standard deviation, in seconds), and after each call comes the drain that the writer thread would have made."""
    from aimstore.sequences import writer
    from aimstore.sequences.drainer import process_drainer

    numbers = random.Random(1)
    now = 1.7e9
    writer.time = lambda: now  # type: ignore[attr-defined]
    values = measure.losses(calls)
    begun = time.perf_counter()
    with Run(repo=folder) as run:
        for value in values:
            now += 1 + numbers.gauss(0, jitter)
            run.track(value, name="loss")
            process_drainer.drain_all()
    return {"us_per_drain": (time.perf_counter() - begun) / calls * 1e6}


def index(folder: str) -> dict[str, Any]:
    """Nothing: the end of a run has indexed it."""
    return {}


def reindex(folder: str, runs: int) -> dict[str, Any]:
    """Index every run again, from nothing; the libraries are loaded before."""
    repo = Repo(folder)
    repo.reindex()
    begun = time.perf_counter()
    report = repo.reindex(rebuild=True)
    seconds = time.perf_counter() - begun
    assert len(report.indexed) == runs
    return {"runs_per_s": runs / seconds}


def query(folder: str, runs: int) -> dict[str, Any]:
    """A query that all runs match, asked first and again; the libraries are loaded before."""
    for library in ("aimstore.metadata.store", "aimstore.query.engine", "aimstore_rocksdb.container"):
        import_module(library)
    repo = Repo(folder)
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        found = sum(1 for _ in repo.query_runs("run.hparams.lr > 0"))
        taken.append(time.perf_counter() - begun)
        assert found == runs, found
    return {"first_ms": taken[0] * 1e3, "us_per_run": min(taken[1:]) / runs * 1e6}


def read(folder: str, points: int) -> dict[str, Any]:
    """Open the repository and take the points of its run; the libraries are loaded before."""
    for library in ("aimstore.metadata.store", "aimstore.sequences.sequence", "aimstore_rocksdb.container"):
        import_module(library)

    begun = time.perf_counter()
    repo = Repo(folder)
    metric = repo.get_run(repo.list_runs()[0]).get_metric("loss")
    assert metric is not None
    opened = time.perf_counter()
    steps, values = metric.numpy()
    done = time.perf_counter()
    assert len(steps) == len(values) == points
    took = (done - opened) * 1e3
    return {"ms": (done - begun) * 1e3, "points_ms": took, "quickest_ms": took}


def memory(folder: str, sequences: int, steps: int) -> dict[str, Any]:
    """One value for each of many sequences, step after step; memory above what it was when the run was open."""
    names = [f"metric_{i}" for i in range(sequences)]
    values = cycle(measure.losses(65_537))  # coprime with the number of sequences: each has values of its own
    with Run(repo=folder) as run:
        before, _ = measure.resident()
        begun = time.perf_counter()
        for _ in range(steps):
            for name, value in zip(names, islice(values, sequences), strict=True):
                run.track(value, name=name)
        run.flush()
        seconds = time.perf_counter() - begun
    _, closed = measure.resident()
    return {"mb": closed - before, "calls_per_s": sequences * steps / seconds}


def lifecycle(folder: str, runs: int, metrics: int, steps: int) -> dict[str, Any]:
    names = [f"metric_{i}" for i in range(metrics)]
    values = measure.losses(steps)
    repo = Repo(folder)
    begun = time.perf_counter()
    for _ in range(runs):
        run = Run(repo=repo, experiment="benchmark")
        run["hparams"] = measure.PARAMETERS
        for step, value in enumerate(values):
            for name in names:
                run.track(value, name=name, step=step)
        run.close()
        del run
    return {"runs_per_s": runs / (time.perf_counter() - begun)}


def large(folder: str, runs: int, unfinished: int) -> dict[str, Any]:
    """A repository of very many runs, made without running them."""
    from aimstore.bench import synthetic

    repo = Repo.init(folder)
    synthetic.build(repo, runs)
    synthetic.build_unfinished(repo, unfinished, first=runs)
    repo.close()
    return {}


def queries(folder: str, runs: int, unfinished: int) -> dict[str, Any]:
    """The figures of `aimstore bench query`, of one repository."""
    from aimstore.bench.workload import Job
    from aimstore.bench.workloads.query import Query

    sizes = {
        "finished_runs": runs,
        "unfinished_runs": unfinished,
        "matching_runs": 100 if runs >= 100 else 10,
        "repeats": 9,
    }
    job = Job("large", sizes, 1, Path(folder), "rocksdb")
    workload = Query()
    workload.setup(job)
    result = dict(workload.run(job))
    workload.teardown(job)
    return result


if __name__ == "__main__":
    loops = (init, track, slow, index, reindex, query, read, memory, lifecycle, large, queries)
    measure.main(measure.logging_loops(begin), *loops, import_seconds=IMPORT_SECONDS)
