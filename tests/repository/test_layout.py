"""Every file of the documented layout, at each moment of a run's life."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.repository import context_of
from aimstore.testing.waiting import until

TOP = {"config.toml", "backend", "meta", "seqs"}
PARTS = {f"{area}/{kind}" for area in ("meta", "seqs") for kind in ("chunks", "progress", "locks")}


@pytest.fixture
def layout(repo: Repo) -> Callable[[], dict[str, Any]]:
    """What is in the repository, without the engine's own files: names by directory of the layout."""

    def look() -> dict[str, Any]:
        aim = Path(repo.path)
        # it is kept for moments, in case more is to be indexed
        until(lambda: context_of(repo).backend.lock_owner("meta/index") is None, "the index is not given up")
        found: dict[str, Any] = {part: sorted(path.name for path in (aim / part).iterdir()) for part in sorted(PARTS)}
        found["index"] = (aim / "meta/index").is_dir()
        found["database"] = (aim / "run_metadata.sqlite").is_file()
        found["other"] = sorted(
            path.name
            for path in aim.iterdir()
            if path.name not in TOP and not path.name.startswith("run_metadata.sqlite")
        ) + sorted(
            path.name for path in (aim / "meta").iterdir() if path.name not in ("chunks", "progress", "locks", "index")
        )
        return found

    return look


def expected(
    *,
    locked: str | None = None,
    marked: str | None = None,
    stored: str | None = None,
    index: bool,
    database: bool = True,
) -> dict[str, Any]:
    """The layout with at most one run: whether it holds locks, has progress markers, has containers."""
    layout: dict[str, Any] = {}
    for area in ("meta", "seqs"):
        layout[f"{area}/chunks"] = [stored] if stored else []
        layout[f"{area}/progress"] = [marked] if marked else []
        layout[f"{area}/locks"] = [locked] if locked else []
    return {**layout, "index": index, "database": database, "other": []}


def test_an_empty_repository_has_its_directories_its_configuration_and_its_database(repo: Repo, layout: Any) -> None:
    assert layout() == expected(index=False)
    assert (Path(repo.path) / "config.toml").is_file()
    assert Path(repo.path).name == ".aim"
    assert {path.name for path in Path(repo.path).parent.iterdir()} == {".aim"}


def test_an_open_run_has_containers_locks_and_markers_until_it_is_closed(repo: Repo, layout: Any) -> None:
    run = Run(repo=repo)
    opened = expected(locked=run.hash, marked=run.hash, stored=run.hash, index=False)
    assert layout() == opened
    run["x"] = 1
    run.track(1.0, name="loss")
    assert layout() == opened
    run.flush()
    assert layout() == opened
    run.close()
    assert layout() == expected(stored=run.hash, index=True)


def test_locks_and_markers_are_files_and_containers_are_directories(repo: Repo) -> None:
    with Run(repo=repo) as run:
        for area in ("meta", "seqs"):
            top = Path(repo.path) / area
            assert (top / "chunks" / run.hash).is_dir()
            assert (top / "locks" / run.hash).is_file()
            assert (top / "progress" / run.hash).is_file()


def test_a_resumed_run_has_locks_and_markers_again(repo: Repo, layout: Any) -> None:
    with Run(repo=repo) as run:
        pass
    with Run(run.hash, repo=repo):
        assert layout() == expected(locked=run.hash, marked=run.hash, stored=run.hash, index=True)
    assert layout() == expected(stored=run.hash, index=True)


def test_a_deleted_run_leaves_nothing_but_the_index(repo: Repo, layout: Any) -> None:
    with Run(repo=repo) as run:
        run.track(1.0, name="loss")
    repo.delete_run(run.hash)
    assert layout() == expected(index=True)


def test_a_killed_run_keeps_its_markers_until_it_is_reindexed(
    repo: Repo, layout: Any, stall: Callable[..., list[str]]
) -> None:
    (run,) = stall()
    found = layout()
    for area in ("meta", "seqs"):  # the files of the locks remain, and are free
        found[f"{area}/locks"] = []
    assert found == expected(marked=run, stored=run, index=False)
    assert not repo.get_run(run).active
    assert repo.reindex().indexed == [run]
    assert layout() == expected(stored=run, index=True)
    with Run(run, repo=repo):
        assert layout() == expected(locked=run, marked=run, stored=run, index=True)
    repo.delete_run(run)
    assert layout() == expected(index=True)


def test_reading_and_querying_change_no_file(repo: Repo, layout: Any) -> None:
    with Run(repo=repo) as run:
        run.track(1.0, name="loss")
    before = {path: path.stat().st_mtime_ns for path in Path(repo.path).rglob("*")}
    for found in repo.query_runs():
        assert found.hash == run.hash
        assert len(found.metrics()) == 1
        assert found.metrics()[0].numpy()[1].tolist() == [1.0]
    assert repo.query_metrics("metric.name == 'loss'").count() == 1
    assert repo.status().runs == 1
    Run(run.hash, repo=repo, read_only=True).close()
    after = {
        path: path.stat().st_mtime_ns for path in Path(repo.path).rglob("*") if path.name != "rocksdict-config.json"
    }
    assert {path: before.get(path) for path in after if path.is_file()} == {
        p: t for p, t in after.items() if p.is_file()
    }


def test_the_folder_itself_or_the_directory_in_it_may_be_given(repo: Repo) -> None:
    assert Repo(repo.path).path == Repo(Path(repo.path).parent).path == repo.path


def test_without_a_path_the_nearest_repository_upward_is_used(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert Repo().path == repo.path
    with Run() as run:
        assert repo.list_runs() == [run.hash]
    assert not (deep / ".aim").exists()
