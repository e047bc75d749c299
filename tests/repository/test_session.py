"""The order of steps by which a run begins and ends: killed at each of them, resumed, and seen from forked children."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.abc import Mode
from aimstore.errors import LockedError, RunNotFoundError
from aimstore.repository import context_of
from aimstore.storage.layout import DELETED_KEY
from aimstore.testing.waiting import until
from aimstore.types import meta_path

Moments = Callable[..., Iterator[int]]
Values = Callable[..., list[tuple[int, Any]]]

# Killed at each step

BEGIN = """
repo = Repo(".")
die_at(int(sys.argv[1]))
run = Run(repo=repo, name="mine", tags=["a"])
os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2:] else os._exit(0)
"""


def test_killed_while_it_begins_a_run_is_whole_or_gone_after_a_reindex(repo: Repo, each_moment: Moments) -> None:
    for moment in each_moment(BEGIN):
        shown = [run.hash for run in repo.query_runs("run.name == 'mine' and 'a' in run.tags")]
        assert [run.hash for run in repo.iter_runs()] == shown, f"moment {moment}"
        marked = set(repo.status().stalled)
        assert set(shown) <= set(repo.list_runs()) <= marked, f"moment {moment}"
        report = repo.reindex()
        assert report.failed == {}
        assert set(report.indexed + report.removed) == marked
        assert sorted(report.indexed) == shown == repo.list_runs()
        assert repo.status().stalled == []
        for name in repo.list_runs():
            run = repo.get_run(name)
            assert run.finalized_at is not None
            assert (run.name, run.tags) == ("mine", ("a",))
            repo.delete_run(name)


END = """
repo = Repo(".")
run = Run(sys.argv[2], repo=repo)
run["x"] = {"a": 2}
for i in range(50):
    run.track(float(i), name="loss")
run.track("text", name="note")
run.flush()
die_at(int(sys.argv[1]))
run.close()
os._exit(0)
"""


def test_killed_while_it_ends_a_run_keeps_all_that_was_flushed(
    repo: Repo, each_moment: Moments, values: Values
) -> None:
    with Run(repo=repo, experiment="e") as run:
        run["x"] = {"a": 1}
    rows = 0
    stalled = 0
    for moment in each_moment(END, run.hash):
        rows += 50
        (found,) = repo.query_runs("run.experiment == 'e'")
        assert found["x"] == {"a": 2}
        stalled += repo.status().stalled == [run.hash]
        for _ in range(2):
            loss = values(repo.get_run(run.hash), "loss")
            assert loss == [(step, float(step % 50)) for step in range(rows)], f"moment {moment}"
            assert len(values(repo.get_run(run.hash), "note")) == rows // 50
            metric = repo.get_run(run.hash).get_metric("loss")
            assert metric is not None
            assert (metric.count, metric.last_step, metric.last, metric.min, metric.max) == (
                rows,
                rows - 1,
                49.0,
                0.0,
                49.0,
            )
            assert repo.reindex().failed == {}
        assert repo.status().stalled == []
    assert stalled > 5


RESUME = """
repo = Repo(".")
die_at(int(sys.argv[1]))
run = Run(sys.argv[2], repo=repo)
run.track(1.0, name="loss")
run.close()
os._exit(0)
"""


def test_killed_while_it_is_resumed_a_run_keeps_what_it_had(repo: Repo, each_moment: Moments, values: Values) -> None:
    with Run(repo=repo) as run:
        run["x"] = 1
        run.track(0.0, name="loss")
    added = 0
    for _ in each_moment(RESUME, run.hash):
        loss = values(repo.get_run(run.hash), "loss")
        assert len(loss) in (1 + added, 2 + added)
        added = len(loss) - 1
        assert loss == [(0, 0.0), *((step, 1.0) for step in range(1, added + 1))]
        assert next(iter(repo.query_runs("run.x == 1"))).hash == run.hash
    assert repo.status().stalled == []
    assert added > 0


KILLED = """
repo = Repo(".")
flushed = counter()
run = Run(*sys.argv[1:], repo=repo)
print("ready")
i = 0
while True:
    run.track(float(i), name="loss")
    run.track({"a": i, "b": f"text {i}"})
    run["i"] = i
    i += 1
    if i % 10 == 0:
        run.flush(sync=i % 50 == 0)
        flushed[0] = i
