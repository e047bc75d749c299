"""What is refused: with words that say what, where and what to do, and with nothing lost or half written."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimstore import Repo, Run
from aimstore.errors import (
    ClosedError,
    ConfigError,
    EncodingError,
    InvalidRunHashError,
    PluginError,
    ReadOnlyError,
    RepositoryError,
    RepositoryNotFoundError,
    RunNotFoundError,
    SequenceTypeError,
)
from aimstore.plugins import BackendSpec, IndexerSpec, PluginManager, QueryEngineSpec, hookimpl

Values = Callable[..., list[tuple[int, Any]]]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts file systems and changes users, which only root may")


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file below `folder`, byte for byte."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


# Hashes

BAD_HASHES = [
    "",
    "x",
    "../../x",
    "a" * 23,
    "a" * 25,
    "A" * 24,
    "g" * 24,
    "a" * 23 + "\n",
    "a" * 24 + "\n",
    "٣" * 24,
    5,
    b"a" * 24,
]


@pytest.mark.parametrize("name", BAD_HASHES)
def test_what_is_no_hash_is_refused_everywhere(repo: Repo, name: Any) -> None:
    before = snapshot(Path(repo.path))
    actions: list[Callable[[], object]] = [
        lambda: Run(name, repo=repo),
        lambda: Run(name, repo=repo, read_only=True),
        lambda: repo.get_run(name),
        lambda: repo.delete_run(name),
        lambda: repo.reindex(name),
    ]
    for action in actions:
        with pytest.raises(InvalidRunHashError, match=r"not a run hash: .*24 lower-case hexadecimal digits"):
            action()
    assert snapshot(Path(repo.path)) == before


def test_an_unknown_hash_is_named_with_the_repository_and_nothing_is_made(repo: Repo) -> None:
    before = snapshot(Path(repo.path))
    for action in (
        lambda: Run("a" * 24, repo=repo, read_only=True),
        lambda: repo.get_run("a" * 24),
        lambda: Run("a" * 24, repo=repo),
    ):
        with pytest.raises(RunNotFoundError, match=f"no run {'a' * 24} in {re.escape(str(repo.path))}"):
            action()
    with pytest.raises(KeyError):
        repo.delete_run("a" * 24)
    assert snapshot(Path(repo.path)) == before


# Repositories


def test_no_repository_is_an_error_that_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RepositoryNotFoundError, match=r"no repository at .*nowhere/\.aim; `aimstore init"):
        Repo(tmp_path / "nowhere")
    with pytest.raises(RepositoryNotFoundError, match="`aimstore init`"):
        Repo()
    with pytest.raises(FileNotFoundError):
        Run("a" * 24, repo=tmp_path / "nowhere", read_only=True)
    assert not (tmp_path / "nowhere").exists()


@pytest.fixture
def of_aim(tmp_path: Path) -> Path:
    """What Aim itself leaves in a folder."""
    aim = tmp_path / "aim" / ".aim"
    for part in ("meta/chunks/0123456789abcdef01234567", "meta/index", "seqs/chunks", "locks"):
        (aim / part).mkdir(parents=True)
    (aim / "VERSION").write_bytes(b"\x00\x00\x00\x02")
    (aim / "run_metadata.sqlite").write_bytes(b"SQLite format 3\0")
    (aim / "meta/chunks/0123456789abcdef01234567/CURRENT").write_text("MANIFEST-000004\n")
    return aim


def test_a_repository_of_aim_is_refused_and_not_touched(of_aim: Path) -> None:
    before = snapshot(of_aim.parent)
    for action in (
        lambda: Repo(of_aim),
        lambda: Repo(of_aim.parent, init=True),
        lambda: Repo.init(of_aim.parent),
        lambda: Run(repo=of_aim.parent),
        lambda: Run("0123456789abcdef01234567", repo=of_aim, read_only=True),
    ):
        with pytest.raises(RepositoryError, match=r"was made by Aim itself.*does not touch it.*Use another folder"):
            action()
    assert snapshot(of_aim.parent) == before


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".aim").mkdir()
    (tmp_path / ".aim/notes.txt").write_text("mine")
    for action in (lambda: Repo(tmp_path), lambda: Repo.init(tmp_path), lambda: Run(repo=tmp_path)):
        with pytest.raises(RepositoryError, match=r"is not a repository: it has no config\.toml"):
            action()
    assert snapshot(tmp_path / ".aim") == {str(tmp_path / ".aim/notes.txt"): b"mine"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format_version = ", r"config.toml is not valid TOML: .*; correct that place"),
        ("", r"config.toml: format_version is missing; add"),
        ("format_version = 1\n", r"storage.backend is missing"),
        ('format_version = 1\n[storage]\nbackend = "floppy"\n', r"no backend 'floppy'|floppy.*rocksdb"),
        ('format_version = 99\n[storage]\nbackend = "rocksdb"\n', r"newer aimstore \(format 99.*upgrade aimstore"),
        ('format_version = 1\n[storage]\nbackend = "rocksdb"\nspeed = 9\n', r"line 4: unknown key 'speed' in \[storage\]"),
        ('format_version = 1\n[storage]\nbackend = "rocksdb"\n[storage.options]\nwrite_bufer = 1\n', r"write_bufer"),
        ('format_version = 1\n[storage]\nbackend = "rocksdb"\n[query]\nengine = "sql"\n', r"sql"),
        ("\x00\xff", r"config.toml"),
    ],
)  # fmt: skip
def test_a_broken_configuration_is_refused_with_the_place(repo: Repo, text: str, message: str) -> None:
    Run(repo=repo).close()
    (Path(repo.path) / "config.toml").write_text(text)
    before = snapshot(Path(repo.path))
    for action in (lambda: Repo(repo.path).query_runs("run.x == 1").count(), lambda: Repo.init(repo.path).query_runs()):
        with pytest.raises((ConfigError, PluginError), match=message):
            action()
    assert snapshot(Path(repo.path)) == before


@pytest.mark.parametrize("options", [["map_size"], "map_size=4GiB", 5])
def test_options_that_are_no_dict_are_refused_and_nothing_is_made(tmp_path: Path, options: Any) -> None:
    with pytest.raises(ConfigError, match=r"options of an engine are a dict of values by name, not "):
        Repo.init(tmp_path / "new", backend="lmdb", options=options)
    assert not (tmp_path / "new").exists()


class Offline:
    """A plug-in whose engine and indexer cannot be made, and whose query engine is none."""

    @hookimpl
    def aimstore_backends(self) -> list[BackendSpec]:
        return [BackendSpec(name="offline", summary="s", factory=f"{__name__}:unreachable")]

    @hookimpl
    def aimstore_indexers(self) -> list[IndexerSpec]:
        return [IndexerSpec(name="offline", summary="s", factory=f"{__name__}:unreachable")]

    @hookimpl
    def aimstore_query_engines(self) -> list[QueryEngineSpec]:
        return [QueryEngineSpec(name="offline", summary="s", factory="builtins:dict")]


def unreachable(*_: object) -> None:
    raise RuntimeError("no server at port 7")


def test_a_part_that_cannot_be_made_is_named_and_nothing_is_lost(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Run(repo=repo).close()
    manager = PluginManager()
    manager.register(Offline(), "offline")
    for module in ("context", "opening"):
        monkeypatch.setattr(f"aimstore.repository.{module}.plugins", lambda: manager)
    message = r"'offline' is broken: .*:unreachable raised RuntimeError: no server at port 7"
    with pytest.raises(PluginError, match=f"backend {message}"):
        Repo.init(tmp_path / "new", backend="offline")
    assert not (tmp_path / "new").exists()
    config = Path(repo.path) / "config.toml"
    good = config.read_text()
    config.write_text(good.replace('"container"', '"offline"'))
    for action in (lambda: Run(repo=Repo(repo.path)), lambda: Repo(repo.path).list_runs()):
        with pytest.raises(PluginError, match=f"indexer {message}"):
            action()
    config.write_text(good.replace('"python"', '"offline"'))
    with pytest.raises(PluginError, match=r"builtins:dict made \{\}, which is no aimstore.abc.Query"):
        Repo(repo.path).query_runs("run.x == 1")
    config.write_text(good)
    assert Repo(repo.path).query_runs().count() == 1


def test_a_metadata_database_that_does_not_exist_is_refused_and_leaves_the_run_free(repo: Repo) -> None:
    with Run(repo=repo) as run:
        pass
    config = Path(repo.path) / "config.toml"
    good = config.read_text()
    config.write_text(good.replace('url = ""', 'url = "nosuch://x"'))
    for action in (
        lambda: Repo(repo.path).query_runs().count(),
        lambda: Run(repo=Repo(repo.path)),
        lambda: Run(run.hash, repo=Repo(repo.path)),
    ):
        with pytest.raises(ConfigError, match="knows no database 'nosuch'"):
            action()
    config.write_text(good)
    again = Repo(repo.path)
    assert again.list_runs() == [run.hash]
    Run(run.hash, repo=again).close()
    assert again.status().stalled == []


# Values

UNENCODABLE = [threading.Lock(), lambda: 1, object(), slice(2), (i for i in range(3)), open]


@pytest.mark.parametrize("bad", UNENCODABLE, ids=lambda value: type(value).__name__)
def test_a_parameter_that_cannot_be_stored_is_named_by_its_path(repo: Repo, bad: Any) -> None:
    with Run(repo=repo) as run:
        run["x"] = {"keep": 1}
        for place, value, path in [
            ("x", bad, "x"),
            ("x", {"a": {"b": [0, bad]}}, r"x.*a.*b.*1"),
            (("x", "new"), {"c": bad}, r"x.*new.*c"),
            (..., {"d": 1, "e": {"f": bad}}, r"e.*f"),
        ]:
            with pytest.raises(EncodingError, match=path) as caught:
                run[place] = value
            assert type(bad).__name__ in str(caught.value)
        with pytest.raises(EncodingError):
            run[...] = 5
        assert run[...] == {"x": {"keep": 1}}
    assert run[...] == {"x": {"keep": 1}}


@pytest.mark.parametrize("place", [1.5, None, ("a", 1.5), ("a", None), b"a", [1], ("a", b"b")])
def test_a_place_that_is_none_is_refused(repo: Repo, place: Any) -> None:
    with Run(repo=repo) as run:
        with pytest.raises((EncodingError, TypeError)):
            run[place] = 1
        assert run[...] == {}


TRACKS: list[tuple[dict[str, Any], str]] = [
    ({"value": 1.0}, "track needs a name"),
    ({"value": 1.0, "name": ""}, "track needs a name"),
    ({"value": 1.0, "name": 5}, "track needs a name"),
    ({"value": {"a": 1}, "name": "x"}, r"a dict and the name 'x'.*leave `name` out.*track\(\{'x': value\}\)"),
    ({"value": {"a": 1, 5: 2}}, "track needs a name"),
    ({"value": 1.0, "name": "x", "step": 1.5}, r"step of sequence 'x' is an int or None, not 1.5 \(float\)"),
    ({"value": 1.0, "name": "x", "step": "3"}, r"step of sequence 'x'.*'3' \(str\)"),
    ({"value": 1.0, "name": "x", "step": True}, r"step of sequence 'x'.*True \(bool\)"),
    ({"value": 1.0, "name": "x", "step": 2**64}, r"step.*'x'.*64 bits"),
    ({"value": 1.0, "name": "x", "epoch": 1.5}, r"epoch of sequence 'x'.*1.5 \(float\)"),
    ({"value": {"a": 1.0, "b": 2.0}, "step": 0.5}, r"step of sequence 'a'"),
    ({"value": 1.0, "name": "x", "context": "train"}, r"context of sequence 'x' is a dict.*'train'"),
    ({"value": 1.0, "name": "x", "context": {1: 2}}, r"context of sequence 'x' is a dict with str keys"),
    ({"value": 1.0, "name": "x", "context": {"a": [object()]}}, r"a.*object"),
    ({"value": object(), "name": "x"}, r"x.*object"),
    ({"value": [1, [threading.Lock()]], "name": "x"}, r"x\D+1\D+0.*lock"),
    ({"value": {"a": 1.0, "b": {"c": object()}}}, r"b.*c.*object"),
]


@pytest.mark.parametrize(("arguments", "message"), TRACKS, ids=[text for _, text in TRACKS])
def test_what_cannot_be_tracked_is_refused_and_leaves_nothing(
    repo: Repo, values: Values, arguments: dict[str, Any], message: str
) -> None:
    with Run(repo=repo) as run:
        run.track(1.0, name="kept")
        for _ in range(2):
            with pytest.raises(EncodingError, match=message):
                run.track(**arguments)
        run.track(2.0, name="kept")
        run.flush()
        assert [sequence.name for sequence in run.sequences()] == ["kept"]
    assert [sequence.name for sequence in run.sequences()] == ["kept"]
    assert values(run, "kept") == [(0, 1.0), (1, 2.0)]


def test_a_refused_value_does_not_decide_the_kind_of_its_sequence(repo: Repo, values: Values) -> None:
    with Run(repo=repo) as run:
        with pytest.raises(EncodingError):
            run.track({"x": 1.0, "y": object()})
        with pytest.raises(EncodingError):
            run.track(1.0, name="x", step=0.5)
        run.track("text", name="z")
        with pytest.raises(SequenceTypeError):
            run.track({"x": 1.0, "z": 1.0})
        run.track("text", name="x")
    assert values(run, "x") == [(0, "text")]


def test_a_value_of_another_kind_is_refused_also_after_a_resume(repo: Repo, values: Values) -> None:
    message = r"sequence 'x' \{'a': 1\} holds values of kind 'number'; 'text' \(str\) is of kind 'text'.*another name or context"
    with Run(repo=repo) as run:
        run.track(1.0, name="x", context={"a": 1})
        with pytest.raises(SequenceTypeError, match=message):
            run.track("text", name="x", context={"a": 1})
    with Run(run.hash, repo=repo) as run:
        with pytest.raises(SequenceTypeError, match=message):
            run.track("text", name="x", context={"a": 1})
        with pytest.raises(SequenceTypeError, match="kind 'array'"):
            run.track(np.zeros(3), name="x", context={"a": 1})
        run.track(2, name="x", context={"a": 1})
        run.track("text", name="x")
    assert values(run, "x", {"a": 1}) == [(0, 1.0), (1, 2)]
    assert values(run, "x") == [(0, "text")]


def test_a_closed_run_refuses_to_be_written_and_can_be_read(repo: Repo) -> None:
    with Run(repo=repo) as run:
        run["x"] = 1
        run.track(1.0, name="loss")
    actions: list[Callable[[], object]] = [
        lambda: run.track(1.0, name="loss"),
        lambda: run.track({"new": "text"}),
        lambda: run.flush(),
        lambda: run.__setitem__("x", 2),
        lambda: run.__delitem__("x"),
    ]
    for action in actions:
        with pytest.raises(ClosedError, match=rf"run {run.hash} is closed; open it again with Run\(run_hash="):
            action()
    run.close()
    assert run["x"] == 1
    assert run.metrics()[0].count == 1


def test_a_run_opened_for_reading_refuses_to_be_written(repo: Repo) -> None:
    with Run(repo=repo) as made:
        made["x"] = 1
    for run in (Run(made.hash, repo=repo, read_only=True), repo.get_run(made.hash), next(iter(repo.query_runs()))):
        actions: list[Callable[[], object]] = [
            lambda run=run: run.track(1.0, name="loss"),
            lambda run=run: run.flush(),
            lambda run=run: run.__setitem__("x", 2),
            lambda run=run: run.__delitem__("x"),
        ]
        for action in actions:
            with pytest.raises(
                ReadOnlyError, match=rf"run {made.hash} is open for reading; Run\('{made.hash}', repo=…\)"
            ):
                action()
        assert run["x"] == 1
    with pytest.raises(RunNotFoundError, match="needs the run_hash"):
        Run(repo=repo, read_only=True)


# Places that cannot be written

UNPRIVILEGED = """
import logging, tempfile
from aimstore.errors import StorageError
logging.basicConfig()
with tempfile.TemporaryDirectory() as warm:  # imports all that is needed; it may not be readable any more
    with Run(repo=warm) as run:
        run[...] = {"x": 1}
        run.track(1.0, name="loss")
    assert [run.metrics()[0].numpy()[1].tolist() for run in Repo(warm).query_runs("run.x == 1")] == [[1.0]]
    Repo(warm).delete_run(run.hash)
