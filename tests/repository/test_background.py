"""The background indexer: what it takes and leaves alone, how it starts and ends, and what remains when it is killed."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.repository import context_of
from aimstore.repository.background import BackgroundIndexer, IndexerTiming
from aimstore.repository.reindex import ReindexReport
from aimstore.testing.waiting import WAIT_SECONDS, until
from aimstore.types import meta_path, seqs_path

Moments = Callable[..., Iterator[int]]
Stall = Callable[..., list[str]]

OFTEN = 0.01
"""Seconds between two looks of an indexer in these tests."""

WATCHED = """
import threading
from aimstore.repository.background import BackgroundIndexer, IndexerTiming
def indexer(repo, tell=None, interval=0.01):
    return BackgroundIndexer(context_of(repo), IndexerTiming(interval), tell)
"""


class Told:
    """What an indexer has told, and a way to wait for it."""

    def __init__(self) -> None:
        self.reports: list[ReindexReport] = []
        self._more = threading.Condition()

    def __call__(self, report: ReindexReport) -> None:
        with self._more:
            self.reports.append(report)
            self._more.notify_all()

    def wait(self, count: int) -> list[ReindexReport]:
        with self._more:
            assert self._more.wait_for(lambda: len(self.reports) >= count, 60)
            return self.reports


def check_whole(run: Run) -> None:
    assert (run["x"], run.experiment) == (1, "stalled")
    assert run.finalized_at is not None
    (metric,) = run.metrics()
    assert (metric.count, metric.last_step, metric.last) == (10, 9, 9.0)
    assert metric.numpy()[1].tolist() == list(map(float, range(10)))


def markers(repo: Repo) -> list[str]:
    return [*context_of(repo).backend.marked("meta/chunks/"), *context_of(repo).backend.marked("seqs/chunks/")]


# What it does


def test_stalled_runs_are_indexed_one_at_a_time(repo: Repo, stall: Stall) -> None:
    stalled = stall(4)
    told = Told()
    with BackgroundIndexer(context_of(repo), IndexerTiming(OFTEN), told) as indexer:
        indexer.start()
        reports = told.wait(4)
    assert [len(report.indexed) for report in reports] == [1, 1, 1, 1]
    assert sorted(report.indexed[0] for report in reports) == stalled
    assert markers(repo) == []
    assert repo.status().indexed == 4
    for run in repo.query_runs("run.x == 1"):
        check_whole(run)


def test_a_run_that_dies_while_the_indexer_runs_is_indexed(repo: Repo, stall: Stall) -> None:
    told = Told()
    with BackgroundIndexer(context_of(repo), IndexerTiming(OFTEN), told) as indexer:
        indexer.start()
        stall()
        (stalled,) = told.wait(1)[0].indexed
    check_whole(repo.get_run(stalled))


def test_a_run_that_ended_while_the_index_was_busy_is_only_indexed(repo: Repo) -> None:
    with Run(repo=repo) as run:
        pass
    for path in (meta_path(run.hash), seqs_path(run.hash)):
        context_of(repo).backend.mark(path)
    ended = repo.get_run(run.hash).finalized_at
    assert repo.status().stalled == [run.hash]
    told = Told()
    with BackgroundIndexer(context_of(repo), IndexerTiming(OFTEN), told) as indexer:
        indexer.start()
        assert told.wait(1)[0].indexed == [run.hash]
    assert repo.get_run(run.hash).finalized_at == ended
    assert markers(repo) == []


def test_a_live_run_keeps_its_marker_and_goes_on(repo: Repo, stall: Stall) -> None:
    told = Told()
    with BackgroundIndexer(context_of(repo), IndexerTiming(OFTEN), told) as indexer, Run(repo=repo) as run:
        indexer.start()
        for i in range(3):
            stall()
            told.wait(i + 1)
            run.track(1.0, name="loss")
            run.flush()
            assert markers(repo)[:1] == [meta_path(run.hash)]
            assert seqs_path(run.hash) in markers(repo)
    assert all(run.hash not in report.indexed for report in told.reports)
    assert repo.get_run(run.hash).metrics()[0].count == 3
    assert repo.status().indexed == 4


def test_a_run_that_cannot_be_indexed_is_told_once_and_keeps_its_marker(
    repo: Repo, stall: Stall, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = stall(2)
    for file in (Path(repo.path) / "meta/chunks" / bad).iterdir():
        file.write_bytes(os.urandom(200))
    told = Told()
    with BackgroundIndexer(context_of(repo), IndexerTiming(OFTEN), told) as indexer:
        indexer.start()
        told.wait(2)
        stall()  # it goes on with others
        told.wait(3)
    assert [list(report.failed) for report in told.reports if report.failed] == [[bad]]
    assert sorted(run for report in told.reports for run in report.indexed) == sorted({*repo.list_runs()} - {bad})
    assert good in told.reports[0].indexed + told.reports[1].indexed
    assert len([record for record in caplog.records if bad in record.message]) == 1
    assert repo.status().stalled == [bad]


def test_it_goes_on_after_an_error_that_nobody_foresaw(
    repo: Repo, stall: Stall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stall()
    marked, calls = context_of(repo).backend.marked, iter(range(3))

    def failing(prefix: str) -> list[str]:
        if next(calls, None) is not None:
            raise RuntimeError("unforeseen")
        return marked(prefix)

    monkeypatch.setattr(context_of(repo).backend, "marked", failing)
    told = Told()
    with BackgroundIndexer(context_of(repo), IndexerTiming(OFTEN), told) as indexer:
        indexer.start()
        assert len(told.wait(1)[0].indexed) == 1
    assert [record.message for record in caplog.records] == [
        "the background indexer continues after RuntimeError: unforeseen"
    ]


def test_while_nothing_is_marked_it_only_lists_markers(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    Run(repo=repo).close()
    backend = context_of(repo).backend
    looks = threading.Semaphore(0)
    marked = backend.marked
    monkeypatch.setattr(backend, "marked", lambda prefix: (looks.release(), marked(prefix))[1])
    used: list[str] = []
    for name in ("open", "lock", "lock_owner", "list", "version"):
        monkeypatch.setattr(backend, name, lambda *_, name=name, **__: used.append(name))
    with repo.start_indexer(OFTEN):
        for _ in range(4):
            assert looks.acquire(timeout=WAIT_SECONDS)
    assert used == []


def test_one_in_each_of_three_processes_share_the_work(repo: Repo, python: Callable[..., Any], stall: Stall) -> None:
    stalled = stall(9)
    processes = [
        python(
            WATCHED
            + """
