"""The kit fails engines that are wrong, in the parts where they are wrong, and passes one that is right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from aimstore.testing.report import Result, run_file
from aimstore.testing.waiting import WAIT_VARIABLE

ENGINES = Path(__file__).parent / "engines"


def _expected() -> list[tuple[str, str]]:
    """Engines, and the parts of the kit that are to fail them, as `suites.py` has it; its imports are of another process."""
    for node in ast.parse((ENGINES / "suites.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            return [
                (ast.literal_eval(engine), part.id)
                for engine, parts in zip(node.value.keys, node.value.values, strict=True)
                for part in parts.elts
            ]
    raise AssertionError("suites.py has no FAULTS")


@pytest.fixture(scope="module")
def results() -> tuple[Result, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WAIT_VARIABLE, "5")
        return run_file(ENGINES / "suites.py")


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "part"), _expected())
def test_a_fault_is_found(results: tuple[Result, ...], engine: str, part: str) -> None:
    failed = [result for result in results if result.suite == f"Test{engine}" and result.outcome == "failed"]
    assert part in {result.part for result in failed}, [result.test for result in failed]


def test_an_engine_that_is_right_passes(tmp_path: Path) -> None:
    suite = f"""
import sys
sys.path.insert(0, {str(ENGINES)!r})
from aimstore.testing import BackendConformance

class TestLog(BackendConformance):
    factory = "log_engine:LogBackend"
"""
    file = tmp_path / "test_log.py"
    file.write_text(suite)
    outcomes = {result.test: result for result in run_file(file)}
    assert len(outcomes) > 200
    assert [result.details for result in outcomes.values() if result.outcome == "failed"] == []
    skipped = {result.operation for result in outcomes.values() if result.outcome == "skipped"}
    assert skipped == {"oracle"}