os.setgid(65534); os.setuid(65534)
path, name = sys.argv[1:]
repo = Repo(path)
(run,) = repo.query_runs("run.x == 1")
assert run.hash == name
assert run.metrics()[0].numpy()[1].tolist() == [1.0]
assert run.name == "mine" and run["big"] == "y" * 10000
assert repo.status().stalled == []
def rename():
    run.name = "x"
for action in (lambda: Run(repo=repo), lambda: Run(name, repo=repo), lambda: repo.delete_run(name), rename):
    try:
        action()
    except StorageError as error:
        assert path in str(error) and ("ermission" in str(error) or "ead-only" in str(error)), error
    else:
        raise AssertionError("not refused")
assert repo.query_runs("run.x == 1").count() == 1
try:
    Repo.init(os.path.dirname(path) + "/new")
except StorageError as error:
    assert "cannot make a repository at" in str(error) and "/new/.aim" in str(error), error
else:
    raise AssertionError("not refused")
"""


def fill(folder: Path) -> str:
    with Run(repo=folder, name="mine") as run:
        run[...] = {"x": 1, "big": "y" * 10_000}
        run.track(1.0, name="loss")
    return run.hash


@as_root
def test_without_permission_everything_can_be_read_and_writing_says_why_not(
    tmp_path: Path, python: Callable[..., Any]
) -> None:
    name = fill(tmp_path)
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o055)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = snapshot(tmp_path)
    process = python(UNPRIVILEGED, tmp_path / ".aim", name)
    process.ends()
    assert snapshot(tmp_path) == before


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system in memory with these options; its folder."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"mounted{len(made)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"cannot mount a tmpfs: {done.stderr.strip()}")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", "-l", folder], check=True)


@as_root
def test_on_a_read_only_file_system_everything_can_be_read_and_writing_says_why_not(
    mounted: Callable[[str], Path], python: Callable[..., Any]
) -> None:
    folder = mounted("size=16m,mode=755")
    name = fill(folder)
    Repo.of(folder).close()
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    process = python(UNPRIVILEGED.replace("os.setgid(65534); os.setuid(65534)", ""), folder / ".aim", name)
    process.ends()


FULL = """
from aimstore.errors import StorageError
kind = sys.argv[1]
def make(i):
    return {"number": float(i), "text": f"{i} " * 300, "large": f"{i} " * 30_000}[kind]
