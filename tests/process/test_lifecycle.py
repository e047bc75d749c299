"""How runs end with their process: close, interpreter exit, exceptions, signals."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo

OPENED = """
import threading
run = Run(repo=".")
for i in range(1000):
    run.track(float(i), name="loss")
"""

CHAINED = (
    OPENED
    + """
ours = signal.getsignal(signal.SIGTERM)
def chained(number, frame):
    print("chained")
    ours(number, frame)
signal.signal(signal.SIGTERM, chained)
"""
)

DIED = -signal.SIGTERM


def finalized(repo: Repo, count: int = 1000) -> bool:
    """Whether all runs are finalized and indexed, and each has `count` values."""
    status = repo.status()
    assert (status.active, status.stalled, status.indexed) == ([], [], status.runs)
    assert status.runs
    for metric in repo.query_metrics("metric.name == 'loss'"):
        assert metric.count == count
        assert metric.run.finalized_at is not None
        steps, values = metric.numpy()
        assert steps.tolist() == list(range(count))
        assert values.tolist() == list(map(float, range(count)))
    return True


# The end of a program


@pytest.mark.parametrize(
    ("ending", "status", "shown"),
    [
        ("run.close()", 0, ""),
        ("run.close(); run.close()", 0, ""),
        ("run.__exit__(None, None, None)", 0, ""),
        ("", 0, ""),
        ("1 / 0", 1, "ZeroDivisionError: division by zero"),
        ("sys.exit()", 0, ""),
        ("sys.exit(5)", 5, ""),
        ("sys.exit('enough')", 1, "enough"),
        ("raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
        ("os.kill(os.getpid(), signal.SIGTERM)", DIED, ""),
        ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT, "KeyboardInterrupt"),
        ("threading.Thread(target=run.close).start()", 0, ""),
    ],
)
def test_a_run_is_finalized_when_its_program_ends(
    repo: Repo, python: Callable[..., Any], ending: str, status: int, shown: str
) -> None:
    process = python(OPENED + ending)
    process.ends(status)
    assert finalized(repo)
    errors = process.errors()
    assert shown in errors
    assert ("Traceback" in errors) == (shown.startswith(("Zero", "Key")))


def test_an_error_within_a_with_block_finalizes_and_goes_on_to_the_caller(
    repo: Repo, python: Callable[..., Any]
) -> None:
    process = python("""
        from aimstore import Run
        with Run(repo=".") as run:
            for i in range(1000):
                run.track(float(i), name="loss")
            raise ValueError("mine")
    """)
    process.ends(1)
    assert process.errors().rstrip().endswith("ValueError: mine")
    assert finalized(repo)


def test_dropping_the_last_reference_finalizes(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        OPENED
        + """
from aimstore import Repo
repo, name = run.repo, run.hash
del run
while repo.get_run(name).active:
    pass
print(repo.status().stalled, repo.get_run(name).get_metric("loss").count)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    )
    assert process.ends()[0] == "[] 1000"
    assert finalized(repo)


def test_a_run_made_in_another_thread_is_finalized_at_exit_and_only_stalled_by_sigterm(
    repo: Repo, python: Callable[..., Any]
) -> None:
    program = """
import os, signal, sys, threading
from aimstore import Run
def work():
    global run
    run = Run(repo=".")
    for i in range(1000):
        run.track(float(i), name="loss")
    run.flush()
thread = threading.Thread(target=work)
thread.start()
thread.join()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
if sys.argv[1:]:
    os.kill(os.getpid(), signal.SIGTERM)
"""
    python(program).ends()
    assert finalized(repo)
    python(program, "kill").ends(DIED)
    assert len(repo.status().stalled) == 1
    repo.reindex()
    assert finalized(repo)


def test_a_run_that_another_thread_is_writing_is_finalized_by_sigterm(repo: Repo, python: Callable[..., Any]) -> None:
    process = python("""
        import threading
        from aimstore import Run
        run = Run(repo=".")
        def work():
            for i in range(10**9):
                run.track(float(i), name="loss")
                if i == 1000:
                    print("tracking")
        threading.Thread(target=work, daemon=True).start()
        threading.Event().wait()
    """)
    process.expect("tracking")
    process.send(signal.SIGTERM)
    process.ends(DIED)
    (metric,) = repo.query_metrics()
    assert metric.count > 1000
    assert finalized(repo, metric.count)


