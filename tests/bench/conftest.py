"""Reports made up, contestants that do nothing, and workloads of a plug-in."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aimstore.bench.outcomes import Outcome, Report
from aimstore.bench.processes import FailedError
from aimstore.bench.runner import Plan
from aimstore.bench.workload import Better, Case, Figure
from aimstore.cli import main
from aimstore.plugins import PluginManager, WorkloadSpec, hookimpl

CALLS = Figure("calls_per_s", "calls", "1/s", Better.MORE)
TIME = Figure("ms", "time", "ms")

WORKLOADS = '''
import errno, os, signal, time
from pathlib import Path
from aimstore.bench import Better, Case, Figure, Workload

class Plain(Workload):
    """Says how often it ran before, by a file beside the repository."""
    name = "plain"
    figures = (Figure("ms", "time", "ms"), Figure("runs", "runs", "", Better.MORE))
    sizes = {"runs": 3, "share": 0.5, "kind": "a", "steps": (1, 2)}
    quick = {"runs": 1}
    def run(self, job):
        return {"ms": 5.0, "runs": job.sizes["runs"]}

class Fails(Plain):
    """Fails with one of the engines, from the second repetition on."""
    name = "fails"
    def run(self, job):
        seen = Path(os.environ["SEEN"]) / job.backend
        number = int(seen.read_text()) + 1 if seen.exists() else 1
        seen.write_text(str(number))
        if job.backend == "lmdb" and number > 1:
            if job.sizes["kind"] == "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.folder / "data"))
            if job.sizes["kind"] == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("half-way")
        return {"ms": float(number)}

class Waits(Plain):
    """The first case ends; the second waits until it is ended, and has a child that waits too."""
    name = "waits"
    def cases(self, sizes):
        return (Case("one", "one"), Case("two", "two"))
    def run(self, job):
        if job.case == "two":
            import subprocess, sys
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(os.environ["SEEN"], "pids").write_text(f"{os.getpid()} {child.pid}")
            time.sleep(600)
        return {"ms": 1.0}

no_workload = dict
'''

Invoke = Callable[..., Result]


@pytest.fixture
def calls() -> Figure:
    """A figure of which more is better."""
    return CALLS


@pytest.fixture
def milliseconds() -> Figure:
    """A figure of which less is better."""
    return TIME


@pytest.fixture
def make_report() -> Callable[..., Report]:
    """`make_report(rocksdb=[1.0, 2.0], lmdb=[3.0])` has these samples of `CALLS` in one case; `extra` are more outcomes."""

    def make(
        *extra: Outcome,
        figure: Figure = CALLS,
        environment: Mapping[str, Any] | None = None,
        **samples: Sequence[float],
    ) -> Report:
        found = {name: [{figure.key: value} for value in values] for name, values in samples.items()}
        outcome = Outcome("track", "one", "one sequence", (figure,), {"calls": 10}, samples=found)
        return Report(
            "engines", list(samples), dict(environment or {}), {"repeat": 3}, [outcome, *extra], notes=["a note"]
        )

    return make


class Actor:
    """A contestant that notes what it is asked."""

    def __init__(self, name: str, log: list[str], fails_at: int = -1, error: BaseException | None = None) -> None:
        self.name = name
        self.log = log
        self.fails_at = fails_at
        self.error = error or FailedError("no more")
        self.calls = 0

    def refusal(self, plan: Plan) -> str:
        return "it is too small" if plan.sizes.get("large") and self.name == "b" else ""

    def prepare(self, plan: Plan, folder: Path) -> None:
        self.log.append(f"prepare {self.name} {plan.prepared}")
        if plan.prepared == "impossible":
            raise FailedError(f"no room in {folder}")
        folder.mkdir()

    def repeat(self, plan: Plan, folder: Path) -> dict[str, float]:
        self.log.append(f"{self.name} {plan.case.name}")
        self.calls += 1
        if self.calls == self.fails_at:
            raise self.error
        if not plan.prepared:
            assert not folder.exists()
            folder.mkdir()
            (folder / "data").write_bytes(bytes(3_000))
        return {"ms": float(self.calls), "before_bytes": 1_000, "units": 100, "written_bytes": 8_000}


@pytest.fixture
def actor() -> type[Actor]:
    """See `Actor`."""
    return Actor


@pytest.fixture
def plan() -> Callable[..., Plan]:
    """A plan of one figure."""

    def make(name: str = "one", **arguments: Any) -> Plan:
        return Plan("work", Case(name, name), (TIME,), **arguments)

    return make


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`invoke("track", "--quick")` is `aimstore bench track --quick`; `exit=2` is the exit code that is expected."""
    monkeypatch.delenv("AIMSTORE_DEBUG", raising=False)

    def run(*args: object, exit: int = 0) -> Result:  # noqa: A002
        result = CliRunner().invoke(main, ["bench", *map(str, args)], prog_name="aimstore")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == exit, result.output
        return result

    return run


class _Plugin:
    @hookimpl
    def aimstore_bench_workloads(self) -> list[WorkloadSpec]:
        return [
            WorkloadSpec(name=name, summary="s", factory=f"lab_workloads:{factory}")
            for name, factory in (
                ("plain", "Plain"),
                ("fails", "Fails"),
                ("waits", "Waits"),
                ("none", "no_workload"),
                ("gone", "Gone"),
            )
        ]


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Workloads of a plug-in, for this process and those it starts; the folder where they leave notes."""
    folder = tmp_path / "plugin"
    folder.mkdir()
    folder.joinpath("lab_workloads.py").write_text(WORKLOADS)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH")))))
    monkeypatch.setenv("SEEN", str(folder))
    manager = PluginManager()
    manager.register(_Plugin(), "lab")
    monkeypatch.setattr("aimstore.cli.bench.commands.plugins", lambda: manager)
    monkeypatch.delitem(sys.modules, "lab_workloads", raising=False)
    return folder