repo = Repo(".")
early = Run(repo=repo)
early.track(1.0, name="early")
early.close()
run = Run(repo=repo)
ballast = open("ballast", "wb")
run.track(make(0), name="x", step=0)
run.flush()
def fill_up():
    try:
        while True:
            os.write(ballast.fileno(), bytes(65536))
    except OSError:
        pass
fill_up()
accepted, refused, errors = [0], [], []
i = 1
while len(errors) < 5:
    try:
        run.track(make(i), name="x", step=i)
        accepted.append(i)
    except StorageError as error:
        refused.append(i)
        errors.append(error)
    i += 1
    if i % 8 == 0:  # before more is pending than there will be room for
        try:
            run.flush()
        except StorageError as error:
            errors.append(error)
for action in (run.flush, lambda: run.flush(sync=True), run.close, run.close):
    fill_up()
    try:
        action()
    except StorageError as error:
        errors.append(error)
    else:
        raise AssertionError("not refused")
for error in errors:
    assert "space" in str(error), error
    assert run.hash in str(error) or str(repo.path) in str(error), error
assert run.active
(found,) = Repo(".").query_metrics("metric.name == 'early'")
assert found.numpy()[1].tolist() == [1.0]
live = Repo(".").get_run(run.hash).get_sequence("x")
assert next(iter(live)).value == make(0)
ballast.truncate(0)
ballast.close()
for j in range(i, i + 5):
    while accepted[-1] != j:
        try:
            run.track(make(j), name="x", step=j)
            accepted.append(j)
        except StorageError:
            pass  # said of an attempt before there was room