CHILDREN = """
import multiprocessing, sys
from aimstore import Run
def work():
    global run
    run = Run(repo=".")
    for i in range(1000):
        run.track(float(i), name="loss")
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    if sys.argv[1] == "fork":
        work()  # the parent has a run of its own
    children = [context.Process(target=work) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    print([child.exitcode for child in children])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_child_that_never_closes_its_run_finalizes_it(
    repo: Repo, python: Callable[..., Any], tmp_path: Path, method: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(CHILDREN)
    process = python("import os, sys; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])", program, method)
    assert process.ends() == ["[0, 0]"], process.errors()
    assert repo.status().runs == 2 + (method == "fork")
    assert finalized(repo)


# Handlers


def test_handlers_are_put_back_when_the_last_run_is_closed(repo: Repo, python: Callable[..., Any]) -> None:
    process = python("""
        import signal
        from aimstore import Run
        def mine(*_): ...
        signal.signal(signal.SIGTERM, mine)
        before = signal.getsignal(signal.SIGINT)
        for _ in range(2):
            first, second = Run(repo="."), Run(repo=".")
            assert signal.getsignal(signal.SIGTERM) is not mine
            first.close()
            assert signal.getsignal(signal.SIGTERM) is not mine
            second.close()
            assert signal.getsignal(signal.SIGTERM) is mine
            assert signal.getsignal(signal.SIGINT) is before
    """)
    process.ends()


def test_a_handler_installed_over_ours_stays(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        CHAINED
        + """
run.close()
assert signal.getsignal(signal.SIGTERM) is chained
run = Run(repo=".")
for i in range(1000):
    run.track(float(i), name="loss")
os.kill(os.getpid(), signal.SIGTERM)
"""
    )
    assert process.ends(DIED) == ["chained"]
    assert finalized(repo)


def test_a_handler_over_ours_works_in_a_forked_child_too(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        CHAINED
        + """
pid = os.fork()
if not pid:
    os.kill(os.getpid(), signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    )
    assert process.ends() == ["chained", str(DIED)]
    assert finalized(repo)


def test_a_signal_that_comes_right_after_a_fork_is_not_lost(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        OPENED
        + """
for _ in range(50):
    pid = os.fork()
    if not pid:
        signal.pause()
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
"""
    )
    process.ends()
    assert finalized(repo)


def test_an_ignored_sigterm_stays_ignored(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
        + OPENED
        + """
os.kill(os.getpid(), signal.SIGTERM)
print("alive", run.active)
"""
    )
    assert process.ends() == ["alive True"]
    assert finalized(repo)


@pytest.mark.parametrize(("handler", "status"), [("os._exit(7)", 7), ("raise SystemExit(3)", 3), ("sys.exit()", 0)])
@pytest.mark.parametrize(
    "moment", ["os.kill(os.getpid(), signal.SIGTERM)", "during(Container, 'write')", "during(Container, 'close')"]
)
def test_a_handler_that_ends_the_program_is_called_after_the_run_is_finalized(
    repo: Repo, python: Callable[..., Any], handler: str, status: int, moment: str
) -> None:
    process = python(
        """
import os, signal, sys
def mine(number, frame):
    print("mine", number == signal.SIGTERM, run.active)
    """
        + handler
        + "\nsignal.signal(signal.SIGTERM, mine)"
        + OPENED
        + """
from aimstore.abc import Container
def during(owner, name):
    method = getattr(owner, name)
    def interrupted(*arguments, **options):
        setattr(owner, name, method)
        os.kill(os.getpid(), signal.SIGTERM)
        return method(*arguments, **options)
    setattr(owner, name, interrupted)
    run.close()
"""
        + moment
    )
    assert process.ends(status) == ["mine True False"]
    assert finalized(repo)


def test_a_handler_that_returns_lets_the_run_go_on(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        """
import signal
def mine(number, frame):
    print("mine")
signal.signal(signal.SIGTERM, mine)
"""
        + OPENED
        + """
for i in range(1000, 3000):
    if i % 500 == 0:
        os.kill(os.getpid(), signal.SIGTERM)
    run.track(float(i), name="loss")
assert run.active
run["x"] = 1
"""
    )
    assert process.ends() == ["mine"] * 4
    assert finalized(repo, 3000)
    assert next(iter(repo.query_runs()))["x"] == 1