"""


def test_sigkill_at_any_moment_loses_nothing_that_was_flushed(
    repo: Repo, python: Callable[..., Any], counter: Any, values: Values
) -> None:
    chance = random.Random(0)
    for _ in range(12):
        counter.clear()
        process = python(KILLED)
        process.expect("ready")
        time.sleep(chance.random() * 0.2)  # the moment is what is tested
        process.send(signal.SIGKILL)
        process.ends(-signal.SIGKILL)
        status = repo.status()
        assert len(status.stalled) == 1
        assert (status.active, status.indexed) == ([], 0)
        run = repo.get_run(status.stalled[0])
        found = {name: values(run, name) for name in ("loss", "a", "b")}
        flushed = counter.value
        for name, make in {"loss": float, "a": int, "b": "text {}".format}.items():
            assert len(found[name]) >= flushed
            assert found[name] == [(i, make(i)) for i in range(len(found[name]))]
        assert run.get("i", -1) >= flushed - 1
        assert run.finalized_at is None
        assert repo.reindex().indexed == [run.hash]
        assert {name: values(run, name) for name in ("loss", "a", "b")} == found
        assert run.finalized_at is not None
        repo.delete_run(run.hash)


def test_what_was_tracked_longer_ago_than_two_drains_survives_sigkill(repo: Repo, python: Callable[..., Any]) -> None:
    process = python("""
        import threading
        drained = threading.Semaphore(0)
        run = Run(repo=".")
        drain = run._session.writer.drain
        def counted(**options):
            drain(**options)
            drained.release()
        run._session.writer.drain = counted
        for i in range(100):
            run.track(float(i), name="loss")
        for _ in range(2):
            drained.acquire()
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    process.ends(-signal.SIGKILL)
    (metric,) = repo.query_metrics()
    assert metric.numpy()[0].tolist() == list(range(100))


# Resuming


def test_a_killed_run_can_be_resumed_without_a_reindex(
    repo: Repo, python: Callable[..., Any], counter: Any, values: Values
) -> None:
    process = python(KILLED)
    process.expect("ready")
    until(lambda: counter.value >= 100, "a hundred steps are not flushed")
    process.send(signal.SIGKILL)
    process.wait()
    (name,) = repo.status().stalled
    before = len(values(repo.get_run(name), "loss"))
    with Run(name, repo=repo) as run:
        for i in range(3):
            run.track(-1.0 - i, name="loss")
        metric = run.get_metric("loss")
        assert metric is not None
        assert metric.count == before + 3
    expected = [*((i, float(i)) for i in range(before)), *((before + i, -1.0 - i) for i in range(3))]
    assert values(repo.get_run(name), "loss") == expected
    (metric,) = repo.query_metrics("metric.name == 'loss'")
    assert (metric.count, metric.first_step, metric.last_step) == (before + 3, 0, before + 2)
    assert (metric.last, metric.min, metric.max) == (-3.0, -3.0, before - 1.0)
    assert repo.status().stalled == []


def test_a_run_that_is_open_is_not_opened_again(repo: Repo) -> None:
    with Run(repo=repo) as run:
        with pytest.raises(LockedError, match=r"locked by process \d+ on .* since 20\d\d-") as caught:
            Run(run.hash, repo=repo)
        assert caught.value.owner is not None
        run.track(1.0, name="loss")
    assert repo.get_run(run.hash).metrics()[0].count == 1


def test_a_run_that_could_not_begin_leaves_nothing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = context_of(repo).backend
    opened = backend.open

    def refuses(path: str, *arguments: Any, **options: Any) -> Any:
        if path.startswith("seqs/"):
            raise OSError("no more")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(backend, "open", refuses)
    with pytest.raises(OSError, match="no more"):
        Run(repo=repo, name="mine")
    monkeypatch.undo()
    assert repo.list_runs() == []
    assert repo.status().stalled == []
    assert context_of(repo).database.all_runs() == {}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_run_that_is_being_deleted_cannot_be_resumed(repo: Repo) -> None:
    with Run(repo=repo) as run:
        pass
    with context_of(repo).backend.open(meta_path(run.hash), Mode.WRITE) as meta:
        meta.put(DELETED_KEY, b"1")
    with pytest.raises(RunNotFoundError, match="is being deleted"):
        Run(run.hash, repo=repo)


# Forked children

FORKED = """
import threading
from aimstore.errors import ClosedError, LockedError
repo = Repo(".")
run = Run(repo=repo)
run["x"] = 1
for i in range(1000):
    run.track(float(i), name="loss")
run.flush() if sys.argv[1] == "flushed" else None

def refused(action):
    try:
        action()
    except ClosedError as error:
        assert "forked child" in str(error), error
    else:
        raise AssertionError("not refused")

def setting():
    run["x"] = 2

def resuming():
    try:
        Run(run.hash, repo=repo)
    except LockedError:
        return
    raise AssertionError("not refused")
"""

CHILD = """
pid = os.fork()
if not pid:
    {work}
    {end}
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
assert status == {status}, status
for i in range(1000, 2000):
    run.track(float(i), name="loss")
assert run["x"] == 1
run.close()
"""

