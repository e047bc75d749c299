"""Running the kit by name: the report, and the command that shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from aimstore.abc import Capability
from aimstore.cli import main
from aimstore.plugins import plugins
from aimstore.testing import command, report
from aimstore.testing.report import Report, Result, run_file


def _result(test: str, outcome: report.Outcome, capabilities: tuple[str, ...] = ()) -> Result:
    return Result("TestConformance", test, "ReadTests", "read", capabilities, outcome, 0.1, f"why {test} is {outcome}")


RESULTS = (
    _result("test_a", "passed"),
    _result("test_b", "passed", ("persistent",)),
    _result("test_c", "skipped", ("multi_process",)),
)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """What the tests of the kit come to; they are not run."""
    results = list(RESULTS)
    monkeypatch.setattr(report, "run_file", lambda file, advance: tuple(results))
    return results


def test_results_are_grouped(found: list[Result]) -> None:
    made = report.run("rocksdb")
    assert made.conforms
    assert made.capability == Capability(True, True, True, True)
    assert made.by_operation() == {"read": RESULTS}
    assert made.by_capability()["persistent"] == RESULTS[1:2]
    assert made.by_capability()["max_key_size"] == ()


def test_a_failure_or_nothing_at_all_is_no_conformance() -> None:
    assert not Report("x", Capability(), (*RESULTS, _result("test_d", "failed"))).conforms
    assert not Report("x", Capability(), ()).conforms
    assert not Report("x", Capability(), RESULTS[2:]).conforms


def test_the_command_shows_operations_and_capabilities(found: list[Result]) -> None:
    shown = CliRunner().invoke(main, ["conformance", "rocksdb"])
    assert shown.exit_code == 0
    lines = [line.split() for line in shown.output.splitlines()]
    assert ["rocksdb", "conforms"] in lines
    assert ["read", "2", "0", "1"] in lines
    assert ["persistent", "yes", "1", "passed,", "0", "failed"] in lines
    assert ["max_key_size", "no", "limit", "-"] in lines


def test_the_command_shows_failures_and_ends_with_one(found: list[Result]) -> None:
    found.append(_result("test_d", "failed"))
    shown = CliRunner().invoke(main, ["conformance", "rocksdb"])
    assert shown.exit_code == 1
    assert "rocksdb DOES NOT CONFORM" in shown.output
    assert "FAILED read: test_d\n    why test_d is failed" in shown.output


def test_the_command_writes_json(found: list[Result]) -> None:
    shown = CliRunner().invoke(main, ["conformance", "rocksdb", "--json"])
    data = json.loads(shown.output)
    assert data["conforms"] is True
    assert data["capability"]["persistent"] is True
    assert [each["test"] for each in data["results"]] == ["test_a", "test_b", "test_c"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "no backend named 'nothing'"),
        (["rocksdb", "--option", "nothing=1"], "rocksdb has no option 'nothing'"),
        (["rocksdb", "--option", "nothing"], "is not NAME=VALUE"),
    ],
)
def test_mistakes_end_with_two(found: list[Result], arguments: list[str], said: str) -> None:
    shown = CliRunner().invoke(main, ["conformance", *arguments])
    assert shown.exit_code == 2
    assert said in shown.output


def test_the_command_is_registered_as_any_other() -> None:
    spec = plugins().cli_commands()["conformance"]
    assert plugins().load(spec) is command.conformance
    assert spec.extra == "testing"


def test_a_file_that_cannot_be_run_says_why(tmp_path: Path) -> None:
    file = tmp_path / "test_broken.py"
    file.write_text("import nothing_of_the_kind\n")
    with pytest.raises(report.PluginError, match="nothing_of_the_kind"):
        run_file(file)


def test_outcomes_skips_and_errors_are_recorded(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(
        """
import pytest
from aimstore.testing import Harness, needs

class TestSome(Harness):
    factory = "aimstore.testing.source:nothing"

    @pytest.fixture
    def fails_late(self):
        yield
        raise ValueError("too late")

    def test_good(self): pass
    def test_bad(self): assert 1 == 2
    def test_late(self, fails_late): pass
    def test_skipped(self): pytest.skip("not today")
    @needs("persistent")
    def test_unknown(self): pass
"""
    )
    calls: list[tuple[int, int]] = []
    results = {result.test: result for result in run_file(file, advance=lambda *call: calls.append(call))}
    assert {name: result.outcome for name, result in results.items()} == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_late": "failed",
        "test_skipped": "skipped",
        "test_unknown": "failed",
    }
    assert "too late" in results["test_late"].details
    assert results["test_skipped"].details == "not today"
    assert results["test_unknown"].capabilities == ("persistent",)
    assert calls[-1] == (5, 5)