@pytest.mark.parametrize(
    "tracked", ["float(i)", *(pytest.param(each, marks=pytest.mark.slow) for each in ("i", "numpy.float32(i)"))]
)
def test_a_handler_that_returns_costs_no_record_wherever_it_strikes(
    repo: Repo, python: Callable[..., Any], tracked: str
) -> None:
    process = python(
        """
import random, signal, numpy
from aimstore import Run
chance = random.Random(0)
calls = strikes = 0
def mine(number, frame):
    global calls
    calls += 1
signal.signal(signal.SIGTERM, mine)
run = Run(repo=".")
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGTERM))
i = 0
while calls < 25:
    if calls == strikes:  # the last signal was handled, and its record taken
        strikes += 1
        signal.setitimer(signal.ITIMER_REAL, 0.001 + chance.random() * 0.03)
    run.track("""
        + tracked
        + """, name="loss")
    i += 1
print(i)
"""
    )
    (count,) = process.ends()
    assert finalized(repo, int(count))


# Signals at any moment

LOOPS = {
    "track": "run.track(float(i), name='loss')",
    "track with a step": "run.track(float(i), 'loss', i, None, {})",
    "track careful": "run.track({'loss': numpy.float64(i)})",
    "flush": "run.track(float(i), name='loss'); run.flush()",
    "sync": "run.track(float(i), name='loss'); run.flush(sync=True)",
    "set": "run.track(float(i), name='loss'); run['x'] = {'a': i, 'b': {'c': [i] * 20}}",
    "get": "run.track(float(i), name='loss'); run.get('x'); run.metrics()",
    "name": "run.track(float(i), name='loss'); run.name = str(i)",
    "reopen": "run.track(float(i), name='loss'); run.close(); run = Run(run.hash, repo=repo)",
    "query": "run.track(float(i), name='loss'); repo.query_runs('run.x == 1').count()",
}

QUICK = ("set", "reopen", "query")
"""Loops whose sweep belongs to the quick tests."""

SIGNALLED = """
import numpy
repo = Repo(".")
reached = counter()
run = Run(repo=repo)
run.track(0.0, name="loss")
reached[0] = 1
print("ready")
code = compile(sys.argv[1], "loop", "exec")
i = 1
while True:
    exec(code)
    i += 1
    reached[0] = i
"""


@pytest.mark.parametrize(
    "loop", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in LOOPS]
)
def test_sigterm_at_any_moment_finalizes_and_ends_the_process_as_ever(
    repo: Repo, python: Callable[..., Any], counter: Any, loop: str
) -> None:
    chance = random.Random(loop)
    for _ in range(25 if loop == "track" else 8):
        counter.clear()
        process = python(SIGNALLED, LOOPS[loop])
        process.expect("ready")
        time.sleep(chance.random() * 0.08)  # the moment is what is tested
        process.send(signal.SIGTERM)
        if chance.random() < 0.3:
            process.send(signal.SIGTERM)
        process.ends(DIED)
        assert "Traceback" not in process.errors()
        status = repo.status()
        assert (status.active, status.stalled, status.indexed) == ([], [], 1)
        (metric,) = repo.query_metrics("metric.name == 'loss'")
        reached = counter.value
        assert reached <= metric.count <= reached + 1
        assert metric.numpy()[0].tolist() == list(range(metric.count))
        repo.delete_run(metric.run.hash)


CREATING = """
repo = Repo(".")
print("ready")
while True:
    with Run(repo=repo) as run:
        run.track(1.0, name="loss")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_runs_begin_and_end_leaves_no_run_half_way(
    repo: Repo, python: Callable[..., Any], number: int
) -> None:
    chance = random.Random(number)
    for _ in range(10):
        process = python(CREATING)
        process.expect("ready")
        time.sleep(chance.random() * 0.1)  # the moment is what is tested
        process.send(number)
        process.ends(-number)
        status = repo.status()
        assert (status.active, status.stalled, status.indexed) == ([], [], status.runs)


INTERRUPTED = """
loop, ending = sys.argv[1:]
reached = counter()
run = Run(repo=".")
i = interrupts = 0
while interrupts < 3:
    print("ready")
    try:
        while True:
            if loop == "track":
                run.track(float(i), "loss", i)
            else:
                run.track(i, "loss", i)
                run.flush()
            i += 1
            reached[0] = i
    except KeyboardInterrupt:
        interrupts += 1
        i += 1  # the interrupted one may have been taken
