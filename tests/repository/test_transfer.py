"""Copying and moving runs, and converting repositories: complete, or as if nothing had happened."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore import Repo, Run
from aimstore.abc import Mode, WriteBatch
from aimstore.errors import (
    ConfigError,
    CorruptionError,
    LockedError,
    RepositoryError,
    RunNotFoundError,
    UnsupportedError,
)
from aimstore.repository import catalog_of, context_of
from aimstore.repository.conversion import CONVERSION, ConversionReport, convert
from aimstore.repository.transfer import BATCH_ITEMS, checksums
from aimstore.storage.layout import DELETED_KEY
from aimstore.types import INDEX_PATH, meta_path, seqs_path

Moments = Callable[..., Iterator[int]]
Stall = Callable[..., list[str]]


def contents(repo: Repo) -> dict[str, Any]:
    """All that can be seen of each run, in a form that compares NaN, types and arrays."""
    database = context_of(repo).database
    return {
        run.hash: repr(
            (
                catalog_of(repo).properties(run.hash),
                run[...],
                [(each.name, each.context, each.kind, [*each.points()]) for each in run.sequences()],
                [(note.text, note.created_at, note.updated_at) for note in database.notes(run.hash)],
                checksums(context_of(repo).backend, run.hash),
            )
        )
        for run in repo.iter_runs()
    }


def labels(repo: Repo) -> tuple[Any, Any]:
    return context_of(repo).database.experiments(), context_of(repo).database.tags()


def finish(repo: Repo, **properties: Any) -> str:
    with Run(repo=repo, experiment="finished", **properties) as run:
        run["hparams"] = {"lr": 0.1, "layers": [1, 2], "weights": np.arange(5), "limit": math.nan}
        for step in range(20):
            run.track(1 / (step + 1), name="loss", step=step, context={"subset": "train"})
        run.track("hello", name="remarks")
        run.track(np.ones((3, 2)), name="image")
    context_of(repo).database.add_note(run.hash, "looks good")
    return run.hash


@pytest.fixture(params=["rocksdb", "lmdb", "memory"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repo]:
    """Another repository, with each engine in turn."""
    made = Repo.init(tmp_path / "other", backend=request.param)
    yield made
    made.close()


# One run


def test_a_copy_is_the_same_and_is_indexed(repo: Repo, other: Repo) -> None:
    run, stays = finish(repo, name="one", tags=["b", "a"], description="what"), finish(repo)
    repo.get_run(run).archived = True
    assert repo.copy_run(run, other) == run
    assert contents(other) == {run: contents(repo)[run]}
    assert [found.hash for found in other.query_runs("run.archived and run.hparams.lr == 0.1")] == [run]
    status = other.status()
    assert (status.runs, status.indexed, status.stalled, status.active) == (1, 1, [], [])
    assert repo.list_runs() == sorted([run, stays])


def test_a_copy_brings_what_is_known_of_its_experiment_and_tags_and_changes_what_is_there_already(
    repo: Repo, tmp_path: Path
) -> None:
    other = Repo.init(tmp_path / "other")
    run = finish(repo, tags=["new", "known"])
    finish(repo, tags=["elsewhere"])
    for tag in ("new", "known", "elsewhere"):
        context_of(repo).database.update_tag(tag, color="red")
    context_of(repo).database.update_experiment("finished", description="all that ended")
    context_of(other).database.update_tag("known", color="blue")
    repo.copy_run(run, other)
    assert [(tag.name, tag.color) for tag in context_of(other).database.tags()] == [("known", "blue"), ("new", "red")]
    assert [each.description for each in context_of(other).database.experiments()] == ["all that ended"]
    other.close()


def test_a_copy_of_many_items_goes_in_several_batches(repo: Repo, other: Repo) -> None:
    with Run(repo=repo) as run:
        run["many"] = {f"key{i}": i for i in range(BATCH_ITEMS * 2 + 7)}
        run["long"] = "x" * 3_000_000
    repo.copy_run(run.hash, other)
    assert contents(other) == contents(repo)


def test_a_copy_in_the_same_repository_gets_a_hash_of_its_own(repo: Repo) -> None:
    run = finish(repo)
    copied = repo.copy_run(run, repo, new_hash=True)
    assert copied != run
    assert repo.get_run(copied)[...].keys() == repo.get_run(run)[...].keys()
    assert checksums(context_of(repo).backend, copied) == checksums(context_of(repo).backend, run)
    assert repo.query_runs("run.hparams.lr == 0.1").count() == 2
    for refused in (repo.copy_run, repo.move_run):
        with pytest.raises(RepositoryError, match="the same repository"):
            refused(run, Repo(repo.path))


def test_a_run_that_is_there_already_is_not_overwritten(repo: Repo, other: Repo) -> None:
    run = finish(repo)
    repo.copy_run(run, other)
    before = contents(other)
    with Run(run, repo=repo) as resumed:
        resumed["more"] = 1
    for refused in (repo.copy_run, repo.move_run):
        with pytest.raises(RepositoryError, match=run):
            refused(run, other)
    assert contents(other) == before
    assert "more" in repo.get_run(run)


def test_a_run_that_is_being_written_is_not_copied(repo: Repo, other: Repo) -> None:
    with Run(repo=repo) as run:
        for refused in (repo.copy_run, repo.move_run):
            with pytest.raises(LockedError, match=str(os.getpid())):
                refused(run.hash, other)
    assert other.list_runs() == []
    with pytest.raises(RunNotFoundError):
        repo.copy_run("0" * 24, other)


def test_a_stalled_run_is_stalled_in_the_copy(repo: Repo, other: Repo, stall: Stall) -> None:
    (stalled,) = stall()
    repo.copy_run(stalled, other)
    assert contents(other) == contents(repo)
    assert other.status().stalled == repo.status().stalled == [stalled]
    assert other.reindex().indexed == [stalled]
    assert other.get_run(stalled).get_metric("loss").last == 9.0  # type: ignore[union-attr]


def test_a_run_without_a_row_in_the_database_gets_the_one_that_it_repeats(repo: Repo, other: Repo) -> None:
    run = finish(repo, name="kept", tags=["kept"])
    context_of(repo).database.delete_run(run)
    repo.copy_run(run, other)
    assert (other.get_run(run).name, other.get_run(run).tags) == ("kept", ("kept",))


def test_a_key_that_the_engine_does_not_take_is_named_and_nothing_of_the_run_stays(repo: Repo, tmp_path: Path) -> None:
    other = Repo.init(tmp_path / "other", backend="lmdb")
    with Run(repo=repo) as run:
        run["fine"] = 1
        run["deep", "x" * 600] = 1
    with pytest.raises(UnsupportedError, match=rf"run {run.hash}.* parameter deep\['xx.* 511 at most"):
        repo.copy_run(run.hash, other)
    with pytest.raises(UnsupportedError):
        repo.move_run(run.hash, other)
    check_nothing_stays(other, run.hash)
    assert repo.get_run(run.hash)["fine"] == 1
    other.close()


def check_nothing_stays(repo: Repo, run_hash: str) -> None:
    backend = context_of(repo).backend
    assert repo.list_runs() == []
    assert not backend.exists(seqs_path(run_hash))
    assert backend.marked("") == []
    assert backend.lock_owner(meta_path(run_hash)) is None
    assert context_of(repo).database.get_run(run_hash) is None
    assert repo.query_runs().count() == 0


@pytest.mark.parametrize("place", [meta_path, seqs_path])
def test_a_copy_that_reads_back_otherwise_is_refused(
    repo: Repo, other: Repo, monkeypatch: pytest.MonkeyPatch, place: Callable[[str], str]
) -> None:
    run = finish(repo)
    opened = type(context_of(other).backend).open

    def damaging(self: Any, path: str, mode: Mode = Mode.READ, **options: Any) -> Any:
        container = opened(self, path, mode, **options)
        if self is context_of(other).backend and mode is Mode.WRITE and path == place(run):
            written = container.write

            def write(batch: Any) -> None:
                damaged = WriteBatch()
                damaged.ops = [(op, key, value and value[:-1] + b"?") for op, key, value in batch.ops]
                written(damaged)

            container.write = write
        return container

    monkeypatch.setattr(type(context_of(other).backend), "open", damaging)
    for refused in (repo.copy_run, repo.move_run):
        with pytest.raises(CorruptionError, match=f"run {run}.*{place(run)[:4]}"):
            refused(run, other)
    monkeypatch.undo()
    check_nothing_stays(other, run)
    assert repo.list_runs() == [run]


def test_a_moved_run_is_in_the_other_repository_only(repo: Repo, other: Repo) -> None:
    run = finish(repo)
    before = contents(repo)
    repo.move_run(run, other)
    assert contents(other) == before
    check_nothing_stays(repo, run)


def test_a_move_that_was_interrupted_before_the_deletion_is_ended_by_the_next(repo: Repo, other: Repo) -> None:
    run = finish(repo)
    repo.copy_run(run, other)
    repo.move_run(run, other)
    assert (repo.list_runs(), other.list_runs()) == ([], [run])


MOVE = """
repo, other = Repo("."), Repo("other")
die_at(int(sys.argv[1]))
repo.{method}(sys.argv[2], other)
os._exit(0)
"""


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("method", "engine"), [("copy_run", "rocksdb"), ("move_run", "lmdb")])
def test_killed_in_the_middle_a_copy_is_whole_or_seen_by_nobody(
    repo: Repo, tmp_path: Path, each_moment: Moments, method: str, engine: str, stride: int
) -> None:
    run = finish(repo, name="one")
    before = contents(repo)
    Repo.init(tmp_path / "other", backend=engine).close()
    places = (tmp_path / ".aim", tmp_path / "other" / ".aim")
    for place in places:
        shutil.copytree(place, place.with_name("backup"))
    seen = set()
    for moment in each_moment(MOVE.format(method=method), run, stride=stride):
        source, other = Repo(tmp_path), Repo(tmp_path / "other")
        copied = contents(other)
        assert copied in ({}, before), f"moment {moment}"
        assert {found.hash for found in other.query_runs("run.hparams.lr == 0.1")} == copied.keys()
        if method == "copy_run" or not copied:
            assert contents(source) == before
        seen.add(bool(copied))
        assert source.reindex().failed == other.reindex().failed == {}
        assert sorted(other.list_runs()) == sorted(copied)
        assert context_of(other).backend.marked("") == context_of(source).backend.marked("") == []
        if not copied:
            check_nothing_stays(other, run)
            getattr(source, method)(run, other)
            assert contents(other) == before
        source.close()
        other.close()
        for place in places:
            shutil.rmtree(place)
            shutil.copytree(place.with_name("backup"), place)
    assert seen == {True, False}


# Whole repositories


def converted(source: Repo, path: Path, backend: str, **options: Any) -> tuple[ConversionReport, Repo]:
    report = convert(context_of(source), path, backend=backend, **options)
    return report, Repo(path)


def test_a_conversion_copies_everything_and_leaves_no_trace_of_itself(repo: Repo, tmp_path: Path, stall: Stall) -> None:
    (stalled,) = stall()
    first, second = finish(repo, tags=["good"]), finish(repo)
    context_of(repo).database.update_tag("unused", description="for later")
    context_of(repo).database.update_experiment("stalled", archived=True)
    before = contents(repo)
    report, other = converted(repo, tmp_path / "other", "lmdb", options={"map_size": "64MiB"})
    assert report == ConversionReport(
        str(tmp_path / "other" / ".aim"), copied=sorted([first, second, stalled]), stalled=[stalled]
    )
    assert contents(other) == contents(repo) == before
    assert labels(other) == labels(repo)
    assert (other.config.backend, other.config.options) == ("lmdb", {"map_size": "64MiB"})
    assert not context_of(other).backend.exists(CONVERSION)
    assert context_of(other).backend.marked("") == [meta_path(stalled), seqs_path(stalled)]
    assert other.status().indexed == 2
    assert other.reindex().indexed == [stalled]
    other.close()


def test_a_conversion_of_an_empty_repository_is_an_empty_one(repo: Repo, tmp_path: Path) -> None:
    report, other = converted(repo, tmp_path / "other", "lmdb")
    assert report == ConversionReport(str(tmp_path / "other" / ".aim"))
    assert other.query_runs().count() == 0
    assert context_of(other).backend.marked("") == []


def test_remains_of_a_deletion_are_not_copied(repo: Repo, tmp_path: Path) -> None:
    run, deleted = finish(repo), finish(repo)
    with context_of(repo).backend.open(meta_path(deleted), Mode.WRITE) as meta:
        meta.put(DELETED_KEY, b"1")
    report, other = converted(repo, tmp_path / "other", "lmdb")
    assert (report.copied, other.list_runs()) == ([run], [run])


def test_live_runs_are_refused_before_anything_is_written(repo: Repo, tmp_path: Path) -> None:
    finished = finish(repo)
    with Run(repo=repo) as live:
        with pytest.raises(LockedError, match=rf"{live.hash}  by process {os.getpid()} on .* since \d{{4}}"):
            convert(context_of(repo), tmp_path / "other", backend="lmdb")
        assert not (tmp_path / "other").exists()
        report, other = converted(repo, tmp_path / "other", "lmdb", skip_active=True)
        assert (report.copied, report.skipped, report.failed) == ([finished], [live.hash], {})
        assert other.list_runs() == [finished]
    repo.copy_run(live.hash, other)
    assert contents(other) == contents(repo)


@pytest.mark.parametrize("place", [".", ".aim", ".aim/inside", ".aim/meta"])
def test_a_destination_at_or_in_the_source_is_refused(repo: Repo, tmp_path: Path, place: str) -> None:
    before = sorted(tmp_path.rglob("*"))
    (tmp_path / "link").symlink_to(tmp_path)
    for given_path in (tmp_path / place, tmp_path / "link" / place):
        with pytest.raises(RepositoryError, match="another folder"):
            convert(context_of(repo), given_path, backend="lmdb")
    (tmp_path / "link").unlink()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_destination_with_something_in_it_is_refused_and_left_as_it_is(repo: Repo, tmp_path: Path) -> None:
    finish(repo)
    other = Repo.init(tmp_path / "other", backend="lmdb")
    theirs = finish(other)
    foreign = tmp_path / "foreign" / ".aim" / "meta"
    foreign.mkdir(parents=True)
    for name in ("other", "foreign"):
        with pytest.raises(RepositoryError):
            convert(context_of(repo), tmp_path / name, backend="lmdb")
    assert other.list_runs() == [theirs]
    assert not context_of(other).backend.exists(CONVERSION)
    with pytest.raises(ConfigError):
        convert(context_of(repo), tmp_path / "new", backend="lmdb", options={"map_sise": 1})
    assert not (tmp_path / "new").exists()


def test_the_copy_does_not_share_the_metadata_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rows.db"
    source = Repo.init(tmp_path / "source", metadata_url=url)
    finish(source)
    with pytest.raises(ConfigError, match="of its own"):
        convert(context_of(source), tmp_path / "other", backend="lmdb", metadata_url=url)
    _, other = converted(source, tmp_path / "other", "lmdb", metadata_url=f"{url}.copy")
    assert contents(other) == contents(source)
    assert (tmp_path / "rows.db.copy").exists()


def test_a_run_that_cannot_be_copied_is_listed_and_tried_again(repo: Repo, tmp_path: Path) -> None:
    good = finish(repo)
    with Run(repo=repo) as bad:
        bad["x" * 600] = 1
    report, other = converted(repo, tmp_path / "other", "lmdb")
    assert (report.copied, [*report.failed]) == ([good], [bad.hash])
    assert "511" in report.failed[bad.hash]
    assert other.list_runs() == [good]
    other.close()
    with Run(bad.hash, repo=repo) as bad:
        del bad["x" * 600]
    report, other = converted(repo, tmp_path / "other", "lmdb")
    assert (report.copied, report.present, report.failed) == ([bad.hash], [good], {})
    assert contents(other) == contents(repo)
    assert not context_of(other).backend.exists(CONVERSION)


def failing_at(stage: str, action: Callable[[], object]) -> Callable[[str], Any]:
    """Does `action` when a conversion comes to `stage`."""

    @contextmanager
    def progress(text: str) -> Iterator[Callable[[int, int], None]]:
        if text == stage:
            action()
        yield lambda done, total: None

    return progress


def test_a_copy_that_was_damaged_is_found_removed_and_made_anew(repo: Repo, tmp_path: Path) -> None:
    good, damaged = sorted([finish(repo), finish(repo)])

    def damage() -> None:
        with context_of(Repo(tmp_path / "other")).backend.open(seqs_path(damaged), Mode.WRITE) as seqs:
            seqs.put(next(seqs.keys()), b"?")

    report, other = converted(repo, tmp_path / "other", "lmdb", progress=failing_at("comparing runs", damage))
    assert (report.copied, [*report.failed]) == ([good], [damaged])
    assert "differently from what was written, in seqs" in report.failed[damaged]
    assert contents(other) == {good: contents(repo)[good]}
    report, other = converted(repo, tmp_path / "other", "lmdb")
    assert (report.copied, report.present, report.failed) == ([damaged], [good], {})
    assert contents(other) == contents(repo)


class InterruptionError(Exception):
    """Stands for whatever ends a conversion early."""


def interrupt() -> None:
    raise InterruptionError


def test_an_interrupted_conversion_is_recognised_by_its_source_and_follows_what_changed_there(
    repo: Repo, tmp_path: Path
) -> None:
    same, changed, deleted = finish(repo), finish(repo), finish(repo)
    other = Repo.init(tmp_path / "elsewhere")
    with pytest.raises(InterruptionError):
        convert(context_of(repo), tmp_path / "other", backend="lmdb", progress=failing_at("comparing runs", interrupt))
    half = Repo(tmp_path / "other")
    assert context_of(half).backend.marked("") == [INDEX_PATH]
    assert half.query_runs("run.hparams.lr == 0.1").count() == 3
    half.close()
    with pytest.raises(RepositoryError, match="interrupted conversion of"):
        convert(context_of(other), tmp_path / "other", backend="lmdb")
    with pytest.raises(ConfigError):
        convert(context_of(repo), tmp_path / "other", backend="rocksdb")
    repo.delete_run(deleted)
    with Run(changed, repo=repo) as run:
        run["more"] = 1
    report, half = converted(repo, tmp_path / "other", "lmdb")
    assert (report.copied, report.present, report.failed) == ([changed], [same], {})
    assert contents(half) == contents(repo)
    assert context_of(half).backend.marked("") == []
    with pytest.raises(RepositoryError, match="holds runs"):
        convert(context_of(repo), tmp_path / "other", backend="lmdb")


def test_two_conversions_into_one_place_do_not_mix(repo: Repo, tmp_path: Path) -> None:
    finish(repo)

    def second() -> None:
        with pytest.raises(LockedError, match=str(os.getpid())):
            convert(context_of(repo), tmp_path / "other", backend="lmdb")

    report, other = converted(repo, tmp_path / "other", "lmdb", progress=failing_at("comparing runs", second))
    assert report.failed == {}
    assert contents(other) == contents(repo)


@pytest.fixture
def in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder where nothing waits for a disk, if there is one: what a killed process leaves is the same there."""
    if not os.access("/dev/shm", os.W_OK):
        yield tmp_path / "place"
        return
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


