"""Runs the suite for a backend in another process, and reports the results by operation and capability."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import pytest

from aimstore.abc import Capability
from aimstore.errors import PluginError
from aimstore.plugins import plugins
from aimstore.testing import recorder

Outcome: TypeAlias = Literal["passed", "failed", "skipped"]

Advance: TypeAlias = Callable[[int, int], None]
"""Called with the number of finished tests and the number of all tests."""

_SUITE: Final = """
from aimstore.testing import BackendConformance

class TestConformance(BackendConformance):
    backend_name = {name!r}
    options = {options!r}
    examples = {examples!r}
"""

_SETTINGS: Final = "[pytest]\n"
"""Keeps out the settings of the surrounding project."""


@dataclass(frozen=True)
class Result:
    """The result of one test.

    Attributes:
        suite: name of the class that ran the test.
        test: name of the test, with its parameters.
        part: name of the kit's class that defines the test.
        operation: the operation that the test is about.
        capabilities: capabilities that the test is about or needs.
        outcome: "passed", "failed" or "skipped".
        seconds: duration.
        details: the traceback of a failure, or the reason of a skip.
    """

    suite: str
    test: str
    part: str
    operation: str
    capabilities: tuple[str, ...]
    outcome: Outcome
    seconds: float
    details: str


@dataclass(frozen=True)
class Report:
    """The results of the suite for one backend.

    Attributes:
        backend: name of the backend.
        capability: the capabilities that the backend declares.
        results: one result for each test, in the order in which the tests ran.
    """

    backend: str
    capability: Capability
    results: tuple[Result, ...]

    @property
    def conforms(self) -> bool:
        """Whether no test failed, and at least one passed."""
        return not self.failures and any(result.outcome == "passed" for result in self.results)

    @property
    def failures(self) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.outcome == "failed")

    def by_operation(self) -> dict[str, tuple[Result, ...]]:
        """The results by operation, in the order in which the tests ran."""
        operations = dict.fromkeys(result.operation for result in self.results)
        return {name: tuple(each for each in self.results if each.operation == name) for name in operations}

    def by_capability(self) -> dict[str, tuple[Result, ...]]:
        """The results of the tests about each capability, whether declared or not."""
        names = [field.name for field in fields(Capability)]
        return {name: tuple(each for each in self.results if name in each.capabilities) for name in names}


def run(
    backend_name: str,
    *,
    options: Mapping[str, Any] | None = None,
    examples: int = 20,
    advance: Advance | None = None,
) -> Report:
    """Run all tests for a registered backend.

    Args:
        backend_name: the name under which a plug-in registers the backend.
        options: the backend's options, by name.
        examples: number of histories that the state machine tries.
        advance: called as tests finish.

    Raises:
        PluginError: there is no such backend, its library is missing, or the tests cannot be run.
        ConfigError: an option does not exist, or has an invalid value.
    """
    spec = plugins().backend(backend_name)
    with tempfile.TemporaryDirectory(prefix="aimstore-conformance-") as name:
        file = Path(name) / "test_conformance.py"
        file.write_text(_SUITE.format(name=backend_name, options=dict(options or {}), examples=examples))
        with plugins().make_backend(spec, Path(name) / ".aim", options or {}) as backend:
            capability = backend.capability
        results = run_file(file, advance=advance)
    return Report(backend_name, capability, results)


def run_file(file: Path, *, advance: Advance | None = None) -> tuple[Result, ...]:
    """Run the suites in a file of tests.

    Raises:
        PluginError: the tests cannot be run; the message holds pytest's output.
    """
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="aimstore-conformance-") as name, tempfile.TemporaryFile() as output:
        settings = Path(name) / "pytest.ini"
        settings.write_text(_SETTINGS)
        command = [sys.executable, "-m", "pytest", "-p", recorder.__name__, f"{recorder.OPTION}=/dev/fd/{writing}"]
        command += ["-p", "no:cacheprovider", "-q", "-c", str(settings), f"--basetemp={name}/tests", str(file)]
        # in CI, pytest would show every difference in full, which takes minutes for a long list
        environment = {key: value for key, value in os.environ.items() if key not in ("CI", "BUILD_NUMBER")}
        process = subprocess.Popen(
            command, stdout=output, stderr=output, pass_fds=(writing,), cwd=name, env=environment
        )
        os.close(writing)
        try:
            with os.fdopen(reading) as lines:
                results = _collect(lines, advance)
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            output.seek(0)
            said = output.read().decode(errors="replace")[-4000:]
            raise PluginError(f"the conformance tests cannot be run; pytest says:\n{said}")
    return results


def _collect(lines: Any, advance: Advance | None) -> tuple[Result, ...]:
    collected = 0
    results: dict[tuple[str, str], Result] = {}
    for line in lines:
        facts = json.loads(line)
        if "collected" in facts:
            collected = facts["collected"]
            continue
        result = Result(**(facts | {"capabilities": tuple(facts["capabilities"])}))
        place = result.suite, result.test
        if place not in results or results[place].outcome == "passed":  # its teardown may fail too
            results[place] = result
        if advance is not None:
            advance(len(results), collected)
    return tuple(results.values())
