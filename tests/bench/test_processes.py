"""Processes whose last line is an answer."""

from __future__ import annotations

import sys

import pytest

from aimstore.bench.processes import FailedError, answer_of


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_last_line_is_the_answer() -> None:
    code = "import sys, json; print('noise'); print(json.dumps({'got': sys.stdin.read()}))"
    assert answer_of(python(code), order="order") == {"got": "order"}
    assert answer_of(python("print('{}')")) == {}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("import os; os.kill(os.getpid(), 9)", "its process was ended by SIGKILL, for want of memory perhaps"),
        ("import os; os.kill(os.getpid(), 15)", "its process was ended by SIGTERM"),
        ("raise SystemExit(3)", "its process ended with exit code 3 and said nothing"),
        ('print(\'{"failure": "no disk"}\')', "no disk"),
        ("print('no answer')", "its process ended with exit code 0 and said nothing"),
    ],
)
def test_a_process_that_fails_says_why(code: str, reason: str) -> None:
    with pytest.raises(FailedError) as caught:
        answer_of(python(code))
    assert str(caught.value) == reason
