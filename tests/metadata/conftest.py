"""Metadata stores of their own for each test, and real processes that use them."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from aimstore.metadata import models, open_store
from aimstore.metadata.store import MetadataStore
from aimstore.storage.locks import FilesystemLock
from aimstore.testing.waiting import WAIT_SECONDS

Lock = Callable[[], AbstractContextManager[object]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "repository" / "run_metadata.sqlite"


@pytest.fixture
def url(path: Path) -> str:
    path.parent.mkdir()
    return f"sqlite:///{path}"


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    return lambda: FilesystemLock.acquire("database", tmp_path / "lock", timeout=WAIT_SECONDS)


@pytest.fixture
def store(url: str, lock: Lock) -> Iterator[MetadataStore]:
    with MetadataStore(url, lock=lock) as opened:
        yield opened


SERVERS = [os.environ["AIMSTORE_TEST_DATABASE_URL"]] if "AIMSTORE_TEST_DATABASE_URL" in os.environ else []
"""A server for the tests of `each_store`; continuous integration starts PostgreSQL for them."""


@pytest.fixture(params=["sqlite", *SERVERS])
def each_store(request: pytest.FixtureRequest, url: str, lock: Lock) -> Iterator[MetadataStore]:
    """An empty store, on SQLite and on the server that AIMSTORE_TEST_DATABASE_URL names."""
    if request.param != "sqlite":
        url = request.param
        engine = create_engine(url)
        models.tables.drop_all(engine)
        models.alembic_version.drop(engine, checkfirst=True)
        engine.dispose()
    with open_store(url, lock=lock) as opened:
        yield opened


class Child:
    """A forked process that runs `work`, then exits 0, or 1 with a traceback."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                work()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)

    def wait(self) -> int:
        pid, self.pid = self.pid, 0
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL


@pytest.fixture
def fork() -> Iterator[Callable[[Callable[[], object]], Child]]:
    """Runs a function in a forked process; whatever is left is killed at the end."""
    children: list[Child] = []

    def start(work: Callable[[], object]) -> Child:
        children.append(Child(work))
        return children[-1]

    yield start
    for child in children:
        if child.pid:
            child.kill()


@pytest.fixture
def race(fork: Callable[[Callable[[], object]], Child]) -> Callable[[int, Callable[[int], object]], list[int]]:
    """`race(n, work)` lets n processes run `work(i)` at the same moment; their exit codes."""

    def run(count: int, work: Callable[[int], object]) -> list[int]:
        gate, opener = os.pipe()

        def wait_then(number: int) -> None:
            os.close(opener)
            os.read(gate, 1)  # ends when the parent closes its side
            work(number)

        children = [fork(lambda number=number: wait_then(number)) for number in range(count)]
        os.close(opener)
        os.close(gate)
        return [child.wait() for child in children]

    return run


@pytest.fixture
def public_dir() -> Iterator[Path]:
    """A directory that every user may enter and change."""
    made = Path(tempfile.mkdtemp(prefix="aimstore-public-"))
    made.chmod(0o777)
    yield made
    made.chmod(0o777)
    shutil.rmtree(made)


@pytest.fixture
def unprivileged(fork: Callable[[Callable[[], object]], Child]) -> Callable[[Callable[[], object]], int]:
    """Runs a function in a process that permissions apply to, also where the tests run as root; its exit code."""

    def run(work: Callable[[], object]) -> int:
        def drop_then() -> None:
            if os.geteuid() == 0:
                with suppress(PermissionError):
                    os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            work()

        return fork(drop_then).wait()

    return run
