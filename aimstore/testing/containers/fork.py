"""Tests of forked children: every call raises, and nothing of the parent is changed or released."""

from __future__ import annotations

import gc
import os
import signal
import warnings
from collections.abc import Callable

import pytest

from aimstore.abc import Backend, Container, Mode
from aimstore.errors import ClosedError, LockedError
from aimstore.testing import tasks
from aimstore.testing.containers.lifecycle import CALLS
from aimstore.testing.data import OTHER_PATH, PATH, fill, holds, numbered
from aimstore.testing.harness import Harness, Start, needs
from aimstore.testing.waiting import until


def in_a_child(work: Callable[[], str]) -> str:
    """Return what `work` returns, or raises, in a forked child; the child exits without ending the interpreter."""
    mine, its = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it warns of forking beside threads, which is tested here
        child = os.fork()
    if child == 0:
        try:
            said = work()
        except BaseException as error:
            said = f"raised {type(error).__name__}: {error}"
        os.write(its, said.encode()[:4000])
        os._exit(0)
    os.close(its)
    try:
        until(lambda: os.waitpid(child, os.WNOHANG) != (0, 0), "a forked child hangs")
        return os.read(mine, 4000).decode()
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    finally:
        os.close(mine)


def _refused(container: Container) -> str:
    for name, call in CALLS.items():
        try:
            call(container)
        except ClosedError:
            continue
        except Exception as error:
            return f"{name} raised {error!r}"
        return f"{name} raised nothing"
    return "refused"


class ForkTests(Harness):
    operation = "fork"

    @pytest.mark.parametrize("mode", list(Mode))
    def test_every_call_raises_in_a_child(self, backend: Backend, mode: Mode) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            items = fill(container, {b"a": b"1", b"b": b"2"})
        with backend.open(PATH, mode) as container:
            assert in_a_child(lambda: _refused(container)) == "refused"
            holds(container, items)

    def test_a_scan_raises_in_a_child_and_goes_on_in_the_parent(self, container: Container) -> None:
        fill(container, numbered(2000))
        scans = [container.items(), container.items(reverse=True)]
        for scan in scans:
            next(scan)

        def work() -> str:
            for scan in scans:
                with pytest.raises(ClosedError):
                    next(scan)
            return "refused"

        assert in_a_child(work) == "refused"
        assert [len(list(scan)) for scan in scans] == [1999, 1999]

    def test_closing_and_forgetting_in_a_child_leaves_the_parents_alone(self, backend: Backend) -> None:
        held = {"writer": backend.open(PATH, Mode.WRITE)}
        items = fill(held["writer"], numbered(500))
        held["reader"] = backend.open(PATH)

        def work() -> str:
            for container in held.values():
                container.close()
            held.clear()
            gc.collect()
            return "done"

        assert in_a_child(work) == "done"
        items |= fill(held["writer"], {b"after": b"the fork"})
        holds(held["writer"], items)
        held["reader"].refresh()
        holds(held["reader"], items)
        with pytest.raises(LockedError):
            backend.open(PATH, Mode.WRITE)
        for container in held.values():
            container.close()
        with backend.open(PATH, Mode.WRITE) as container:
            holds(container, items)

    @needs("persistent", "multi_process")
    def test_a_child_has_containers_of_its_own(self, backend: Backend, container: Container) -> None:
        items = fill(container, numbered(200))

        def work() -> str:
            with backend.open(OTHER_PATH, Mode.WRITE) as own:
                fill(own, {b"child": b"value"})
                own.flush(sync=True)
            with backend.open(PATH) as reader:
                holds(reader, items)
            return "done"

        assert in_a_child(work) == "done"
        with backend.open(OTHER_PATH) as reader:
            holds(reader, {b"child": b"value"})
        items |= fill(container, {b"after": b"the fork"})
        holds(container, items)

    @needs("persistent", "multi_process")
    def test_a_child_that_ends_as_programs_do_harms_nothing(self, backend: Backend, start: Start) -> None:
        parent = start(tasks.fork_and_leave, PATH)
        parent.hear()
        assert parent.hear() == 0, parent.errors()
        with pytest.raises(LockedError):
            backend.open(PATH, Mode.WRITE)
        with pytest.raises(LockedError):
            backend.lock(OTHER_PATH)
        parent.say()
        parent.hear()
        parent.ends()
        with backend.open(PATH, Mode.WRITE) as container:
            holds(container, tasks.batches(20) | {b"parent": b"after the fork"})
