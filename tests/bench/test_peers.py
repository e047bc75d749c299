"""Other tools: their rows and loops belong together, and one that cannot be installed is left out."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from typing import Any

import pytest

from aimstore.bench.peers import loops, venvs
from aimstore.bench.peers.contestants import Peer
from aimstore.bench.peers.loops.measure import Logging, logging_loops
from aimstore.bench.peers.rows import ROWS, peer_plans
from aimstore.bench.peers.tools import AIMSTORE, PEERS, Tool

LOOPS = Path(loops.__path__[0])
TOOLS = (AIMSTORE, *PEERS)


def functions_of(module: str) -> set[str]:
    tree = ast.parse((LOOPS / f"{module}.py").read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_loop_that_a_tool_has_is_in_its_module_or_shared(tool: Tool) -> None:
    shared = set(logging_loops(lambda folder: Logging(lambda value: None)))
    functions = functions_of(tool.name)
    assert "begin" in functions
    functions |= shared
    assert tool.loops - {"import"} <= functions
    prepared = {loop for row in ROWS if row.loop in tool.loops for loop, _ in row.prepare}
    assert prepared - {"index"} <= functions


@pytest.mark.parametrize("tool", PEERS, ids=lambda tool: tool.name)
def test_loops_of_other_tools_import_nothing_of_aimstore(tool: Tool) -> None:
    for path in (LOOPS / f"{tool.name}.py", LOOPS / "measure.py", LOOPS / "__init__.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not [name for name in names if name.partition(".")[0] == "aimstore"], path.name


def test_every_row_is_done_by_aimstore_and_the_design_s_rows_are_there() -> None:
    assert {row.loop for row in ROWS} <= AIMSTORE.loops
    assert [plan.case.name for plan in peer_plans((), quick=False)] == [row.name for row in ROWS]
    names = {row.name for row in ROWS}
    assert {"track", "latency", "paced", "slow", "read", "memory", "import", "reindex", "query-large"} <= names


def test_a_tool_that_would_take_all_day_makes_a_share_of_the_calls() -> None:
    slow = Tool("slow", "slow", frozenset({"track", "lifecycle"}), "", "", share=0.02)
    peer = Peer(slow, Path("python"))
    [track, lifecycle] = peer_plans(["track", "lifecycle-disk"], quick=False)
    assert peer._arguments(track) == {"calls": 2_000}
    assert peer._arguments(lifecycle) == {"runs": 10, "metrics": 5, "steps": 20}
    [read] = peer_plans(["read"], quick=False)
    assert peer.refusal(read)


@pytest.mark.slow
def test_aimstore_alone_is_measured_by_its_own_loops(invoke: Any, tmp_path: Path) -> None:
    result, page = tmp_path / "a.json", tmp_path / "a.html"
    rows = "track,import,query-unfinished"
    done = invoke("peers", "--peers", "none", "--rows", rows, "--quick", "--json", result, "--html", page)
    content = json.loads(result.read_text())
    assert content["kind"] == "peers"
    assert [outcome["case"] for outcome in content["outcomes"]] == rows.split(",")
    track, imports, unfinished = (outcome["samples"]["aimstore"][0] for outcome in content["outcomes"])
    assert track["bytes_per_unit"] > 0
    assert track["calls_per_s"] > 0
    assert imports["ms"] > 0
    assert unfinished["open_files"] >= 0
    assert "≥ 40×" in done.stdout
    assert "RocksDB's log" in done.stdout
    assert "What is durable when the clock stops" in page.read_text()


# Environments


def python_that(folder: Path, says: str, code: int) -> Path:
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {code}\n")
    path.chmod(0o755)
    return path


def test_a_peer_that_cannot_be_installed_is_said_and_left_out(
    invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = python_that(tmp_path, "ERROR: No matching distribution found for trackio", 1)
    monkeypatch.setattr(venvs, "_interpreter", lambda version: str(broken))
    result = tmp_path / "a.json"
    arguments = ("--peers", "trackio", "--rows", "import", "--quick", "--venvs", tmp_path / "v", "--json", result)
    done = invoke("peers", *arguments)
    assert "trackio is left out: ERROR: No matching distribution found for trackio" in done.stderr
    content = json.loads(result.read_text())
    assert content["contestants"] == ["aimstore"]
    assert content["settings"]["left_out"] == {"trackio": "ERROR: No matching distribution found for trackio"}
    assert list(tmp_path.glob("v/*/complete")) == []


def test_aim_needs_its_version_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(venvs.NotInstalledError, match=r"it needs Python 3\.5, and there is no python3\.5 on the PATH"):
        venvs.python_of(tmp_path / "v", ["aim"], "3.5", lambda text: None)


def test_a_python_without_the_tool_is_said(invoke: Any, tmp_path: Path) -> None:
    broken = python_that(tmp_path, "PackageNotFoundError: No package metadata was found for aim", 1)
    done = invoke("peers", "--peers", "aim", "--aim-python", broken, "--rows", "import", "--quick")
    assert "aim is left out: PackageNotFoundError: No package metadata was found for aim" in done.stderr


def test_an_environment_that_is_complete_is_used_again(tmp_path: Path) -> None:
    (tmp_path / "complete").touch()
    assert venvs.python_of(tmp_path, ["x"], None, pytest.fail) == tmp_path / "bin" / "python"