repo = Repo(".")
with indexer(repo, lambda report: print(*report.indexed, *report.failed)) as started:
    started.start()
    sys.stdin.readline()
"""
        )
        for _ in range(3)
    ]
    told = Told()
    with BackgroundIndexer(context_of(repo), IndexerTiming(OFTEN), told) as indexer:
        indexer.start()
        until(lambda: not repo.status().stalled, "runs are left stalled")
    for process in processes:
        process.say()
    found = [line for process in processes for line in process.ends()]
    found += [run for report in told.reports for run in report.indexed]
    assert sorted(found) == stalled
    assert repo.status().indexed == 9


# Beside others


def test_who_resumes_a_run_that_is_being_indexed_waits_and_gets_it(
    repo: Repo, python: Callable[..., Any], stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stalled,) = stall()
    inside, go_on = threading.Event(), threading.Event()
    index = context_of(repo).indexer.index

    def slowly(run_hash: str, meta: Any) -> None:
        inside.set()
        assert go_on.wait(WAIT_SECONDS)
        index(run_hash, meta)

    monkeypatch.setattr(context_of(repo).indexer, "index", slowly)
    with repo.start_indexer(OFTEN):
        assert inside.wait(WAIT_SECONDS)
        process = python(
            """
            print("begin")
            run = Run(sys.argv[1], repo=".")
            run.track(10.0, name="loss")
            run.close()
            """,
            stalled,
        )
        process.expect("begin")
        lock = Path(repo.path) / "meta/locks" / f"{stalled}.queue"
        until(lock.exists, "nobody waits for the run that is being indexed")
        go_on.set()
        process.ends()
    monkeypatch.undo()
    assert repo.get_run(stalled).metrics()[0].count == 11
    assert repo.status().stalled == []


# Start and stop


def test_started_twice_it_runs_once_and_stops(repo: Repo) -> None:
    with repo.start_indexer(OFTEN) as indexer:
        assert indexer.running
        assert repo.start_indexer(OFTEN) is indexer
        indexer.start()
        assert [thread.name for thread in threading.enumerate()].count("aimstore-indexer") == 1
    assert not indexer.running
    indexer.stop()
    again = repo.start_indexer(OFTEN)
    assert again.running
    assert again is not indexer
    repo.close()
    assert not again.running
    assert "aimstore-indexer" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.parametrize("interval", [0, -1.0, float("nan")])
def test_an_interval_that_is_none_is_refused(repo: Repo, interval: float) -> None:
    with pytest.raises(ValueError, match="interval"):
        repo.start_indexer(interval)


def test_stopped_while_it_works_it_ends_the_run_that_it_has_begun_with(
    repo: Repo, stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = stall(5)
    inside = threading.Event()
    index = context_of(repo).indexer.index
    monkeypatch.setattr(context_of(repo).indexer, "index", lambda run, meta: (inside.set(), index(run, meta))[1])
    indexer = repo.start_indexer(OFTEN)
    assert inside.wait(WAIT_SECONDS)
    indexer.stop()
    assert not indexer.running
    left = repo.status().stalled
    assert len(left) == 4
    assert [run for run in stalled if run not in left] == [
        run.hash for run in repo.query_runs("run.finalized_at != None")
    ]
    assert repo.status().active == []


@pytest.mark.parametrize("how", ["falls off its end", "exit", "SIGTERM", "SIGINT", "an exception"])
def test_a_program_that_ends_with_a_running_indexer_ends_at_once(
    repo: Repo, python: Callable[..., Any], stall: Stall, how: str
) -> None:
    stall(3)
    process = python(
        WATCHED
        + """
