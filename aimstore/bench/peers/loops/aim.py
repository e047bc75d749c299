"""Aim 3.29, by its documented ways. Its collection of system metrics and of terminal output is off: aimstore has none."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from . import measure

begun = time.perf_counter()
from aim import Repo  # noqa: E402  # the clock above is what the import row is about
from aim import Run as AnyRun  # noqa: E402

IMPORT_SECONDS = time.perf_counter() - begun

Run = partial(AnyRun, system_tracking_interval=None, capture_terminal_logs=False, log_system_params=False)


def init(folder: str) -> dict[str, Any]:
    Repo.from_path(folder, init=True)
    return {}


def begin(folder: str) -> measure.Logging:
    """By default `track` writes to RocksDB before it returns, so that no flush is needed."""
    run = Run(repo=folder)
    return measure.Logging(lambda value: run.track(value, name="loss"), close=run.close)


def index(folder: str) -> dict[str, Any]:
    """Do what Aim's server does some seconds after a run: `repo.get_run` finds only runs that are indexed."""
    from aim.sdk.index_manager import RepoIndexManager

    repo = Repo.from_path(folder)
    for run in repo.list_all_runs():
        RepoIndexManager.get_index_manager(repo).index(run)
    return {}


def reindex(folder: str, runs: int) -> dict[str, Any]:
    """Index every run again, as its server does: one after the other."""
    from aim.sdk.index_manager import RepoIndexManager

    repo = Repo.from_path(folder)
    found = repo.list_all_runs()
    assert len(found) == runs
    manager = RepoIndexManager.get_index_manager(repo)
    begun = time.perf_counter()
    for run in found:
        manager.index(run)
    return {"runs_per_s": runs / (time.perf_counter() - begun)}


def query(folder: str, runs: int) -> dict[str, Any]:
    """A query that all runs match, asked first and again."""
    repo = Repo.from_path(folder)
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        found = sum(1 for _ in repo.query_runs("run.hparams.lr > 0", report_mode=0).iter_runs())
        taken.append(time.perf_counter() - begun)
        assert found == runs, found
    return {"first_ms": taken[0] * 1e3, "us_per_run": min(taken[1:]) / runs * 1e6}


def read(folder: str, points: int) -> dict[str, Any]:
    """Open the repository and take steps and values of its run.

    `data.numpy()` is the documented call. It reads epochs and times too; the quickest call that gives steps and values in
    order is timed after it. (`values.sparse_numpy()` gives hashes of the steps.)
    """
    from aim.storage.context import Context

    begun = time.perf_counter()
    repo = Repo.from_path(folder)
    metric = repo.get_run(repo.list_all_runs()[0]).get_metric("loss", Context({}))
    opened = time.perf_counter()
    metric.data.numpy()
    done = time.perf_counter()
    steps, (values,) = metric.data.view("val").numpy()
    quickest = time.perf_counter() - done
    assert len(steps) == len(values) == points
    return {"ms": (done - begun) * 1e3, "points_ms": (done - opened) * 1e3, "quickest_ms": quickest * 1e3}


def lifecycle(folder: str, runs: int, metrics: int, steps: int) -> dict[str, Any]:
    """A run's databases are closed when its last reference goes. Aim indexes runs later, in a server: not in the clock."""
    names = [f"metric_{i}" for i in range(metrics)]
    values = measure.losses(steps)
    repo = Repo.from_path(folder)
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


if __name__ == "__main__":
    loops = (init, index, reindex, query, read, lifecycle)
    measure.main(measure.logging_loops(begin), *loops, import_seconds=IMPORT_SECONDS)