run.flush() if sys.argv[2] == "flush" else None
run.close()
stored = {record.step: record.value for record in repo.get_run(run.hash).get_sequence("x")}
assert sorted(stored) == accepted, (sorted(set(accepted) - set(stored)), sorted(set(stored) - set(accepted)))
assert all(stored[step] == make(step) for step in stored)
assert set(refused).isdisjoint(stored)
assert repo.status().stalled == [] and repo.status().indexed == 2
"""


@as_root
@pytest.mark.parametrize("kind", ["number", "text", "large"])
@pytest.mark.parametrize("ending", ["flush", "close"])
def test_on_a_full_disk_nothing_accepted_is_lost_and_writing_goes_on_when_there_is_room(
    mounted: Callable[[str], Path], python: Callable[..., Any], kind: str, ending: str
) -> None:
    folder = mounted("size=12m")
    Repo.init(folder)
    process = python("import os, sys; os.chdir(sys.argv.pop(1))\n" + FULL, folder, kind, ending)
    process.ends()
    assert Repo(folder).query_metrics("metric.name == 'early'").count() == 1


@as_root
def test_a_run_that_cannot_begin_for_want_of_space_leaves_nothing(
    mounted: Callable[[str], Path], python: Callable[..., Any]
) -> None:
    folder = mounted("size=8m")
    repo = Repo.init(folder)
    name = fill(folder)
    process = python(
        """
        from aimstore.errors import StorageError
        os.chdir(sys.argv[1])
        ballast = open("ballast", "wb")
        try:
            while True:
                os.write(ballast.fileno(), bytes(4096))
        except OSError:
            pass
        for _ in range(3):
            try:
                Run(repo=".", name="late")
            except StorageError as error:
                assert "space" in str(error), error
            else:
                raise AssertionError("not refused")
        """,
        folder,
    )
    process.ends()
    assert [run.hash for run in repo.query_runs()] == [name]
    (folder / "ballast").unlink()
    assert repo.reindex().failed == {}
    assert repo.list_runs() == [name]
    assert repo.status().stalled == []
    with Run(repo=repo) as run:
        run.track(1.0, name="loss")
    assert repo.status().indexed == 2
