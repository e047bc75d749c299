"""Processes of benchmarks: each in a session of its own, so that Ctrl-C reaches only the command, which ends the others."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

TERMINATE_SECONDS: Final = 5.0
"""Seconds that a process has between SIGTERM and SIGKILL."""


class FailedError(Exception):
    """A process failed; the message is its reason."""


def answer_of(
    command: Sequence[str | Path],
    *,
    order: str = "",
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run a command whose last line of output is a JSON object, and return that.

    An exception while waiting ends the process with all that it has started.

    Raises:
        FailedError: it failed, or its output is something else.
    """
    with subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=None if environment is None else {**os.environ, **environment},
        start_new_session=True,
    ) as process:
        try:
            output, errors = process.communicate(order)
        finally:
            end(process)
    answer = _answer(output)
    if answer is not None and "failure" in answer:
        raise FailedError(answer["failure"])
    if process.returncode or answer is None:
        raise FailedError(_reason(process.returncode, errors))
    return answer


def _answer(output: str) -> dict[str, Any] | None:
    lines = output.strip().splitlines()
    with suppress(json.JSONDecodeError):
        found = json.loads(lines[-1] if lines else "")
        return found if isinstance(found, dict) else None
    return None


def _reason(code: int, errors: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name}" + (", for want of memory perhaps" if name == "SIGKILL" else "")
    said = [line.strip() for line in errors.splitlines() if line.strip()]
    return said[-1] if said else f"its process ended with exit code {code} and said nothing"


def end(process: subprocess.Popen[str]) -> None:
    """End a process that leads a session, and what it has started: by SIGTERM, then by SIGKILL."""
    try:
        if process.poll() is None:
            _signal(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(TERMINATE_SECONDS)
    finally:  # a second Ctrl-C ends the wait
        _signal(process.pid, signal.SIGKILL)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
