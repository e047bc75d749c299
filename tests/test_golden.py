"""Stores of every format version so far still open, and give what was put into them."""

from __future__ import annotations

import importlib.util
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimstore import Repo, Run

GOLDEN = Path(__file__).parent / "golden"
_spec = importlib.util.spec_from_file_location("golden_make", GOLDEN / "make.py")
assert _spec is not None
assert _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


@pytest.fixture(params=sorted(path.name for path in GOLDEN.glob("*.tar.xz")))
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> Repo:
    with tarfile.open(GOLDEN / request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return Repo(tmp_path)


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and bool((a == b).all())
    return type(a) is type(b) and bool(a == b)


def test_parameters_and_properties_are_as_they_were(repo: Repo) -> None:
    [run] = repo.query_runs("run.experiment == 'golden' and run.lr == 0.1 and run.nested.list[1] == 'two'")
    expected = {key: make.CONTENT[key] for key in sorted(make.CONTENT)}
    expected["nested"] = {key: expected["nested"][key] for key in (5, "empty", "list", "tuple", "ü\0")}
    assert equal(run[...], expected)
    assert (run.name, run.description, run.tags) == ("finished", "kept", ("a", "b"))
    assert run.finalized_at is not None


def test_sequences_are_as_they_were(repo: Repo) -> None:
    [metric] = repo.query_metrics("metric.name == 'loss' and metric.context.subset == 'train'")
    steps, values = metric.numpy()
    assert steps.tolist() == list(range(10_000))
    assert values.tolist() == make.losses()
    assert [record.epoch for record in metric.points(2_500, 2_502)] == [2, 2]
    mixed = metric.run.get_metric("mixed")
    assert [(record.step, record.value) for record in mixed] == [(1, 2.5), (3, True)]
    assert (mixed.count, mixed.last, mixed.min, mixed.max) == (2, True, True, 2.5)
    objects = {each.name: next(iter(each)).value for each in metric.run.sequences() if each.kind != "number"}
    assert objects["note"] == "text"
    assert objects["value"] == {"a": [1, 2]}
    assert objects["image"].shape == (100, 100)


def test_the_unfinished_run_can_be_read_indexed_and_resumed(repo: Repo) -> None:
    [stalled] = repo.status().stalled
    [metric] = repo.query_metrics("run.x == 1")
    assert metric.numpy()[1].tolist() == [float(i) for i in range(100)]
    assert repo.reindex().indexed == [stalled]
    with Run(stalled, repo=repo) as run:
        run.track(7.0, name="loss")
    assert repo.get_run(stalled).get_metric("loss").last_step == 100
