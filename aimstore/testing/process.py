"""Other processes, which open their own instance of the backend and exchange lines with the test.

A task is a function of a module, `task(backend, peer, *arguments)`, that a new interpreter imports by its name. Its
arguments, and the values that both sides send, are encoded as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any, Concatenate, Final, ParamSpec, TypeAlias

from aimstore.abc import Backend
from aimstore.testing.source import Source, resolve
from aimstore.testing.waiting import WAIT_SECONDS

_P = ParamSpec("_P")


class Peer:
    """The test, as seen by a task."""

    def __init__(self, hear: IO[str], say: IO[str]) -> None:
        self._hear = hear
        self._say = say

    def say(self, value: Any = None) -> None:
        """Send the test a value."""
        self._say.write(json.dumps(value) + "\n")
        self._say.flush()

    def hear(self) -> Any:
        """Receive the next value from the test. Ends this process if the test has ended."""
        line = self._hear.readline()
        if not line:
            raise SystemExit(0)
        return json.loads(line)


Task: TypeAlias = Callable[Concatenate[Backend, Peer, _P], None]


class Process:
    """A process that runs a task. The code that starts it must stop it.

    Args:
        source: the backend that the process opens.
        task: a function that can be imported by its name.
        arguments: arguments of the task, of JSON types.
    """

    def __init__(self, source: Source, task: Task[...], *arguments: Any) -> None:
        request = json.dumps([sys.path, source.dumps(), f"{task.__module__}:{task.__qualname__}", arguments])
        self._task = task.__name__
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  a pipe could fill up; closed by stop()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, request],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.pid = self._process.pid

    def hear(self) -> Any:
        """Receive the next value from the process."""
        assert self._process.stdout is not None
        with _Alarm(self._process):
            line = self._process.stdout.readline()
        assert line, f"the process of {self._task} ended, or was silent for {WAIT_SECONDS:.0f} s:\n{self.errors()}"
        return json.loads(line)

    def say(self, value: Any = None) -> None:
        """Send the process a value."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """Send SIGKILL, and wait until the process ends."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(WAIT_SECONDS)

    def ends(self) -> None:
        """Close the input of the process, and wait until it ends without an error."""
        try:
            self._process.communicate(timeout=WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the process of {self._task} does not end") from None
        assert self._process.returncode == 0, f"the process of {self._task} failed:\n{self.errors()}"

    def errors(self) -> str:
        """The text that the process has written to its error stream so far."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode(errors="replace")

    def stop(self) -> None:
        """Kill the process if it still runs, and release its resources."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()


class _Alarm:
    """Kills a process that stays silent for too long."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._timer = threading.Timer(WAIT_SECONDS, process.kill)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


_PROGRAM: Final = """
import json, sys
path, source, task, arguments = json.loads(sys.argv[1])
sys.path[:] = path
from aimstore.testing.process import main
main(source, task, arguments)
"""


def main(source: str, task: str, arguments: list[Any]) -> None:
    """Run a task: the main function of the other process."""
    peer = Peer(sys.stdin, os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)  # redirect an engine's output to the error stream
    with Source.loads(source).open() as backend:
        resolve(task)(backend, peer, *arguments)
