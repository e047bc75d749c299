"""The example `train_digits.py` does what it says: run for real, its results read through aimstore."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aimstore import Repo, Run
from aimstore.repository import catalog_of, context_of
from aimstore.repository.conversion import convert
from aimstore.repository.transfer import checksums

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "examples" / "train_digits.py"
EPOCHS = 2
STEPS = 42 * EPOCHS  # 1,347 images in batches of 32
VALIDATION = {"subset": "validation"}


def run_script(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", os.fspath(SCRIPT), *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    return ended.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the example was run twice, the second time with other options."""
    folder = tmp_path_factory.mktemp("digits")
    output = run_script(folder, "--epochs", str(EPOCHS))
    assert "SIGTERM after" in output
    assert "SIGKILL after" in output
    run_script(folder, "--epochs", str(EPOCHS), "--jobs", "3", "--chart", "charts/second.png")
    return folder


@pytest.fixture(scope="module")
def repo(folder: Path) -> Repo:
    return Repo(folder / "digits-demo")


def ranking(runs: list[Run]) -> list[tuple[str, float]]:
    return sorted((run.name, run.get_metric("loss", VALIDATION).last) for run in runs)


def test_a_second_sweep_is_added_and_gives_the_same_results(repo: Repo) -> None:
    sweeps: dict[str, list[Run]] = {}
    for run in repo.query_runs("'grid' in run.tags and run.experiment == 'digits'"):
        sweeps.setdefault(run["sweep"], []).append(run)
    first, second = sweeps.values()
    assert len(first) == len(second) == 12
    assert len({run.name for run in first}) == 12
    assert ranking(first) == ranking(second)


def test_every_finished_run_has_all_its_records(repo: Repo) -> None:
    for run in repo.query_runs("'grid' in run.tags"):
        assert len(run.metrics()) == 4
        for metric in run.metrics():
            steps, values = metric.numpy()
            assert np.array_equal(steps, np.arange(STEPS))
            assert np.isfinite(values).all()
        confusion = list(run.get_sequence("confusion", VALIDATION))
        assert [record.epoch for record in confusion] == list(range(EPOCHS))
        assert all(record.value.shape == (10, 10) and record.value.sum() == 450 for record in confusion)
        accuracy = run.get_metric("accuracy", VALIDATION)
        assert accuracy.last == np.trace(confusion[-1].value) / 450
        for record in run.get_sequence("gradients", {"layer": "hidden"}):
            counts, edges = record.value
            assert len(edges) == len(counts) + 1
            assert 0 < counts.sum() <= 64 * run["hparams", "hidden"]


def test_the_networks_learn(repo: Repo) -> None:
    best = max(metric.last for metric in repo.query_metrics("metric.name == 'accuracy' and 'grid' in run.tags"))
    assert best > 0.85


def test_interrupted_runs_are_there_without_gaps(repo: Repo) -> None:
    interrupted = list(repo.query_runs("'interrupted' in run.tags"))
    assert len(interrupted) == 4
    for run in interrupted:
        assert run.finalized_at is not None
        for metric in run.metrics():
            steps, _ = metric.numpy()
            assert np.array_equal(steps, np.arange(len(steps)))
            assert metric.count == len(steps) > 0


def test_nothing_is_left_behind(repo: Repo) -> None:
    status = repo.status()
    assert (status.runs, status.indexed, status.active, status.stalled) == (28, 28, [], [])
    left = [path for kind in ("locks", "progress") for path in repo.path.glob(f"*/{kind}/*")]
    assert left == []


def everything(repo: Repo) -> dict[str, tuple]:
    """All that can be seen of each run."""
    return {
        run.hash: (
            catalog_of(repo).properties(run.hash),
            run[...],
            [(each.name, each.context, each.kind, repr(list(each.points()))) for each in run.sequences()],
            checksums(context_of(repo).backend, run.hash),
        )
        for run in repo.iter_runs()
    }


def test_the_repository_comes_through_a_conversion_to_another_engine_and_back(repo: Repo, tmp_path: Path) -> None:
    before, source = everything(repo), repo
    for backend in ("lmdb", "rocksdb"):
        report = convert(context_of(source), tmp_path / backend, backend=backend)
        assert (len(report.copied), report.failed) == (28, {})
        source = Repo(tmp_path / backend)
        assert everything(source) == before
        assert source.status().indexed == 28
        found, expected = (
            {metric.run.hash for metric in each.query_metrics("metric.name == 'accuracy' and metric.last > 0.85")}
            for each in (source, repo)
        )
        assert found == expected != set()


@pytest.mark.parametrize("chart", ["digits-demo/digits.png", "charts/second.png"])
def test_a_chart_is_drawn(folder: Path, chart: str) -> None:
    data = (folder / chart).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(data) > 50_000


@pytest.mark.parametrize("package", ["matplotlib", "sklearn"])
def test_a_missing_package_is_named_with_what_installs_it(tmp_path: Path, package: str) -> None:
    code = f"import runpy, sys; sys.modules[{package!r}] = None; runpy.run_path({os.fspath(SCRIPT)!r}, run_name='__main__')"
    environment = os.environ | {"PYTHONPATH": os.fspath(SCRIPT.parent)}
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "pip install 'aimstore[examples]'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_jobs_at_all_is_bad_usage(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, SCRIPT, "--jobs", "0"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "at least 1, not 0" in ended.stderr
