"""The workload `stalls`: how long the slowest calls of `track` take while other work goes on."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain
from threading import Barrier, Event, Thread
from typing import TYPE_CHECKING, Any

from aimstore.bench.engines import capability_of
from aimstore.bench.peers.loops.measure import latencies, losses, paced_latencies, percentiles
from aimstore.bench.workload import Case, Figure, Job, Workload
from aimstore.bench.workloads.common import LATENCY, load_libraries, processes, short_runs
from aimstore.plugins import plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aimstore.run import Run


class Stalls(Workload):
    """Every call is timed. Chunks are sealed and the engine compacts as the sequences grow. The reader is a thread that reads the
    run that is being written; the indexing process begins, ends and indexes runs."""

    name = "stalls"
    figures = (*LATENCY, Figure("ms_over_10", "time in calls over 10 ms", "ms"))
    sizes = {"calls": 500_000, "paced": 5_000, "threads": 8, "processes": 4, "sequences": 10, "arrays": 2_000}
    quick = {"calls": 10_000, "paced": 500, "threads": 4, "processes": 2, "arrays": 50}

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        return (
            Case("alone", f"{sizes['calls']:,} calls, alone"),
            Case("busy", f"{sizes['calls']:,} calls, beside a reader and an indexing process"),
            Case("paced", "one call a millisecond, beside a reader and an indexing process"),
            Case("threads", f"{sizes['threads']} threads of one run"),
            Case("processes", f"{sizes['processes']} processes, a run each"),
            Case("arrays", f"{sizes['arrays']:,} arrays of 100 kB in a row"),
        )

    def setup(self, job: Job) -> None:
        load_libraries(job)
        from aimstore.run import Run

        self._run: Run = Run(repo=job.open())

    def run(self, job: Job) -> Mapping[str, float]:
        sizes = job.sizes
        with ExitStack() as beside:
            if job.case in ("busy", "paced"):
                beside.enter_context(_reader(self._run))
                beside.enter_context(_indexing(job))
            if job.case == "threads":
                taken = _threads(self._run, sizes["threads"], sizes["calls"], sizes["sequences"])
            elif job.case == "processes":
                taken = _processes(job, sizes["processes"], sizes["calls"])
            elif job.case == "paced":
                names = _names(sizes["sequences"])
                self._run.track(dict.fromkeys(names, 0.0))
                taken = paced_latencies(
                    lambda value: self._run.track(value, name="metric_0"), losses(sizes["paced"]), 0.001
                )
            elif job.case == "arrays":
                import numpy as np

                array = np.random.default_rng(0).random(12_500)
                taken = latencies(lambda _: self._run.track(array, name="array"), [0.0] * sizes["arrays"])
            else:
                taken = _calls(self._run, sizes["calls"], _names(sizes["sequences"]))
        return {**percentiles(taken), "ms_over_10": sum(each for each in taken if each > 10_000_000) / 1e6}

    def teardown(self, job: Job) -> None:
        self._run.close()


def _names(sequences: int, prefix: str = "metric") -> list[str]:
    return [f"{prefix}_{i}" for i in range(sequences)]


def _calls(run: Run, calls: int, names: list[str]) -> list[int]:
    """Nanoseconds of each call, over the sequences in turn."""
    clock = time.perf_counter_ns
    taken = []
    values = losses(-(-calls // len(names)))
    for value in values:
        for name in names:
            begun = clock()
            run.track(value, name=name)
            taken.append(clock() - begun)
    return taken[:calls]


def _threads(run: Run, threads: int, calls: int, sequences: int) -> list[int]:
    together = Barrier(threads)

    def work(number: int) -> list[int]:
        together.wait()
        return _calls(run, calls // threads, _names(sequences, f"thread_{number}"))

    with ThreadPoolExecutor(threads) as pool:
        return list(chain.from_iterable(pool.map(work, range(threads))))


def _processes(job: Job, count: int, calls: int) -> list[int]:
    with multiprocessing.get_context("spawn").Pool(count) as pool:
        return list(chain.from_iterable(pool.starmap(_process, [(job, calls // count)] * count, chunksize=1)))


def _process(job: Job, calls: int) -> list[int]:
    from aimstore.run import Run

    with Run(repo=job.open()) as run:
        return _calls(run, calls, _names(job.sizes["sequences"]))


@contextmanager
def _reader(run: Run) -> Iterator[None]:
    """A thread that keeps reading the run that is being written."""
    over = Event()

    def read() -> None:
        repo = run.repo
        while not over.wait(0.02):
            metric = repo.get_run(run.hash).get_metric("metric_0")
            if metric is not None:
                metric.tail(1_000)

    thread = Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _indexing(job: Job) -> Iterator[None]:
    """A process that keeps beginning, ending and indexing runs; none with an engine that is not persistent."""
    if not capability_of(plugins(), job.backend, job.options).persistent:
        yield
        return
    spawning = multiprocessing.get_context("spawn")
    ready, over = spawning.Event(), spawning.Event()
    with processes([(_index, (job, ready, over))]):
        ready.wait(60)
        yield
        over.set()


def _index(job: Job, ready: Any, over: Any) -> None:
    repo = job.open()
    short_runs(repo, 1, 1, 1)
    ready.set()
    while not over.is_set():
        short_runs(repo, 1, 5, 20)
        repo.reindex(repo.list_runs()[0])
