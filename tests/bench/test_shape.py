"""The shape of a repository: recorded without values and names, and replayed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimstore import Repo, Run
from aimstore.bench import engines
from aimstore.bench.replay import Replay
from aimstore.bench.runner import Plan
from aimstore.bench.shape import from_json, record, to_json
from aimstore.bench.workload import Job
from aimstore.errors import ConfigError
from aimstore.plugins import plugins


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """Two runs that are alike, and one that is not."""
    repo = Repo.init(tmp_path / "secret-project")
    for number in range(2):
        with Run(repo=repo, experiment="confidential", name=f"hidden {number}") as run:
            run["hparams"] = {"lr": 0.1 + number, "name": "private", "layers": [1.0, 2.0], "deep": {"flag": True}}
            for step in range(50):
                run.track(step / 7, name="sensitive-loss", step=2 * step, context={"subset": "classified"})
                run.track(step, name="counter", step=step)
    with Run(repo=repo) as run:
        run["nothing"] = None
        for _ in range(5):
            run.track(np.arange(1_000, dtype=np.float64), name="samples")
    return repo


def test_a_shape_has_counts_lengths_and_kinds(repo: Repo) -> None:
    shape = record(repo)
    assert shape.count == 3
    assert sorted(run.count for run in shape.runs) == [1, 2]
    [alike] = [run for run in shape.runs if run.count == 2]
    assert sorted(leaf.kind for leaf in alike.leaves) == ["bool", "float", "list", "str"]
    assert sorted((each.kind, each.records, each.stride) for each in alike.sequences) == [
        ("float", 50, 2),
        ("int", 50, 1),
    ]
    assert {each.context for each in alike.sequences} == {0, 1}
    [other] = [run for run in shape.runs if run.count == 1]
    [objects] = other.sequences
    assert (objects.kind, objects.records) == ("object", 5)
    assert 8_000 < objects.nbytes < 8_200


def test_neither_values_nor_names_are_recorded(repo: Repo) -> None:
    text = to_json(record(repo))
    for word in ("secret", "confidential", "hidden", "private", "sensitive", "classified", "subset", "hparams", "0.1"):
        assert word not in text


def test_a_shape_comes_back_from_json(repo: Repo) -> None:
    shape = record(repo)
    assert from_json(to_json(shape)) == shape


def test_a_replay_has_the_shape_that_was_recorded(repo: Repo, tmp_path: Path) -> None:
    shape = record(repo)
    path = tmp_path / "shape.json"
    path.write_text(to_json(shape))
    write, read = replay_plans(path)
    assert (write.case.name, read.case.name) == ("write", "read")
    assert write.sizes["runs"] == 0
    job = Job("write", write.sizes, 1, tmp_path / "replayed", "rocksdb")
    workload = Replay()
    assert workload.units(job) == 205
    workload.prepare(job)
    again = record(Repo(tmp_path / "replayed"))
    assert again.count == 3
    assert comparable(again) == comparable(shape)
    workload.setup(replace(job, case="read"))
    assert workload.run(replace(job, case="read")).keys() == {"read_ms", "query_ms"}
    workload.teardown(job)


def replay_plans(path: Path) -> list[Plan]:
    return engines.plans(plugins(), [], {}, path, quick=False)


def comparable(shape: Any) -> Any:
    """Without what numbers instead of names cannot keep: sizes within some bytes, and the numbers themselves."""
    return sorted(
        (
            run.count,
            sorted((leaf.kind, leaf.nbytes // 32) for leaf in run.leaves),
            sorted((each.kind, each.records, each.stride, round(each.nbytes, -2)) for each in run.sequences),
        )
        for run in shape.runs
    )


def test_the_command_records_and_says_what_replays(invoke: Any, repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "shape.json"
    said = invoke("record", "--repo", repo.path, "-o", path).stderr
    assert "3 runs of 2 shapes" in said
    assert f"aimstore bench --workload {path}" in said
    assert from_json(path.read_text()) == record(repo)
    assert json.loads(invoke("record", "--repo", repo.path, "-o", "-").stdout)["format"] == "aimstore-shape"
    invoke("record", "--repo", repo.path, "-o", tmp_path / "nowhere" / "shape.json", exit=2)


def test_the_command_replays_a_shape(invoke: Any, repo: Repo, tmp_path: Path) -> None:
    path, result = tmp_path / "shape.json", tmp_path / "a.json"
    invoke("record", "--repo", repo.path, "-o", path)
    done = invoke("--workload", path, "--quick", "--backends", "rocksdb", "--size", "runs=2", "--json", result)
    assert "values of runs made, tracked and finalized, 1/s" in done.stdout
    content = json.loads(result.read_text())
    assert [(each["workload"], each["case"]) for each in content["outcomes"]] == [
        ("replay", "write"),
        ("replay", "read"),
    ]
    assert content["outcomes"][0]["sizes"] == {"runs": 2, "read": 3}
    assert content["outcomes"][0]["samples"]["rocksdb"][0]["values_per_s"] > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", "is not JSON"),
        ("{}", "was not written by `aimstore bench record`"),
        ('{"format": "aimstore-shape", "version": 2}', "has version 2"),
        ('{"format": "aimstore-shape", "version": 1}', "is damaged"),
        ('{"format": "aimstore-shape", "version": 1, "runs": [{"count": 1}]}', "is damaged"),
        ('{"format": "aimstore-shape", "version": 1, "runs": []}', "a repository without runs"),
    ],
)
def test_what_is_no_shape_is_a_mistake(invoke: Any, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "shape.json"
    path.write_text(text)
    assert message in invoke("--workload", path, exit=2).stderr
    with pytest.raises(ConfigError):
        replay_plans(path)


def test_a_size_that_a_replay_has_not_is_a_mistake(invoke: Any, repo: Repo, tmp_path: Path) -> None:
    path = tmp_path / "shape.json"
    path.write_text(to_json(record(repo)))
    assert "did you mean 'runs'" in invoke("--workload", path, "--size", "rums=3", exit=2).stderr
