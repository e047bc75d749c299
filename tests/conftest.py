"""Repositories of their own for each test, and programs in processes of their own that use them."""

from __future__ import annotations

import inspect
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from aimstore import Repo, Run
from tests import crash_points

settings.register_profile(  # a busy machine is no failure
    "aimstore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("aimstore")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a shell that runs the tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

TIMEOUT = 600.0
"""Seconds of silence after which a process counts as hanging; no machine is so busy that a process needs them."""

PROCESSES = """
import faulthandler, json, os, signal, socket, sys
import aimstore_rocksdb.container, aimstore.metadata.store, aimstore.sequences.writer, aimstore.sequences.sequence
import aimstore.repository.conversion, aimstore.query.engine, aimstore_lmdb.backend, difflib, tomlkit
from aimstore import Repo, Run
from aimstore.repository import catalog_of, context_of
from aimstore.plugins import plugins
# a program that gives up its permissions may find nothing importable any more
plugins().backends(), plugins().indexers(), plugins().query_engines(), plugins().object_types()

def receive(channel):
    '''The next program; in the process that is to run it, and nowhere else, this returns.'''
    while True:
        length, descriptors, _, _ = socket.recv_fds(channel, 8, 4)
        if not length:
            sys.exit()
        order = json.loads(channel.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL))
        if os.fork():  # the second fork makes a parent that waits for the program
            for descriptor in descriptors:
                os.close(descriptor)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        channel.close()
        if pid := os.fork():
            os.write(descriptors[3], b"%d\\n" % pid)
            for descriptor in descriptors[:3]:
                os.close(descriptor)
            os.write(descriptors[3], b"%d\\n" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            os._exit(0)
        for number in (0, 1, 2):
            os.dup2(descriptors[number], number)
        for descriptor in descriptors:
            os.close(descriptor)
        os.chdir(order["cwd"])
        sys.argv[1:] = order["arguments"]
        return order["program"]

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
faulthandler.register(signal.SIGUSR1)
program = compile(receive(socket.socket(fileno=int(sys.argv[1]))), "program", "exec")
exec(program, globals())
"""

PRELUDE = (
    inspect.getsource(crash_points)
    + """
import mmap
from aimstore import Repo, Run
from aimstore.repository import catalog_of, context_of

def counter(path="counter"):
    '''A number in shared memory; see the fixture.'''
    with open(path, "r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
"""
)

STALLED = """
import json
for _ in range(int(sys.argv[1])):
    if not os.fork():
        run = Run(repo=".", experiment="stalled")
        run[...] = {"x": 1, **json.loads(sys.argv[2])}
        for i in range(10):
            run.track(float(i), name="loss")
        run.flush()
        print(run.hash)
        os.kill(os.getpid(), signal.SIGKILL)
    os.wait()
"""


class Process:
    """A Python program in a process of its own, which tells what it does line by line."""

    def __init__(self, channel: socket.socket, program: str, arguments: tuple[object, ...], cwd: Path) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  stop() closes it
        theirs_in, self._in = os.pipe()
        self._out, theirs_out = os.pipe()
        self._state, theirs_state = os.pipe()
        self._buffers = {self._out: b"", self._state: b""}
        order = {"program": program, "arguments": [str(argument) for argument in arguments], "cwd": os.fspath(cwd)}
        data = json.dumps(order).encode()
        descriptors = [theirs_in, theirs_out, self._errors.fileno(), theirs_state]
        socket.send_fds(channel, [len(data).to_bytes(8, "big")], descriptors)
        channel.sendall(data)
        for descriptor in (theirs_in, theirs_out, theirs_state):
            os.close(descriptor)
        self.pid = int(self._line(self._state))
        self._status: int | None = None

    def _line(self, source: int) -> str:
        while b"\n" not in self._buffers[source]:
            if not select.select([source], [], [], TIMEOUT)[0]:
                os.kill(self.pid, signal.SIGUSR1)
                select.select([source], [], [], 2)  # until its threads have said where they are
                raise AssertionError(f"process {self.pid} hangs\n{self.errors()}")
            more = os.read(source, 1 << 16)
            assert more, f"ended after {self._buffers[source]!r}\n{self.errors()}"
            self._buffers[source] += more
        line, _, self._buffers[source] = self._buffers[source].partition(b"\n")
        return line.decode()

    def line(self) -> str:
        """The next line it prints."""
        return self._line(self._out)

    def expect(self, wanted: str) -> None:
        """Wait for it to print a line."""
        line = self.line()
        assert line == wanted, f"{line!r} instead of {wanted!r}\n{self.errors()}"

    def say(self, line: str = "") -> None:
        """Send it a line."""
        os.write(self._in, f"{line}\n".encode())

    def send(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Its exit status, once it has ended; negative for a signal."""
        if self._status is None:
            self._status = int(self._line(self._state))
        return self._status

    def ends(self, status: int = 0) -> list[str]:
        """The rest of the lines it prints, once it has ended with `status`."""
        found = self.wait()
        assert found == status, f"status {found}\n{self.errors()}"
        os.set_blocking(self._out, False)  # a child of its own may keep the pipe open
        rest = self._buffers[self._out]
        try:
            while more := os.read(self._out, 1 << 16):
                rest += more
        except BlockingIOError:
            pass
        return rest.decode().splitlines()

    def errors(self) -> str:
        """What it has written to its error stream so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode()

    def stop(self) -> None:
        """Kill it, if it has not ended."""
        os.close(self._in)
        if self._status is None:
            os.kill(self.pid, signal.SIGKILL)
            select.select([self._state], [], [], TIMEOUT)
        os.close(self._out)
        os.close(self._state)
        self._errors.close()


class Counter:
    """A number in shared memory: what a process that is killed had reached."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clear()

    @property
    def value(self) -> int:
        return int.from_bytes(self.path.read_bytes(), sys.byteorder)

    def clear(self) -> None:
        self.path.write_bytes(bytes(8))


@pytest.fixture(scope="session")
def processes() -> Iterator[socket.socket]:
    """Takes programs to run. Each gets a process of its own, forked from one that has imported everything and opened nothing:
    that takes 10 ms instead of 500. It is as if it had been started, and ends as a program does."""
    ours, theirs = socket.socketpair()
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        [sys.executable, "-c", PROCESSES, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environment
    )
    theirs.close()
    with ours:
        yield ours
    server.wait(TIMEOUT)


@pytest.fixture
def python(tmp_path: Path, processes: socket.socket) -> Iterator[Callable[..., Process]]:
    """Starts a program with arguments, with `tmp_path` as its working directory. It knows what `PRELUDE` defines."""
    started: list[Process] = []

    def start(program: str, *arguments: object) -> Process:
        for earlier in [each for each in started if each._status is not None]:
            earlier.stop()
            started.remove(earlier)
        started.append(Process(processes, PRELUDE + textwrap.dedent(program), arguments, tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def each_moment(python: Callable[..., Process]) -> Callable[..., Iterator[int]]:
    """Runs a program again and again, and kills it at each moment in turn: the program calls `die_at(int(sys.argv[1]))`.

    Gives the number of the moment after each; ends when the program has survived. `first` and `stride` leave moments out."""

    def kill(program: str, *arguments: object, first: int = 1, stride: int = 1) -> Iterator[int]:
        number = first
        while True:
            process = python(program, number, *arguments)
            status = process.wait()
            assert status in (0, -signal.SIGKILL), f"status {status} at moment {number}\n{process.errors()}"
            yield number
            if status == 0:
                return
            number += stride

    return kill


@pytest.fixture
def stall(python: Callable[..., Process]) -> Callable[..., list[str]]:
    """Makes runs in the repository at `tmp_path`, each with x = 1, more parameters and ten losses, whose processes were killed.

    Gives their hashes, in order."""

    def make(count: int = 1, **parameters: Any) -> list[str]:
        return sorted(python(STALLED, count, json.dumps(parameters)).ends())

    return make


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(tmp_path / "counter")


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repo]:
    """An empty repository, at `tmp_path`."""
    made = Repo.init(tmp_path)
    yield made
    made.close()


@pytest.fixture
def values() -> Callable[..., list[tuple[int, Any]]]:
    """The steps and values of a sequence, exactly as stored."""

    def read(run: Run, name: str, context: dict[str, Any] | None = None) -> list[tuple[int, Any]]:
        sequence = run.get_sequence(name, context)
        return [] if sequence is None else [(record.step, record.value) for record in sequence]

    return read
