"""Many threads on one run, and many processes on one repository, at the same instant."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.errors import ClosedError, LockedError
from aimstore.sequences import writer
from aimstore.sequences.values import prepare_value

Values = Callable[..., list[tuple[int, Any]]]

# Threads


@pytest.mark.parametrize("shape", ["one sequence", "separate sequences", "new sequences"])
@pytest.mark.parametrize("number", [float, int])
def test_eight_threads_track_at_once_and_nothing_is_lost(repo: Repo, shape: str, number: Any) -> None:
    count = 3000
    start = threading.Barrier(8)

    def work(thread: int) -> None:
        start.wait()
        for i in range(count):
            name = {"one sequence": "x", "separate sequences": f"x{thread}", "new sequences": f"x{i % 100}"}[shape]
            run.track(number(thread * count + i), name=name)

    with Run(repo=repo) as run:
        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    metrics = run.metrics()
    assert len(metrics) == {"one sequence": 1, "separate sequences": 8, "new sequences": 100}[shape]
    found: list[float] = []
    for metric in metrics:
        steps, numbers = metric.numpy()
        assert steps.tolist() == list(range(len(steps)))
        found += numbers.tolist()
    assert sorted(found) == list(map(float, range(8 * count)))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("value", [1, "text", {"x": 1, "y": 2.0}])
def test_what_a_thread_was_about_to_track_when_the_run_was_closed_is_refused(
    repo: Repo, monkeypatch: pytest.MonkeyPatch, value: Any, known: bool
) -> None:
    run = Run(repo=repo)
    name = None if isinstance(value, dict) else "x"
    if known:
        run.track(value, name)
    inside, closed = threading.Event(), threading.Event()
    refused: list[Exception] = []

    def waits(value: Any, name: str) -> Any:
        inside.set()
        closed.wait()
        return prepare_value(value, name)

    def work() -> None:
        try:
            run.track(value, name)
        except ClosedError as error:
            refused.append(error)

    monkeypatch.setattr(writer, "prepare_value", waits)
    thread = threading.Thread(target=work)
    thread.start()
    inside.wait()
    run.close()
    closed.set()
    thread.join()
    assert len(refused) == 1
    assert [sequence.count for sequence in run.sequences()] == [1] * (known * (2 if name is None else 1))


@pytest.mark.parametrize("number", ["float", "int", "text", "dict"])
def test_what_threads_track_while_the_run_is_closed_is_stored_or_refused(
    repo: Repo, values: Values, number: str
) -> None:
    make: dict[str, Callable[[int], Any]] = {
        "float": float,
        "int": int,
        "text": str,
        "dict": lambda i: {"x": i, "y": float(i)},
    }
    for attempt in range(6):
        run = Run(repo=repo)
        accepted: list[list[int]] = [[] for _ in range(4)]
        begun = threading.Barrier(5)
        enough = 100 * attempt

        def work(
            thread: int, run: Run = run, accepted: Any = accepted, begun: Any = begun, enough: int = enough
        ) -> None:
            try:
                for i in range(thread, 10**9, 4):
                    value = make[number](i)
                    run.track(value, name=None if isinstance(value, dict) else "x", step=i)
                    accepted[thread].append(i)
                    if len(accepted[thread]) == enough + 1:
                        begun.wait()
            except ClosedError:
                pass

        threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
        for each in threads:
            each.start()
        begun.wait()
        run.close()
        for each in threads:
            each.join()
        expected = sorted(step for each in accepted for step in each)
        for name in ("x", "y") if number == "dict" else ("x",):
            assert [step for step, _ in values(run, name)] == expected


def test_a_run_can_be_written_and_read_by_many_threads_at_once(repo: Repo) -> None:
    errors: list[BaseException] = []
    with Run(repo=repo) as run:
        run.track(0.0, name="x")

        def attempt(work: Callable[[int], Any]) -> None:
            try:
                for i in range(100):
                    work(i)
            except BaseException as error:
                errors.append(error)

        works: list[Callable[[int], Any]] = [
            lambda i: run.track(float(i), name="x"),
            lambda i: run.flush(),
            lambda i: run.__setitem__(("p", i), i),
            lambda i: run.get("p"),
            lambda i: run.metrics()[0].numpy(),
            lambda i: repo.query_runs("run.p != None").count(),
            lambda i: setattr(run, "name", f"n{i}") if i % 20 == 0 else None,
        ]
        threads = [threading.Thread(target=attempt, args=(work,)) for work in works]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert errors == []
    assert run["p"] == {i: i for i in range(100)}
    assert run.metrics()[0].count == 101


# Processes

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


def test_processes_that_finalize_at_once_beside_an_indexer_and_rebuilds_are_all_indexed(
    repo: Repo, python: Callable[..., Any]
) -> None:
    process = python(
        TOGETHER
        + """
def finalize(number):
    run = Run(repo=".")
    run["number"] = number
    run.track(float(number), name="loss")
    run.close()
others = []
for rebuild in (False, True):
    ready, told = os.pipe()
    if not (pid := os.fork()):
        ended = []
        signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
        repo = Repo(".")
        if rebuild:
            os.write(told, b".")
            while not ended:
                assert not repo.reindex(rebuild=True).failed
        else:
            with repo.start_indexer(0.01):
                os.write(told, b".")
                while not ended:
                    signal.pause()
        sys.exit()
    os.read(ready, 1)
    others.append(pid)
if not os.fork():
    together(32, finalize)
    sys.exit()
assert os.waitpid(-1, 0)[1] == 0
for pid in others:
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0
"""
    )
    process.ends()
    assert "not indexed yet" not in process.errors()
    status = repo.status()
    assert (status.runs, status.active, status.stalled, status.indexed) == (32, [], [], 32)
    assert sorted(metric.last for metric in repo.query_metrics()) == list(map(float, range(32)))
    assert repo.query_runs("run.finalized_at == None").count() == 0


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