CONVERT = """
from aimstore.repository.conversion import convert
repo = Repo(sys.argv[2])
die_at(int(sys.argv[1]))
report = convert(context_of(repo), sys.argv[3], backend=sys.argv[4])
assert not report.failed, report
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "runs", "first", "stride"),
    [  # of one run, every moment there is
        ("lmdb", 1, 1, 3),
        ("lmdb", 1, 2, 3),
        ("lmdb", 1, 3, 3),
        ("rocksdb", 3, 1, 7),
    ],
)
def test_killed_at_any_moment_a_conversion_goes_on_when_it_is_started_again(
    repo: Repo,
    tmp_path: Path,
    in_memory: Path,
    stall: Stall,
    each_moment: Moments,
    engine: str,
    runs: int,
    first: int,
    stride: int,
) -> None:
    stalled = stall() if runs > 1 else []
    for _ in range(runs - len(stalled)):
        with Run(repo=repo) as finished:
            finished["x"] = {"y": 1}
            finished.track(1.0, name="loss")
    shutil.copytree(tmp_path / ".aim", in_memory / ".aim")
    source, place = Repo(in_memory), in_memory / "other"
    before = contents(source)
    present, moments = set(), 0
    for moment in each_moment(CONVERT, in_memory, place, engine, first=first, stride=stride):
        moments += 1
        if (place / ".aim").exists():
            half = Repo(place)
            assert contents(half).items() <= before.items(), f"moment {moment}"
            whole = half.list_runs() and not context_of(half).backend.exists(CONVERSION)
            half.close()
            if not whole:
                report, half = converted(source, place, engine)
                half.close()
                assert (report.failed, report.stalled) == ({}, stalled), f"moment {moment}"
                present.add(len(report.present))
            other = Repo(place)
            assert contents(other) == before, f"moment {moment}"
            assert context_of(other).backend.marked("") == [
                path(run) for path in (meta_path, seqs_path) for run in stalled
            ]
            assert other.status().indexed == runs - len(stalled)
            other.close()
            shutil.rmtree(place)
    assert present == {*range(runs + 1)}
    assert moments > 50
    assert contents(source) == before
    source.close()


# There and back

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.binary(max_size=20)
    | st.datetimes()
)
ARRAYS = st.lists(st.floats(width=32), max_size=5).map(np.array)
TRACKED_ARRAYS = ARRAYS.filter(lambda array: array.size != 1)  # one of a single number is a number
TREES = st.dictionaries(
    NAMES | st.integers(0, 9),
    st.recursive(
        SCALARS | ARRAYS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_size=4,
)
SERIES = st.one_of(
    *(
        st.lists(values, min_size=1, max_size=6)
        for values in (st.floats() | st.integers(-(2**63), 2**63 - 1), st.text("ab\0é", max_size=9), TRACKED_ARRAYS)
    )
)
RUNS = st.fixed_dictionaries(
    {
        "tree": TREES,
        "sequences": st.lists(st.tuples(NAMES, st.dictionaries(NAMES, SCALARS, max_size=2), SERIES), max_size=3),
        "properties": st.fixed_dictionaries(
            {"experiment": NAMES, "name": NAMES, "description": NAMES, "tags": st.lists(NAMES, max_size=3)}
        ),
        "archived": st.booleans(),
        "notes": st.lists(NAMES, max_size=2),
    }
)


def build(repo: Repo, made: dict[str, Any]) -> None:
    with Run(repo=repo, **made["properties"]) as run:
        run[...] = made["tree"]
        for number, (name, context, values) in enumerate(made["sequences"]):
            for value in values:
                run.track(value, name=f"{number}{name}", context=context)
    if made["archived"]:
        repo.get_run(run.hash).archived = True
    for note in made["notes"]:
        context_of(repo).database.add_note(run.hash, note)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RUNS, min_size=1, max_size=2))
def test_rocksdb_to_lmdb_to_rocksdb_gives_the_same_repository(runs: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        repos = [Repo.init(Path(folder, "first"))]
        for made in runs:
            build(repos[0], made)
        for engine in ("lmdb", "rocksdb"):
            report, other = converted(repos[-1], Path(folder, engine), engine)
            assert report.failed == {}
            repos.append(other)
        first, *others = map(contents, repos)
        assert len(first) == len(runs)
        for other in others:
            assert other == first
        assert labels(repos[0]) == labels(repos[1]) == labels(repos[2])
        for repo in repos:
            repo.close()
