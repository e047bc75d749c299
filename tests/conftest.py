"""Repositories of their own for each test, and programs in processes of their own that use them."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run

TIMEOUT = 120
"""Seconds after which a process counts as hanging."""

ROUNDS = """
import os, sys
import aimstore_rocksdb.container, aimstore.metadata.store, aimstore.sequences.writer, aimstore.sequences.sequence
import aimstore.query.engine, filelock, tomlkit
from aimstore import Repo, Run
{program}
for line in iter(sys.stdin.readline, ""):
    pid = os.fork()
    if not pid:
        break
    print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
else:
    sys.exit()
print("pid", os.getpid(), flush=True)
work(*line.rstrip("\\n").split("\\t"))
"""

MOMENTS = """
import os, sys, signal
from aimstore.abc import Container

WATCHED = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "sqlite3.connect", "fcntl.flock")
moment = -10**9

def pass_moment():
    global moment
    moment += 1
    if moment == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def on_event(event, arguments):
    if event in WATCHED:
        pass_moment()

def passing(method):
    def call(*arguments, **options):
        pass_moment()
        result = method(*arguments, **options)
        pass_moment()
        return result
    return call

def die_at(number):
    '''Kill this process just before its `number`-th step, counted from now, that changes a file.'''
    global moment
    moment = -number
    sys.addaudithook(on_event)
    for name in ("write", "flush", "close"):
        setattr(Container, name, passing(getattr(Container, name)))
"""


class Process:
    """A Python program in a process of its own, which tells what it does line by line.

    Attributes:
        status: its exit status, once it has ended: that of `subprocess`, negative for a signal.
    """

    def __init__(self, program: str, *arguments: object, cwd: Path, **options: Any) -> None:
        self._errors = tempfile.TemporaryFile()
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=cwd,
            env=environment,
            **options,
        )
        self.pid = self._process.pid

    def line(self) -> str:
        """The next line it prints."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        assert line.endswith("\n"), f"ended after {line!r}\n{self.errors()}"
        return line[:-1]

    def expect(self, wanted: str) -> None:
        """Wait for it to print a line."""
        line = self.line()
        assert line == wanted, f"{line!r} instead of {wanted!r}\n{self.errors()}"

    def say(self, line: str = "") -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def send(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        self._process.communicate(timeout=TIMEOUT)
        return self._process.returncode

    def ends(self, status: int = 0) -> list[str]:
        """What else it prints, until it ends with `status`."""
        output, _ = self._process.communicate(timeout=TIMEOUT)
        assert self._process.returncode == status, f"status {self._process.returncode}\n{self.errors()}"
        return output.decode().splitlines()

    def errors(self) -> str:
        """What it has written to its error stream so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode()

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()


class Round:
    """One call of `work` in a fresh process, see `Rounds`."""

    def __init__(self, process: Process, arguments: tuple[object, ...]) -> None:
        self._process = process
        self.lines: list[str] = []
        process.say("\t".join(map(str, arguments)))
        self.pid = int(self.expect("pid"))

    def expect(self, wanted: str) -> str:
        """Wait for a line that begins with the word `wanted`; the rest of it."""
        while True:
            line = self._process.line()
            word, _, rest = line.partition(" ")
            if word == wanted:
                return rest
            assert word != "exit", f"{line} before {wanted!r}\n{self._process.errors()}"
            self.lines.append(line)

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """The exit status."""
        while True:
            line = self._process.line()
            word, _, rest = line.partition(" ")
            if word == "exit":
                return int(rest)
            self.lines.append(line)

    def ends(self, status: int = 0) -> list[str]:
        """All lines but those waited for, once it has ended with `status`."""
        found = self.wait()
        assert found == status, f"status {found}\n{self._process.errors()}"
        return self.lines


class Rounds:
    """Calls the function `work` of a program again and again, each time in a fresh process.

    The processes are forked from one that has imported everything and opened nothing, which takes 5 ms instead of 500; they
    end as a program does that comes to its end.
    """

    def __init__(self, process: Process) -> None:
        self._process = process

    def start(self, *arguments: object) -> Round:
        """Call `work` with these arguments, as text."""
        return Round(self._process, arguments)

    def errors(self) -> str:
        return self._process.errors()


class Counter:
    """A number in shared memory: what a process that is killed had reached."""

    PROGRAM = """
import mmap
def counter(path):
    with open(path, "r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
"""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.write_bytes(bytes(8))

    @property
    def value(self) -> int:
        with self.path.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
            return int.from_bytes(shared[:8], sys.byteorder)

    def clear(self) -> None:
        self.path.write_bytes(bytes(8))


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[Repo]:
    """An empty repository, at `tmp_path`."""
    made = Repo.init(tmp_path)
    yield made
    made.close()


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Starts a program, with `tmp_path` as its working directory."""
    started: list[Process] = []

    def start(program: str, *arguments: object, **options: Any) -> Process:
        started.append(Process(program, *arguments, **{"cwd": tmp_path, **options}))
        return started[-1]

    yield start
    for process in started:
        process.stop()


@pytest.fixture
def rounds(python: Callable[..., Process]) -> Callable[[str], Rounds]:
    """Starts what calls the `work` of a program, in `tmp_path`. It knows `Repo`, `Run`, `counter(path)` and `die_at(number)`."""

    def start(program: str) -> Rounds:
        prelude = Counter.PROGRAM + MOMENTS + textwrap.dedent(program)
        return Rounds(python(ROUNDS.replace("{program}", prelude)))

    return start


@pytest.fixture
def each_moment(rounds: Callable[[str], Rounds]) -> Callable[..., Iterator[int]]:
    """Kills `work(number, …)` at each of its moments in turn, and gives the number after each; ends when it has survived."""

    def kill(program: str, *arguments: object, stride: int = 1) -> Iterator[int]:
        started = rounds(program)
        number = 1
        while True:
            status = started.start(number, *arguments).wait()
            assert status in (0, -signal.SIGKILL), f"status {status} at moment {number}\n{started.errors()}"
            yield number
            if status == 0:
                return
            number += stride

    return kill


@pytest.fixture
def counter(tmp_path: Path) -> Counter:
    return Counter(tmp_path / "counter")


@pytest.fixture
def values() -> Callable[..., list[tuple[int, Any]]]:
    """The steps and values of a sequence, exactly as stored."""

    def read(run: Run, name: str, context: dict[str, Any] | None = None) -> list[tuple[int, Any]]:
        sequence = run.get_sequence(name, context)
        return [] if sequence is None else [(record.step, record.value) for record in sequence]

    return read
