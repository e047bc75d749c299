"""Many processes on one repository at the same instant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.errors import LockedError

TOGETHER = """
import traceback

def together(count, work):
    '''Call work(0), work(1), … in processes of their own that start at the same instant; all must end well.'''
    gate, opened = os.pipe()
    children = []
    for number in range(count):
        pid = os.fork()
        if not pid:
            os.close(opened)
            os.read(gate, 1)  # ends when the parent closes its side
            work(number)
            sys.exit()
        children.append(pid)
    os.close(gate)
    os.close(opened)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert statuses == [0] * count, statuses
"""

FIRST_START = (
    TOGETHER
    + """
def work(number):
    for i in range(20):
        run = Run(repo=sys.argv[1], experiment="first", tags=[str(number)])
        run["number"] = number
        for step in range(5):
            run.track(float(step), name="loss")
        run.close()
together(3, work)
"""
)


def check_first_start(repo: Repo) -> None:
    status = repo.status()
    assert (status.runs, status.active, status.stalled, status.indexed) == (60, [], [], 60)
    for number in range(3):
        assert repo.query_runs(f"run.number == {number} and run.tags == ['{number}']").count() == 20
    assert sum(metric.count for metric in repo.query_metrics("run.experiment == 'first'")) == 300


@pytest.mark.parametrize("repeat", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_three_processes_start_at_once_in_a_repository_that_does_not_exist_yet(
    tmp_path: Path, python: Callable[..., Any], repeat: int
) -> None:
    for attempt in range(repeat):
        process = python(FIRST_START, tmp_path / str(attempt))
        process.ends()
        assert "WARNING" not in process.errors()
        assert [path.name for path in (tmp_path / str(attempt)).iterdir()] == [".aim"]
        check_first_start(Repo(tmp_path / str(attempt)))


def test_thirty_two_processes_that_finalize_at_once_are_all_indexed(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        TOGETHER
        + """
ready, told = os.pipe()
gate, opened = os.pipe()
def work(number):
    run = Run(repo=".")
    run["number"] = number
    run.track(float(number), name="loss")
    run.flush()
    os.write(told, b".")
    os.read(gate, 1)
    run.close()
if not os.fork():
    os.close(opened)
    together(32, work)
    sys.exit()
os.close(gate)
os.close(told)
for _ in range(32):
    assert os.read(ready, 1)
os.close(opened)
assert os.wait()[1] == 0
"""
    )
    process.ends()
    status = repo.status()
    assert (status.runs, status.active, status.stalled, status.indexed) == (32, [], [], 32)
    assert sorted(metric.last for metric in repo.query_metrics()) == list(map(float, range(32)))


def test_runs_are_written_queried_reindexed_and_deleted_by_many_processes_at_once(
    repo: Repo, python: Callable[..., Any]
) -> None:
    process = python(
        TOGETHER
        + """
import random
from aimstore.errors import LockedError, RunNotFoundError
def work(number):
    repo = Repo(".")
    if number < 3:
        for i in range(8):
            with Run(repo=repo) as run:
                run["number"] = number
                for step in range(20):
                    run.track(float(step), name="loss")
            if i % 4 == 0:
                repo.delete_run(run.hash)
    elif number == 3:
        for _ in range(8):
            assert not repo.reindex(rebuild=True).failed
    else:
        for _ in range(15):
            for run in repo.query_runs("run.number >= 0"):
                try:
                    assert run["number"] in (0, 1, 2)
                    for metric in run.metrics():
                        steps, values = metric.numpy()
                        assert steps.tolist() == list(range(len(steps)))
                except RunNotFoundError:
                    pass  # it was deleted meanwhile
together(6, work)
"""
    )
    process.ends()
    assert "Traceback" not in process.errors()
    repo.reindex()
    status = repo.status()
    assert (status.runs, status.active, status.stalled, status.indexed) == (18, [], [], 18)
    assert [metric.count for metric in repo.query_metrics()] == [20] * 18


def test_of_many_that_open_one_run_one_gets_it_and_the_others_hear_who_has_it(
    repo: Repo, python: Callable[..., Any]
) -> None:
    with Run(repo=repo) as run:
        pass
    process = python(
        TOGETHER
        + """
from aimstore.errors import LockedError
def work(number):
    won = 0
    for _ in range(10):
        try:
            with Run(sys.argv[1], repo=".") as run:
                run.track(1.0, name="loss")
                run.flush()
                won += 1
        except LockedError as error:
            assert "locked by" in str(error), error
    print(won)
together(5, work)
""",
        run.hash,
    )
    won = sum(map(int, process.ends()))
    assert repo.get_run(run.hash).metrics()[0].count == won
    assert repo.status().stalled == []


def test_a_second_writer_hears_at_once_who_holds_the_run_and_since_when(repo: Repo, python: Callable[..., Any]) -> None:
    process = python("""
        run = Run(repo=".")
        print(run.hash)
        sys.stdin.readline()
    """)
    name = process.line()
    for action in (lambda: Run(name, repo=repo), lambda: repo.delete_run(name)):
        with pytest.raises(LockedError) as caught:
            action()
        assert f"locked by process {process.pid} on " in str(caught.value)
        assert " since 20" in str(caught.value)
        assert caught.value.owner is not None
        assert caught.value.owner.pid == process.pid
    process.say()
    process.ends()
    Run(name, repo=repo).close()