TOUCHING = {
    "track": "refused(lambda: run.track(1.0, name='loss'))",
    "track careful": "refused(lambda: run.track({'new': 'text'}))",
    "set": "refused(setting)",
    "delete": "refused(lambda: run.__delitem__('x'))",
    "flush": "refused(run.flush)",
    "read": "assert run['x'] == 1; run.metrics(); [metric.numpy() for metric in run.metrics()]",
    "close": "run.close(); run.__exit__(None, None, None)",
    "drop": "del run; import gc; gc.collect()",
    "active": "assert run.active and run.finalized_at is None",
    "own run": "own = Run(repo=repo); own.track(1.0, name='own'); own.close()",
    "own run left open": "own = Run(repo='.'); own.track(1.0, name='own')",
    "query": "assert repo.query_runs('run.x == 1').count() == 1; assert repo.status().active == [run.hash]",
    "resume": "resuming()",
}
ENDS = {
    "exit": ("sys.exit()", 0),
    "_exit": ("os._exit(0)", 0),
    "sigterm": ("os.kill(os.getpid(), signal.SIGTERM)", -15),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("touching", TOUCHING)
def test_what_a_forked_child_does_harms_nothing_of_its_parent(
    repo: Repo, python: Callable[..., Any], touching: str, end: str
) -> None:
    code, status = ENDS[end]
    program = FORKED + CHILD.format(work=TOUCHING[touching], end=code, status=status)
    process = python(program, "flushed" if end == "exit" else "pending")
    process.ends()
    assert "Traceback" not in process.errors()
    found = repo.status()
    left_open = touching == "own run left open" and end == "_exit"  # which asks for nothing to be finalized
    assert (found.active, len(found.stalled)) == ([], left_open)
    assert found.runs == 1 + touching.startswith("own run")
    (metric,) = repo.query_metrics("metric.name == 'loss'")
    assert metric.count == 2000
    assert metric.numpy()[1].tolist() == list(map(float, range(2000)))
    assert metric.run.get("x") == 1
    own = [metric.count for metric in repo.query_metrics("metric.name == 'own'")]
    assert left_open or own == [1] * touching.startswith("own run")


def test_many_forked_workers_come_and_go_while_their_parent_tracks(repo: Repo, python: Callable[..., Any]) -> None:
    process = python("""
        import multiprocessing
        run = Run(repo=".")
        run.track(0.0, name="loss")
        def work(tasks, results):
            for task in iter(tasks.get, None):
                try:
                    run.track(1.0, name="loss")
                except ValueError:
                    results.put(task * 2)
        context = multiprocessing.get_context("fork")
        for epoch in range(3):
            tasks, results = context.SimpleQueue(), context.SimpleQueue()
            workers = [context.Process(target=work, args=(tasks, results)) for _ in range(4)]
            for worker in workers:
                worker.start()
            for task in range(100):
                tasks.put(task)
                run.track(float(results.get()), name="loss")
            for worker in workers:
                tasks.put(None)
            for worker in workers:
                worker.join()
                assert worker.exitcode == 0
        workers = [context.Process(target=signal.pause) for _ in range(3)]
        for worker in workers:
            worker.start()
            run.track(1.0, name="loss")
            worker.terminate()
            worker.join()
            assert worker.exitcode == -signal.SIGTERM, worker.exitcode
    """)
    process.ends()
    (metric,) = repo.query_metrics()
    assert metric.count == 304
    assert repo.status().indexed == 1


def test_a_child_that_outlives_its_killed_parent_does_not_keep_its_lock(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        FORKED
        + """
pid = os.fork()
if not pid:
    print(os.getpid())
    signal.pause()
signal.pause()
""",
        "flushed",
    )
    child = int(process.line())
    (name,) = repo.status().active
    process.send(signal.SIGKILL)
    process.wait()
    try:
        assert repo.status().stalled == [name]
        with Run(name, repo=repo) as run:
            run.track(1000.0, name="loss")
        assert repo.get_run(name).metrics()[0].count == 1001
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_child_forked_while_the_writer_is_busy_and_signals_come_can_write_its_own(
    repo: Repo, python: Callable[..., Any]
) -> None:
    process = python("""
        repo = Repo(".")
        run = Run(repo=repo)
        for i in range(8):
            for _ in range(2000):
                run.track(1.0, name="loss")
            pid = os.fork()
            if not pid:
                with Run(repo=repo) as own:
                    own.track(float(i), name="own")
                sys.exit()
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            assert status == 0, status
    """)
    process.ends()
    assert repo.status().indexed == 9
    assert sorted(own.last for own in repo.query_metrics("metric.name == 'own'")) == list(map(float, range(8)))
    assert [metric.count for metric in repo.query_metrics("metric.name == 'loss'")] == [16_000]


# A run held for care


def test_who_wants_to_write_a_run_waits_while_it_is_taken_care_of(repo: Repo) -> None:
    with Run(repo=repo) as run:
        run["x"] = 1
    with ThreadPoolExecutor(1) as pool:
        for act in (lambda: Run(run.hash, repo=repo).close(), lambda: repo.delete_run(run.hash)):
            care = context_of(repo).backend.lock(meta_path(run.hash), maintenance=True)
            assert not run.active
            waiting = pool.submit(act)
            while not care.contended():
                assert not waiting.done()
            care.release()
            waiting.result()
    assert repo.list_runs() == []


def test_who_wants_to_write_a_run_that_is_written_is_refused_at_once(repo: Repo) -> None:
    with Run(repo=repo) as run, pytest.raises(LockedError) as refused:
        Run(run.hash, repo=repo)
    assert refused.value.owner is not None
    assert refused.value.owner.pid == os.getpid()
    assert not refused.value.owner.maintenance
