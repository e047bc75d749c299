"""Reindexing and deleting: killed at each step, and on damaged repositories."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.abc import Mode
from aimstore.errors import LockedError, RunNotFoundError, StorageError
from aimstore.repository import ReindexLimits, RepositoryLimits, context_of, open_repository
from aimstore.storage.layout import (
    Summary,
    definition_key,
    encode_definition,
    encode_summary,
    read_properties,
    summary_key,
)
from aimstore.testing.waiting import until
from aimstore.types import meta_path

Moments = Callable[..., Iterator[int]]
Stall = Callable[..., list[str]]
Values = Callable[..., list[tuple[int, Any]]]


def finish(repo: Repo, **parameters: Any) -> str:
    """A finalized run; its hash."""
    with Run(repo=repo, experiment="finished") as run:
        run[...] = {"x": 1, **parameters}
        for i in range(10):
            run.track(float(i), name="loss")
    return run.hash


def check_whole(repo: Repo, run: Run) -> None:
    """That nothing of a run is missing."""
    assert run["x"] == 1
    assert run.experiment in ("finished", "stalled")
    (metric,) = run.metrics()
    assert (metric.count, metric.last_step, metric.last) == (10, 9, 9.0)
    assert metric.numpy()[1].tolist() == list(map(float, range(10)))
    assert metric.run.hash == run.hash


def remains(repo: Repo, run_hash: str) -> list[str]:
    """Files of a run, but for those of locks, which a killed process leaves behind, free."""
    return [str(path) for path in Path(repo.path).rglob(f"*{run_hash}*") if path.parent.name != "locks"]


# Killed at each step

DELETE = """
repo = Repo(".")
die_at(int(sys.argv[1]))
repo.delete_run(sys.argv[2])
os._exit(0)
"""


@pytest.mark.parametrize(
    ("state", "stride"),
    [
        pytest.param("finished", 2, marks=pytest.mark.slow),
        ("stalled", 5),
        pytest.param("stalled", 1, marks=pytest.mark.slow),
    ],
)
def test_killed_while_it_is_deleted_a_run_is_whole_or_seen_by_nobody(
    repo: Repo, python: Callable[..., Any], stall: Stall, state: str, stride: int
) -> None:
    other = finish(repo)
    whole = gone = 0
    moment = 1
    status = -9
    while status:
        if state == "finished":
            name = finish(repo)
        else:
            (name,) = stall()
        process = python(DELETE, moment, name)
        status = process.wait()
        assert status in (0, -9), process.errors()
        found = {run.hash: run for run in repo.iter_runs()}
        check_whole(repo, found.pop(other))
        for run in found.values():
            check_whole(repo, run)
        assert {run.hash for run in repo.query_runs("run.x == 1")} == {other, *found}
        assert {metric.run.hash for metric in repo.query_metrics()} == {other, *found}
        if found:
            whole += 1
            check_whole(repo, repo.get_run(name))
        else:
            gone += 1
            with pytest.raises((RunNotFoundError, KeyError)):
                repo.get_run(name)["x"]
        report = repo.reindex()
        assert report.failed == {}
        assert [run.hash for run in repo.query_runs("run.x == 1")] == sorted([other, *found])
        assert repo.list_runs() == sorted([other, *found])
        assert repo.status().stalled == []
        if found:
            repo.delete_run(name)
        assert remains(repo, name) == []
        assert context_of(repo).database.get_run(name) is None
        moment += stride
    assert whole > 1
    assert gone > 1


REINDEX = """
repo = Repo(".")
die_at(int(sys.argv[1]))
repo.reindex(rebuild=bool(sys.argv[2:]))
os._exit(0)
"""


@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("rebuild", [(), ("rebuild",)])
def test_killed_while_it_reindexes_nothing_is_lost_and_the_next_one_ends_it(
    repo: Repo, stall: Stall, each_moment: Moments, rebuild: tuple[str, ...], stride: int
) -> None:
    finished = [finish(repo), finish(repo)]
    stalled = stall(2)
    backup = Path(repo.path).with_name("backup")
    shutil.copytree(repo.path, backup)
    everything = sorted([*finished, *stalled])
    for moment in each_moment(REINDEX, *rebuild, stride=stride):
        again = Repo(repo.path)
        assert sorted(run.hash for run in again.query_runs("run.x == 1")) == everything, f"moment {moment}"
        for run in again.iter_runs():
            check_whole(again, run)
        assert again.reindex(rebuild=bool(rebuild) and moment % 2 == 0).failed == {}
        if rebuild:  # a rebuild that was interrupted leaves queries complete, only slower
            again.reindex(rebuild=True)
        status = again.status()
        assert (status.stalled, status.active, status.indexed) == ([], [], 4)
        assert not any(Path(again.path, "meta/progress").iterdir())
        for run in again.iter_runs():
            check_whole(again, run)
            assert run.finalized_at is not None
        again.close()
        shutil.rmtree(repo.path)
        shutil.copytree(backup, repo.path)


# Reindexing


def test_more_runs_than_one_batch_takes_are_all_indexed(repo: Repo, stall: Stall) -> None:
    assert stall(6) == repo.status().stalled
    finished = [finish(repo) for _ in range(3)]
    for longest in (60.0, 0.0):
        limits = RepositoryLimits(reindex=ReindexLimits(batch_runs=4, batch_seconds=longest))
        repo = open_repository(repo.path, limits=limits).facade()
        with Run(repo=repo) as live:
            told: list[tuple[int, int]] = []
            report = repo.reindex(rebuild=True, advance=lambda done, total, told=told: told.append((done, total)))
        assert sorted([*report.indexed, live.hash]) == repo.list_runs()
        assert report.active == [live.hash]
        assert told[-1][0] == told[-1][1] == len(repo.list_runs())
        assert len(told) == 3 or not longest
        assert set(finished) < set(report.indexed)
    assert repo.status().stalled == []


def test_who_waits_for_a_run_of_a_batch_gets_it_before_the_rest_is_indexed(
    repo: Repo, python: Callable[..., Any], stall: Stall, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = stall(4)
    first = stalled[0]
    limits = RepositoryLimits(reindex=ReindexLimits(batch_seconds=60.0, contended_batch_seconds=0.0))
    repo = open_repository(repo.path, limits=limits).facade()
    index = context_of(repo).indexer.index
    waiting: list[Any] = []
    told: list[int] = []

    def with_a_visitor(run_hash: str, meta: Any) -> None:
        index(run_hash, meta)
        if not waiting:
            waiting.append(python("Run(sys.argv[1], repo='.').close(); print('done')", first))
            queue = Path(repo.path) / "meta/locks" / f"{first}.queue"
            until(queue.exists, "nobody waits for the run")

    monkeypatch.setattr(context_of(repo).indexer, "index", with_a_visitor)
    report = repo.reindex(advance=lambda done, total: told.append(done))
    waiting[0].ends()
    assert report.indexed == stalled
    assert told[0] < len(stalled)
    assert repo.status().stalled == []


def test_summaries_that_claim_more_than_there_is_are_mended(repo: Repo, stall: Stall) -> None:
    (stalled,) = stall()
    backend = context_of(repo).backend
    with backend.open(meta_path(stalled), Mode.WRITE) as meta:
        for number in (0, 1):
            meta.put(summary_key(number), encode_summary(Summary(99, 99, True, 0, 98, 1.0, 0.0, 1.0)))
        meta.put(definition_key(1), encode_definition("nothing", {}, "number"))
    repo.reindex()
    run = repo.get_run(stalled)
    assert {metric.name: (metric.count, metric.last) for metric in run.metrics()} == {
        "loss": (10, 9.0),
        "nothing": (0, None),
    }
    assert repo.query_metrics("metric.last_step >= 10").count() == 0


def test_what_the_metadata_database_was_not_told_it_is_told_later(
    repo: Repo, stall: Stall, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled = stall(2)
    database = context_of(repo).database
    database.update_run(stalled[0], name="renamed")

    def busy(*_: Any, **__: Any) -> None:
        raise StorageError("busy")

    with monkeypatch.context() as patched:
        patched.setattr(database, "finish_runs", busy)
        assert repo.reindex().indexed == stalled
    assert "the metadata database does not know that" in caplog.text
    assert [repo.get_run(run).finalized_at for run in stalled] == [None, None]
    assert repo.status().stalled == stalled
    assert repo.reindex().indexed == stalled
    assert repo.status().stalled == []
    assert [repo.get_run(run).name for run in stalled] == ["renamed", f"Run: {stalled[1]}"]
    with context_of(repo).backend.open(meta_path(stalled[0])) as meta:
        assert read_properties(meta)["name"] == "renamed"
        ended = read_properties(meta)["finalized_at"]
    assert database.runs(stalled)[stalled[0]].finalized_at == ended


def test_live_runs_are_left_alone(repo: Repo) -> None:
    with Run(repo=repo) as run:
        report = repo.reindex()
        assert (report.active, report.indexed, report.removed, report.failed) == ([run.hash], [], [], {})
        assert repo.reindex(run.hash).active == [run.hash]
        run.track(1.0, name="loss")
    assert repo.reindex().indexed == []


def test_one_run_can_be_indexed_again_and_progress_is_told(repo: Repo, stall: Stall) -> None:
    one = finish(repo)
    stall(3)
    told: list[tuple[int, int]] = []
    assert repo.reindex(one).indexed == [one]
    assert len(repo.status().stalled) == 3
    assert len(repo.reindex(advance=lambda done, total: told.append((done, total))).indexed) == 3
    assert told[-1] == (3, 3)
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert repo.reindex(rebuild=True).indexed == repo.list_runs()


def test_a_run_that_does_not_exist_is_refused(repo: Repo) -> None:
    with pytest.raises(RunNotFoundError, match=f"no run {'0' * 24} in .*`aimstore runs ls`"):
        repo.reindex("0" * 24)


def test_a_busy_run_is_not_deleted(repo: Repo) -> None:
    with Run(repo=repo) as run:
        with pytest.raises(LockedError, match=r"locked by process \d+ on"):
            repo.delete_run(run.hash)
        run.track(1.0, name="loss")
    assert repo.get_run(run.hash).metrics()[0].count == 1
    repo.delete_run(run.hash)
    with pytest.raises(RunNotFoundError, match=f"no run {run.hash}"):
        repo.delete_run(run.hash)


# Damage


def junk(path: Path) -> None:
    """Overwrite a file with as many other bytes."""
    path.write_bytes(os.urandom(max(path.stat().st_size, 100)))


def damaged_index(repo: Repo) -> Iterator[str]:
    """Damages the index of 30 runs in many ways, one after another; gives the name of each."""
    index = Path(repo.path) / "meta/index"
    backup = Path(repo.path).with_name("index.backup")
    repo.close()  # which may keep the index for the next commit
    shutil.copytree(index, backup)
    names = sorted(path.name for path in index.iterdir())
    for name in names:
        for way in ("junk", "empty", "missing", "middle"):
            shutil.rmtree(index, ignore_errors=True)
            shutil.copytree(backup, index)
            file = index / name
            if way == "junk":
                junk(file)
            elif way == "empty":
                file.write_bytes(b"")
            elif way == "missing":
                file.unlink()
            elif (size := file.stat().st_size) > 1000:
                with file.open("r+b") as opened:
                    opened.seek(size // 2)
                    opened.write(os.urandom(100))
            yield f"{name} {way}"
    shutil.rmtree(index)
    shutil.copytree(backup, index)
    for name in names:
        junk(index / name)
    yield "all junk"
    shutil.rmtree(index)
    index.mkdir()
    yield "an empty directory"
    shutil.rmtree(index)
    yield "nothing"


def test_whatever_happened_to_the_index_queries_give_everything_and_a_rebuild_mends_it(
    repo: Repo, caplog: pytest.LogCaptureFixture
) -> None:
    everything = sorted(finish(repo, i=i, noise=os.urandom(500)) for i in range(30))
    for damage in damaged_index(repo):
        caplog.clear()
        again = Repo(repo.path)
        assert sorted(run.hash for run in again.query_runs("run.x == 1")) == everything, damage
        warned = any("rebuild" in record.message for record in caplog.records)
        assert warned or again.status().indexed in (0, 30), damage
        check_whole(again, again.get_run(everything[0]))
        report = again.reindex(rebuild=True)
        assert report.failed == {}, damage
        assert again.status().indexed == 30, damage
        caplog.clear()
        assert sorted(run.hash for run in again.query_runs("run.x == 1")) == everything, damage
        assert caplog.records == [], damage
        again.close()


def test_a_run_can_be_written_closed_and_deleted_while_the_index_is_damaged(repo: Repo) -> None:
    finish(repo)
    for file in (Path(repo.path) / "meta/index").iterdir():
        junk(file)
    with Run(repo=repo) as run:
        run.track(1.0, name="loss")
    assert repo.status().stalled == [run.hash]
    assert repo.query_runs().count() == 2
    assert repo.reindex(rebuild=True).failed == {}
    assert repo.status().stalled == []
    assert repo.status().indexed == 2


def damage(repo: Repo, run_hash: str, area: str) -> None:
    for file in (Path(repo.path) / area / "chunks" / run_hash).iterdir():
        if file.name != "LOCK":
            junk(file)


def test_a_corrupt_finalized_run_is_still_found_by_what_the_index_holds(repo: Repo) -> None:
    bad, good = finish(repo), finish(repo)
    damage(repo, bad, "meta")
    damage(repo, bad, "seqs")
    found = {run.hash: run for run in repo.query_runs("run.x == 1 and run.experiment == 'finished'")}
    assert set(found) == {bad, good}
    assert found[bad]["x"] == 1
    check_whole(repo, found[good])


@pytest.mark.parametrize("area", ["meta", "seqs"])
def test_a_corrupt_stalled_run_costs_a_warning_and_nothing_else(
    repo: Repo, stall: Stall, caplog: pytest.LogCaptureFixture, area: str
) -> None:
    good = finish(repo)
    bad, other = stall(2)
    damage(repo, bad, area)
    found = sorted(run.hash for run in repo.query_runs())
    assert found == sorted([good, other] if area == "meta" else [good, other, bad])
    if area == "meta":
        assert f"run {bad} cannot be read" in caplog.text
    report = repo.reindex()
    assert report.indexed == [other]
    assert list(report.failed) == [bad]
    assert repo.status().stalled == [bad]
    repo.delete_run(bad)
    assert remains(repo, bad) == []
    assert repo.list_runs() == sorted([good, other])


def test_a_corrupt_run_does_not_keep_a_rebuild_from_mending_the_index(repo: Repo) -> None:
    bad, good = finish(repo), finish(repo)
    damage(repo, bad, "meta")
    shutil.rmtree(Path(repo.path) / "meta/index")
    report = repo.reindex(rebuild=True)
    assert report.indexed == [good]
    assert list(report.failed) == [bad]
    assert [run.hash for run in repo.query_runs()] == [good]
    (Path(repo.path) / "meta/chunks" / good / "CURRENT").unlink()  # whoever looks for it finds no run
    assert [run.hash for run in Repo(repo.path).query_runs()] == [good]


# The metadata database


def test_without_the_metadata_database_runs_have_defaults_and_all_else_works(repo: Repo) -> None:
    name = finish(repo)
    for file in Path(repo.path).glob("run_metadata.sqlite*"):
        file.unlink()
    again = Repo(repo.path)
    (run,) = again.query_runs("run.x == 1")
    assert (run.hash, run["x"], run.experiment, run.name) == (name, 1, "default", f"Run: {name}")
    assert (run.tags, run.archived, run.created_at) == ((), False, None)
    with Run(repo=again, name="new") as new:
        new.add_tag("a")
    assert again.get_run(new.hash).name == "new"
    assert again.status().indexed == 2


def test_a_rebuild_restores_the_metadata_database_from_the_runs(repo: Repo) -> None:
    with Run(repo=repo, experiment="e", name="n", description="d", tags=["a", "b"]) as run:
        created = run.created_at
    run.archived = True
    run.add_tag("c")
    finalized = repo.get_run(run.hash).finalized_at
    for file in Path(repo.path).glob("run_metadata.sqlite*"):
        file.unlink()
    again = Repo(repo.path)
    again.reindex(rebuild=True)
    found = again.get_run(run.hash)
    assert (found.name, found.experiment, found.description) == ("n", "e", "d")
    assert (found.tags, found.archived) == (("a", "b", "c"), True)
    assert (found.created_at, found.finalized_at) == (created, finalized)


def test_resuming_a_run_without_its_row_does_not_forget_what_the_run_itself_knows(repo: Repo) -> None:
    with Run(repo=repo, experiment="e", name="n", tags=["a"]) as run:
        pass
    for file in Path(repo.path).glob("run_metadata.sqlite*"):
        file.unlink()
    again = Repo(repo.path)
    with Run(run.hash, repo=again):
        pass
    again.reindex(rebuild=True)
    found = again.get_run(run.hash)
    assert (found.name, found.experiment, found.tags) == ("n", "e", ("a",))


def test_a_run_whose_end_the_metadata_database_did_not_take_is_settled_by_a_reindex(
    repo: Repo, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = context_of(repo).database

    def busy(*_: Any, **__: Any) -> None:
        raise StorageError("busy")

    with monkeypatch.context() as patched, Run(repo=repo, name="told later") as run:
        run["x"] = 1
        patched.setattr(database, "finish_run", busy)
    assert "the metadata database does not know it; `aimstore reindex` tells it" in caplog.text
    assert repo.status().stalled == [run.hash]
    assert [found.name for found in repo.query_runs("run.x == 1")] == ["told later"]
    assert repo.reindex().indexed == [run.hash]
    row = database.get_run(run.hash)
    assert row is not None
    assert row.finalized_at is not None
    assert repo.status().stalled == []