repo = Repo(".")
inside = threading.Event()
index = context_of(repo).indexer.index
def telling(run, meta):
    inside.set()
    index(run, meta)
context_of(repo).indexer.index = telling
repo.start_indexer(3600)
inside.wait()
match sys.argv[1]:
    case "exit":
        sys.exit(0)
    case "an exception":
        raise KeyError
    case "SIGTERM":
        os.kill(os.getpid(), signal.SIGTERM)
    case "SIGINT":
        os.kill(os.getpid(), signal.SIGINT)
""",
        how,
    )
    status = {"SIGTERM": -15, "SIGINT": -2, "an exception": 1}.get(how, 0)
    process.ends(status)
    assert "Fatal" not in process.errors()
    assert repo.status().active == []
    assert repo.reindex().failed == {}
    assert repo.status().indexed == 3


def test_a_program_that_lives_on_after_a_signal_has_its_indexer_again(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        WATCHED
        + """
signal.signal(signal.SIGTERM, lambda *_: None)
started = Repo(".").start_indexer(3600)
os.kill(os.getpid(), signal.SIGTERM)
print(started.running)
started.stop()
os.kill(os.getpid(), signal.SIGTERM)
print(started.running)
"""
    )
    assert process.ends() == ["True", "False"]


def test_a_forked_child_has_none_and_may_start_its_own(repo: Repo, python: Callable[..., Any], stall: Stall) -> None:
    stall(3)
    process = python(
        WATCHED
        + """
repo = Repo(".")
started = repo.start_indexer(0.01)
for i in range(5):
    pid = os.fork()
    if not pid:
        assert not started.running
        started.stop()
        with repo.start_indexer(0.01) as own:
            assert own is not started and own.running
            with Run(repo=repo) as run:
                run["x"] = 1
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert started.running
while repo.status().stalled:
    pass
"""
    )
    process.ends()
    assert repo.status().indexed == 8


# Killed at each step

KILLED = (
    WATCHED
    + """
repo = Repo(".")
done = threading.Semaphore(0)
started = indexer(repo, lambda report: done.release())
die_at(int(sys.argv[1]))
started.start()
done.acquire()
done.acquire()
started.stop()
os._exit(0)
"""
)


@pytest.mark.parametrize("stride", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_moment_it_loses_nothing_and_the_next_one_ends_it(
    repo: Repo, stall: Stall, each_moment: Moments, stride: int
) -> None:
    stalled = stall(2)
    backup = Path(repo.path).with_name("backup")
    shutil.copytree(repo.path, backup)
    for moment in each_moment(KILLED, stride=stride):
        again = Repo(repo.path)
        assert sorted(run.hash for run in again.query_runs("run.x == 1")) == stalled, f"moment {moment}"
        told = Told()
        left = again.status().stalled
        with BackgroundIndexer(context_of(again), IndexerTiming(OFTEN), told) as indexer:
            indexer.start()
            told.wait(len(left))
        status = again.status()
        assert (status.stalled, status.active, status.indexed) == ([], [], 2), f"moment {moment}"
        assert markers(again) == []
        for run in again.iter_runs():
            check_whole(run)
        rows = context_of(again).database.runs(stalled)
        assert all(rows[run].finalized_at is not None for run in stalled), f"moment {moment}"
        again.close()
        shutil.rmtree(repo.path)
        shutil.copytree(backup, repo.path)
