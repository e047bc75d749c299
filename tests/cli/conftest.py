"""Repositories in the states that commands tell apart, and a way to run the program."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aimstore import Repo, Run
from aimstore.cli import main

UNENDED = """
import os, signal, sys
from aimstore import Run
run = Run(repo=sys.argv[1], experiment="unended", tags=["odd"])
run["hparams"] = {"lr": 0.5}
run.track(1.0, name="loss")
run.flush()
print(run.hash, flush=True)
if sys.argv[2] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.read()
"""

Invoke = Callable[..., Result]


@dataclass(frozen=True)
class Scene:
    """A repository with runs in every state.

    Attributes:
        path: the folder that holds `.aim`.
        first, second: finalized runs; `first` is the older one.
        archived, stalled, active: hashes.
        pid: of the process that writes `active`.
    """

    path: Path
    first: str
    second: str
    archived: str
    stalled: str
    active: str
    pid: int


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`invoke("runs", "ls")` runs the program in this process; `exit=2` is the exit code that is expected."""
    monkeypatch.delenv("AIMSTORE_DEBUG", raising=False)

    def run(*args: object, exit: int = 0, input: str | None = None) -> Result:  # noqa: A002
        result = CliRunner().invoke(main, [str(arg) for arg in args], input=input, prog_name="aimstore")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit, result.output
        return result

    return run


@pytest.fixture
def invoke_json(invoke: Invoke) -> Callable[..., Any]:
    """The same with `--json`, giving what stdout says."""

    def run(*args: object, exit: int = 0) -> Any:  # noqa: A002
        return json.loads(invoke(*args, "--json", exit=exit).stdout, parse_constant=pytest.fail)

    return run


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """An empty repository in the working directory."""
    monkeypatch.chdir(tmp_path)
    return Repo.init(tmp_path)


def log_run(repo: Repo, experiment: str, **properties: Any) -> str:
    with Run(repo=repo, experiment=experiment, **properties) as run:
        run["hparams"] = {"lr": 0.1 if experiment == "first" else 0.001, "opt": {"name": "adam"}, "limit": math.inf}
        for step in range(10):
            run.track(1 / (step + 1), name="loss", step=step, context={"subset": "train"})
        run.track(math.nan, name="odd")
        run.track("hello", name="notes")
    return run.hash


def unended(path: Path, how: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", UNENDED, str(path), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.fixture
def killed(repo: Repo) -> str:
    """A run in `repo` whose process was killed."""
    process, run = unended(repo.path, "killed")
    process.communicate()
    return run


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    path = tmp_path_factory.mktemp("scene")
    with_runs = Repo.init(path)
    first = log_run(with_runs, "first", name="try one", tags=["good", "fast"], description="the first of all")
    second = log_run(with_runs, "second", name="try two")
    archived = log_run(with_runs, "second", name="old")
    Run(archived, repo=with_runs, read_only=True).archived = True
    dead, stalled = unended(path, "killed")
    dead.communicate()
    alive, active = unended(path, "alive")
    yield Scene(path, first, second, archived, stalled, active, alive.pid)
    alive.communicate()
    with_runs.close()
