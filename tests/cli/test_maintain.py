from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.testing.waiting import WAIT_SECONDS


def test_status_counts_and_says_who_holds_what(invoke: Any, invoke_json: Any, scene: Any) -> None:
    text = invoke("status", "--repo", scene.path)
    assert "5: 3 finalized, 1 active, 1 stalled" in text.stdout
    assert f"process {scene.pid} on " in text.stdout
    assert "aimstore reindex" in text.stderr
    state = invoke_json("status", "--repo", scene.path)
    assert (state["runs"], state["indexed"], state["active"], state["stalled"]) == (
        5, 3, [scene.active], [scene.stalled],
    )  # fmt: skip
    assert state["nbytes"] > 0
    held = {run["hash"]: run["held_by"] for run in state["pending"]}
    assert held[scene.active]["pid"] == scene.pid
    assert held[scene.stalled] is None


def test_status_shows_the_engine_options_in_force(invoke: Any, invoke_json: Any, repo: Repo) -> None:
    invoke("config", "storage.options.block_size", "32KiB")
    assert invoke_json("status")["options"]["block_size"] == 32 << 10
    lines = invoke("status").stdout.splitlines()
    assert "  block_size = 32768" in lines
    assert "  compression = zstd  (default)" in lines


def test_status_of_a_sound_repository_gives_no_hint(invoke: Any, repo: Repo) -> None:
    assert invoke("status").stderr == ""


def test_reindex_finalizes_a_run_whose_process_was_killed(
    invoke: Any, invoke_json: Any, repo: Repo, killed: str
) -> None:
    assert invoke_json("reindex") == {"indexed": [killed], "active": [], "removed": [], "failed": {}}
    assert repo.status().stalled == []
    assert "indexed  0" in invoke("reindex").stdout


def test_reindex_leaves_live_runs_alone(invoke_json: Any, repo: Repo) -> None:
    with Run(repo=repo) as run:
        assert invoke_json("reindex")["active"] == [run.hash]


def test_reindex_of_one_run_by_the_beginning_of_its_hash(
    invoke: Any, invoke_json: Any, repo: Repo, killed: str
) -> None:
    assert invoke_json("reindex", "--run", killed[:8])["indexed"] == [killed]
    invoke("reindex", "--run", "f" * 24, exit=2)


def test_reindex_rebuilds_a_lost_index(invoke: Any, invoke_json: Any, repo: Repo, tmp_path: Path) -> None:
    with Run(repo=repo) as run:
        pass
    repo.close()
    for file in (tmp_path / ".aim" / "meta" / "index").iterdir():
        file.unlink()
    assert invoke_json("reindex", "--rebuild")["indexed"] == [run.hash]
    assert repo.status().indexed == 1
    invoke("reindex", "--rebuild", "--run", run.hash, exit=2)


def test_reindex_fails_where_a_run_could_not_be_indexed(
    invoke: Any, invoke_json: Any, repo: Repo, killed: str, tmp_path: Path
) -> None:
    for file in (tmp_path / ".aim" / "meta" / "chunks" / killed).glob("*.log"):
        file.write_bytes(b"\x00" * 10 + b"not a log" * 1000)
    for file in (tmp_path / ".aim" / "meta" / "chunks" / killed).glob("MANIFEST*"):
        file.write_bytes(b"neither is this a manifest")
    assert list(invoke_json("reindex", exit=1)["failed"]) == [killed]
    result = invoke("reindex", exit=1)
    assert "failed   1" in result.stdout
    assert f"run {killed} is not indexed: " in result.stderr


def test_watching_indexes_what_dies_until_it_is_interrupted(repo: Repo, killed: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from aimstore.cli import main; main()",
        "reindex",
        "--watch",
        "--json",
        "--interval",
        "0.01",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        found = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_SECONDS) == 0
        assert found == {"run": killed, "state": "indexed", "reason": None}
        assert process.stdout.read() == ""
        assert process.stderr.read() == f"watching {repo.path}; Ctrl-C ends it\n"
    assert repo.status().stalled == []


def test_watching_ends_by_sigterm_too(repo: Repo, killed: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from aimstore.cli import main; main()", "reindex", "--watch"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"indexed  {killed}\n"
        process.terminate()
        assert process.wait(WAIT_SECONDS) == -signal.SIGTERM
    assert repo.status().stalled == []


@pytest.mark.parametrize(
    "arguments",
    [("--watch", "--rebuild"), ("--watch", "--run", "f" * 24), ("--interval", "5"), ("--watch", "--interval", "0")],
)
def test_options_that_do_not_go_together_are_refused(invoke: Any, repo: Repo, arguments: tuple[str, ...]) -> None:
    invoke("reindex", *arguments, exit=2)
