"""A repository as a whole: runs in every state, queries over them, and everything opened twice."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimstore import Repo, Run
from aimstore.errors import ConfigError, RunNotFoundError


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def finish(repo: Repo, lr: int = 1, **options: Any) -> str:
    """A finalized run; its hash."""
    with Run(repo=repo, **{"experiment": "finished", **options}) as run:
        run["lr"] = lr
        run.track(float(lr), name="loss")
    return run.hash


def test_queries_find_active_stalled_and_finalized_runs(repo: Repo, stall: Callable[..., list[str]]) -> None:
    done, (dead,) = finish(repo), stall(lr=3)
    with Run(repo=repo, experiment="active") as run:
        run["lr"] = 2
        run.track(2.0, name="loss")
        for reader in (repo, Repo(repo.path)):
            assert {found.hash for found in reader.query_runs("run.lr >= 1")} == {done, dead, run.hash}
            assert [found.hash for found in reader.query_runs("run.active")] == [run.hash]
            assert {found.hash for found in reader.query_runs("not run.active")} == {done, dead}
            assert [found.hash for found in reader.query_runs("run.finalized_at != None")] == [done]
            assert [found.hash for found in reader.query_runs("run.experiment == 'stalled' and run.lr == 3")] == [dead]
            last = {metric.run.hash: metric.last for metric in reader.query_metrics("metric.name == 'loss'")}
            assert last == {done: 1.0, dead: 9.0, run.hash: 2.0}
            status = reader.status()
            assert (status.runs, status.active, status.stalled, status.indexed) == (3, [run.hash], [dead], 1)
            assert status.nbytes > 0
            assert reader.list_runs() == sorted([done, dead, run.hash])
            assert {found.hash for found in reader.iter_runs()} == {done, dead, run.hash}
            assert [reader.get_run(name).active for name in (done, dead, run.hash)] == [False, False, True]
    assert repo.reindex().indexed == [dead]
    assert {found.hash for found in repo.query_runs("run.finalized_at != None")} == {done, dead, run.hash}


def test_what_a_live_run_writes_is_seen_by_the_next_query(repo: Repo) -> None:
    beside = Repo(repo.path)
    with Run(repo=repo) as run:
        for i in range(20):
            run["i"] = i
            run.track(float(i), name="loss")
            run.flush()
            (found,) = beside.query_runs(f"run.i == {i}")
            assert found["i"] == i
            (metric,) = beside.query_metrics(f"metric.last == {i}")
            assert metric.numpy()[1].tolist() == list(map(float, range(i + 1)))
    assert beside.query_runs("run.i == 19 and not run.active").count() == 1


def test_a_query_sees_what_its_own_process_tracked_just_now(repo: Repo) -> None:
    with Run(repo=repo) as run:
        for i in range(10):
            run.track(float(i), name="loss")
            assert repo.query_metrics("metric.name == 'loss'").count() == 1
            assert next(iter(repo.query_metrics("metric.name == 'loss'"))).last == i


def test_runs_that_are_finalized_resumed_or_deleted_while_one_iterates_disturb_nothing(repo: Repo) -> None:
    names = [finish(repo, i) for i in range(6)]
    opened = [Run(repo=repo) for _ in range(3)]
    seen = []
    for i, run in enumerate(repo.query_runs()):
        seen.append(run.hash)
        if i == 0:
            repo.delete_run(next(name for name in names if name not in seen))
            with Run(seen[0], repo=repo) as again:
                again["lr"] = 100
            opened[0].close()
            finish(repo)
    assert len(seen) == len(set(seen))
    assert set(seen) >= {run.hash for run in opened}
    for run in opened:
        run.close()
    assert repo.query_runs("run.lr == 100").count() == 1


def test_archived_runs_are_left_out_unless_asked_for(repo: Repo) -> None:
    kept, archived = finish(repo), finish(repo)
    repo.get_run(archived).archived = True
    assert [run.hash for run in repo.query_runs()] == [kept]
    assert [metric.run.hash for metric in repo.query_metrics("metric.name == 'loss'")] == [kept]
    assert [run.hash for run in repo.query_runs("run.archived")] == [archived]
    assert repo.query_runs("run.archived or not run.archived").count() == 2
    assert {run.hash for run in repo.iter_runs()} == {kept, archived}
    repo.get_run(archived).archived = False
    assert repo.query_runs().count() == 2


def test_large_leaves_are_found_and_read_wherever_they_lie(repo: Repo) -> None:
    text = "x" * 50_000
    with Run(repo=repo) as run:
        run["config"] = {"text": text, "list": list(range(5000)), "array": np.arange(3000), "small": 1}
        (live,) = repo.query_runs("run.config.small == 1")
        assert live["config", "text"] == text
    beside = Repo(repo.path)
    (found,) = beside.query_runs("run.config.text.startswith('xxx') and run.config.small == 1")
    assert found["config", "text"] == text
    assert found["config"]["list"] == list(range(5000))
    assert found[...]["config"]["array"].tolist() == list(range(3000))
    assert beside.query_runs("4999 in run.config.list").count() == 1


def test_a_handle_is_shared_by_path_and_renewed_when_the_repository_was_made_anew(tmp_path: Path) -> None:
    import shutil

    with Run(repo=tmp_path) as one, Run(repo=tmp_path) as two:
        assert one.repo is two.repo
    shutil.rmtree(tmp_path / ".aim")
    with Run(repo=tmp_path) as three:
        assert three.repo is not one.repo
        assert three.repo.list_runs() == [three.hash]


def test_runs_go_on_when_their_repo_object_is_closed_or_dropped(repo: Repo) -> None:
    first = Run(repo=repo, name="first")
    first.track(1.0, name="loss")
    repo.close()
    first.track(2.0, name="loss")
    first["x"] = 1
    first.name = "renamed"
    first.close()
    assert repo.get_run(first.hash).finalized_at is not None
    second = Run(repo=Repo(repo.path))
    gc.collect()
    second.track(1.0, name="loss")
    second.close()
    assert {metric.count for metric in repo.query_metrics()} == {1, 2}
    assert repo.get_run(first.hash).name == "renamed"
    assert repo.status().stalled == []


def test_a_repo_can_be_used_after_close_and_in_a_forked_child(repo: Repo, python: Callable[..., Any]) -> None:
    name = finish(repo)
    repo.close()
    repo.close()
    assert [run.hash for run in repo.query_runs()] == [name]
    process = python("""
        repo = Repo(".")
        (run,) = repo.query_runs("run.lr == 1")
        assert run.metrics()[0].numpy()[1].tolist() == [1.0]
        for _ in range(3):
            pid = os.fork()
            if not pid:
                (run,) = repo.query_runs("run.lr == 1")
                assert run.metrics()[0].numpy()[1].tolist() == [1.0]
                run.name = "child"
                with Run(repo=repo) as own:
                    own["lr"] = 2
                repo.delete_run(own.hash)
                sys.exit()
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert repo.query_runs("run.name == 'child'").count() == 1
    """)
    process.ends()
    assert repo.list_runs() == [name]


def test_opening_is_lazy_and_init_is_idempotent(tmp_path: Path) -> None:
    repo = Repo.init(tmp_path, backend="rocksdb", options={"write_buffer_size": "2MiB"})
    assert Repo.init(tmp_path).config == repo.config
    assert Repo(tmp_path, init=True).config == repo.config
    with pytest.raises(ConfigError, match="exists already, with options"):
        Repo.init(tmp_path, options={"write_buffer_size": "1MiB"})
    before = sorted(tmp_path.rglob("*"))
    Repo(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_many_pending_runs_are_queried_with_few_open_files(repo: Repo, python: Callable[..., Any]) -> None:
    process = python("""
        for _ in range(40):
            if not os.fork():
                run = Run(repo=".")
                run["lr"] = 1
                os.kill(os.getpid(), signal.SIGKILL)
            os.wait()
    """)
    process.ends()
    before = open_files()
    most = 0
    count = 0
    for run in repo.query_runs("run.lr == 1"):
        count += run["lr"]
        most = max(most, open_files() - before)
    assert count == 40
    assert most < 16 * 12
    assert len(repo.reindex().indexed) == 40
    repo.close()
    assert open_files() <= before + 2


def test_a_deleted_run_is_gone_for_everybody_at_once(repo: Repo) -> None:
    beside = Repo(repo.path)
    name = finish(repo)
    assert beside.query_runs().count() == 1
    repo.delete_run(name)
    assert beside.query_runs().count() == 0
    assert beside.list_runs() == []
    with pytest.raises(RunNotFoundError, match=f"no run {name} in {repo.path}"):
        beside.get_run(name)
