from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.abc import Mode
from aimstore.repository import context_of
from aimstore.types import seqs_path


def test_a_repository_is_copied_to_another_engine_and_back(
    invoke: Any, invoke_json: Any, scene: Any, tmp_path: Path
) -> None:
    found = invoke_json("convert", scene.path, tmp_path / "lmdb", "--backend", "lmdb", "--skip-active")
    copied = sorted([scene.first, scene.second, scene.archived, scene.stalled])
    assert found == {
        "path": str(tmp_path / "lmdb" / ".aim"),
        "copied": copied,
        "present": [],
        "stalled": [scene.stalled],
        "skipped": [scene.active],
        "failed": {},
    }
    text = invoke("convert", tmp_path / "lmdb", tmp_path / "back", "--backend", "rocksdb")
    assert f"repository  {tmp_path}/back/.aim (rocksdb)" in text.stdout
    assert "copied      4" in text.stdout
    assert f"stalled     1: {scene.stalled}" in text.stdout
    assert "present" not in text.stdout
    assert f"aimstore reindex --repo {tmp_path}/back" in text.stderr
    shown = [invoke_json("runs", "show", scene.first, "--repo", path) for path in (scene.path, tmp_path / "back")]
    assert shown[0] == shown[1]
    assert invoke_json("status", "--repo", tmp_path / "back")["indexed"] == 3


def test_live_runs_are_named_with_who_writes_them(invoke: Any, scene: Any, tmp_path: Path) -> None:
    text = invoke("convert", scene.path, tmp_path / "new", "--backend", "lmdb", exit=1).stderr
    assert f"{scene.active}  by process {scene.pid} on " in text
    assert "--skip-active" in text
    assert not (tmp_path / "new").exists()


def test_options_of_the_engine_are_those_of_the_copy(invoke: Any, repo: Repo, tmp_path: Path) -> None:
    convert = ["convert", ".", "new", "--backend", "lmdb"]
    assert "did you mean 'map_size'" in invoke(*convert, "--option", "mapsize=4GiB", exit=2).stderr
    assert "not KEY=VALUE" in invoke(*convert, "--option", "map_size", exit=2).stderr
    assert not (tmp_path / "new").exists()
    invoke(*convert, "--option", "map_size=64MiB")
    assert Repo("new").config.options == {"map_size": "64MiB"}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere", "new", "--backend", "lmdb"], "no repository at"),
        ([".", ".", "--backend", "lmdb"], "choose another folder"),
        ([".", "new", "--backend", "lmbd"], "lmdb"),
        ([".", "new", "--backend", "memory"], "keeps nothing"),
        ([".", "new"], "--backend"),
        (["."], "DST"),
    ],
)
def test_mistakes_make_nothing(invoke: Any, repo: Repo, tmp_path: Path, args: list[str], message: str) -> None:
    assert message in invoke("convert", *args, exit=2).stderr
    assert not (tmp_path / "new").exists()


def test_a_run_that_cannot_be_copied_is_listed_and_the_exit_code_is_1(invoke: Any, repo: Repo) -> None:
    with Run(repo=repo) as run:
        run["x" * 600] = 1
    result = invoke("convert", ".", "new", "--backend", "lmdb", exit=1)
    assert "failed      1" in result.stdout
    assert f"run {run.hash} is not in the copy: " in result.stderr
    assert "the same command tries again" in result.stderr
    with Run(run.hash, repo=repo) as run:
        del run["x" * 600]
    assert "copied      1" in invoke("convert", ".", "new", "--backend", "lmdb").stdout
    assert "holds runs" in invoke("convert", ".", "new", "--backend", "lmdb", exit=2).stderr


def test_a_copy_that_differs_and_an_interruption(invoke: Any, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    for _ in range(2):
        with Run(repo=repo) as run:
            run.track(1.0, name="loss")
        runs.append(run.hash)

    def at_comparing(action: Callable[[], object]) -> None:
        @contextmanager
        def progress(text: str) -> Iterator[Callable[[int, int], None]]:
            if text == "comparing runs":
                action()
            yield lambda done, total: None

        monkeypatch.setattr("aimstore.cli.convert.progress_bar", progress)

    def damage() -> None:
        with context_of(Repo("new")).backend.open(seqs_path(runs[0]), Mode.WRITE) as seqs:
            seqs.put(b"more", b"?")

    def interrupt() -> None:
        raise KeyboardInterrupt

    convert = ["convert", ".", "new", "--backend", "lmdb"]
    at_comparing(interrupt)
    assert "goes on where this one stopped" in invoke(*convert, exit=130).stderr
    at_comparing(damage)
    result = invoke(*convert, exit=1)
    assert "present     1  (copied by an earlier attempt)" in result.stdout
    assert f"run {runs[0]} is not in the copy: " in result.stderr
    at_comparing(os.getpid)
    assert "copied      1" in invoke(*convert).stdout