if ending == "uncaught":
    raise KeyboardInterrupt
run.track(float(i), "loss", i)
reached[0] = i + 1
"""


@pytest.mark.parametrize(("ending", "status"), [("caught", 0), ("uncaught", -signal.SIGINT)])
@pytest.mark.parametrize("loop", ["track", "flush"])
def test_sigint_is_a_keyboard_interrupt_and_costs_no_record(
    repo: Repo, python: Callable[..., Any], counter: Any, loop: str, ending: str, status: int
) -> None:
    chance = random.Random(loop + ending)
    for _ in range(4):
        counter.clear()
        process = python(INTERRUPTED, loop, ending)
        for _ in range(3):
            process.expect("ready")
            time.sleep(chance.random() * 0.05)  # the moment is what is tested
            process.send(signal.SIGINT)
        process.ends(status)
        (metric,) = repo.query_metrics("metric.name == 'loss'")
        stored = metric.numpy()[0].tolist()
        missing = set(range(counter.value)) - set(stored)
        assert len(missing) <= 3  # those that were interrupted
        assert stored == sorted(set(stored))
        assert repo.status().indexed == 1
        repo.delete_run(metric.run.hash)


DURING = """
from aimstore.abc import Container
run = Run(repo=".")
for i in range(1000):
    run.track(float(i), name="loss")
def during(name, *numbers):
    method = getattr(Container, name)
    def interrupted(*arguments, **options):
        setattr(Container, name, method)
        for number in numbers:
            os.kill(os.getpid(), number)
        return method(*arguments, **options)
    setattr(Container, name, interrupted)
"""


@pytest.mark.parametrize("step", ["write", "flush", "close"])
def test_sigint_inside_close_comes_after_it_as_a_keyboard_interrupt(
    repo: Repo, python: Callable[..., Any], step: str
) -> None:
    process = python(
        DURING
        + f"""
during({step!r}, signal.SIGINT)
try:
    run.close()
except KeyboardInterrupt:
    print("caught", run.active)
"""
    )
    assert process.ends() == ["caught False"]
    assert finalized(repo)


@pytest.mark.parametrize("numbers", ["signal.SIGINT, signal.SIGTERM", "signal.SIGTERM, signal.SIGINT"])
def test_two_signals_at_once_are_both_heeded(repo: Repo, python: Callable[..., Any], numbers: str) -> None:
    process = python(
        DURING
        + f"""
during("flush", {numbers})
try:
    run.flush()
except KeyboardInterrupt:
    print("interrupted", flush=True)
signal.pause()  # SIGTERM must not wait for another call of ours
"""
    )
    process.ends(DIED)
    assert finalized(repo)


def test_sigterm_does_not_wait_for_what_the_interrupted_reading_holds(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(
        DURING
        + """
import threading, weakref
run["x"] = {"a": 1}
inside, entered = threading.Event(), threading.Event()

class Scans(weakref.WeakSet):
    def add(self, scan):  # the main thread holds the container's mutex here
        if threading.current_thread() is threading.main_thread() and not entered.is_set():
            entered.set()
            inside.wait()
            os.kill(os.getpid(), signal.SIGTERM)
        super().add(scan)

write = Container.write
def waits(self, batch):
    if threading.current_thread().name == "aimstore-writer":  # this one holds the writer's lock
        inside.set()
        entered.wait()
    return write(self, batch)
Container.write = waits
run._session.meta._scans = Scans()
run.track(1000.0, name="loss")
run["x"]
"""
    )
    process.ends(DIED)
    assert finalized(repo, 1001)


def test_sigterm_during_exit_and_during_an_exception_still_finalizes(repo: Repo, python: Callable[..., Any]) -> None:
    process = python(DURING + "during('close', signal.SIGTERM)\n1 / 0")
    process.ends(DIED)
    assert finalized(repo)
    assert "ZeroDivisionError" in process.errors()
