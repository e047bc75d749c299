"""The layout of a repository in a directory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import Container, Lock, Mode
from aimstore.errors import FencedError, LockedError, StorageError
from aimstore.storage.filesystem import FilesystemBackend

RUN = "0123456789abcdef01234567"
META = f"meta/chunks/{RUN}"


def test_containers_locks_and_markers_lie_where_the_layout_says(backend: FilesystemBackend) -> None:
    root = backend.root
    backend.mark(META)
    with backend.open(META, Mode.WRITE), backend.open("meta/index", Mode.WRITE):
        files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {
        f"meta/chunks/{RUN}/data.json",
        f"meta/locks/{RUN}",
        f"meta/progress/{RUN}",
        "meta/index/data.json",
        "meta/locks/index",
    }
    assert not list((root / "meta" / "locks").iterdir())


def test_nothing_is_made_by_looking(backend: FilesystemBackend) -> None:
    assert not backend.exists(META)
    assert backend.list("meta/chunks/") == backend.list("") == backend.marked("meta/chunks/") == []
    assert backend.version(META) is None
    assert backend.size(META) == 0
    assert backend.lock_owner(META) is None
    with pytest.raises(FileNotFoundError):
        backend.open(META)
    backend.unmark(META)
    backend.delete(META)
    assert not backend.root.exists()


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/etc/passwd", "..", ".", "meta/../index", "meta//index", "meta/index/", ".hidden", "meta/.trash"),
        *(
            "meta/chunks",
            "chunks/a/b",
            "meta/locks/a",
            "meta/progress/a",
            "locks",
            "a b",
            "a\0b",
            "a\nb",
            "a\n",
            "ä",
            "C:\\a",
        ),
    ],
)
def test_paths_that_lead_elsewhere_are_refused(backend: FilesystemBackend, path: str) -> None:
    for method in (backend.open, backend.exists, backend.delete, backend.version, backend.size):
        with pytest.raises(ValueError, match="not a container path"):
            method(path)
    for method in (backend.lock, backend.lock_owner, backend.mark, backend.unmark):
        with pytest.raises(ValueError, match="not a container path"):
            method(path)
    assert not backend.root.exists()


@pytest.mark.parametrize("prefix", ["meta", "/", "../", "meta//", "meta/locks/", "./"])
def test_prefixes_that_are_none_are_refused(backend: FilesystemBackend, prefix: str) -> None:
    for method in (backend.list, backend.marked):
        with pytest.raises(ValueError, match="container path"):
            method(prefix)


PATHS = sorted([META, f"seqs/chunks/{RUN}", "meta/index", "single", "a/b/chunks/c", "a/b/d", "chunks/top"])


@pytest.mark.parametrize(
    ("prefix", "count"), [("", 7), ("meta/", 2), ("meta/chunks/", 1), ("a/", 2), ("a/b/", 2), ("chunks/", 1), ("b/", 0)]
)
def test_list_and_marked_give_all_paths_below_a_prefix(backend: FilesystemBackend, prefix: str, count: int) -> None:
    for path in reversed(PATHS):
        backend.open(path, Mode.WRITE).close()
        backend.mark(path)
    expected = [path for path in PATHS if path.startswith(prefix)]
    assert len(expected) == count
    assert backend.list(prefix) == backend.marked(prefix) == expected
    for path in PATHS:
        backend.unmark(path)
        backend.delete(path)
    assert backend.list(prefix) == backend.marked(prefix) == []


def test_markers_are_set_and_removed_any_number_of_times(backend: FilesystemBackend) -> None:
    for _ in range(2):
        backend.mark(META)
        assert backend.marked("meta/chunks/") == [META]
    for _ in range(2):
        backend.unmark(META)
        assert backend.marked("meta/chunks/") == []


def test_a_marker_needs_no_container_and_outlives_it(backend: FilesystemBackend) -> None:
    backend.mark(META)
    backend.open(META, Mode.WRITE).close()
    backend.delete(META)
    assert backend.list("") == []
    assert backend.marked("") == [META]


def test_half_made_containers_do_not_exist(backend: FilesystemBackend) -> None:
    (backend.root / META).mkdir(parents=True)
    assert not backend.exists(META)
    assert backend.list("") == []
    assert backend.version(META) is None
    with backend.open(META, Mode.WRITE) as container:
        container.put(b"a", b"1")
    assert backend.list("") == [META]


def test_opening_for_writing_takes_the_lock_and_closing_releases_it(backend: FilesystemBackend) -> None:
    with backend.open(META, Mode.WRITE) as container:
        owner = backend.lock_owner(META)
        assert owner is not None
        with pytest.raises(LockedError, match=rf"{META} is locked by process {os.getpid()}"):
            backend.open(META, Mode.WRITE)
        container.put(b"a", b"1")
        assert backend.open(META).get(b"a") == b"1"
    assert backend.lock_owner(META) is None


def test_a_lock_handed_in_stays_with_who_took_it(backend: FilesystemBackend) -> None:
    with backend.lock(META) as lock:
        backend.open(META, Mode.WRITE, lock=lock).close()
        lock.check()
        with pytest.raises(ValueError, match="does not open"):
            backend.open("meta/index", Mode.WRITE, lock=lock)
    with pytest.raises(FencedError):
        backend.open(META, Mode.WRITE, lock=lock)


def test_an_engine_that_fails_to_open_leaves_the_lock_free(backend: FilesystemBackend) -> None:
    class Failing(type(backend)):  # type: ignore[misc]
        def _open_container(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> Container:
            raise StorageError("the engine says no")

    with pytest.raises(StorageError, match="the engine says no"):
        Failing(backend.root).open(META, Mode.WRITE)
    assert backend.lock_owner(META) is None


def test_a_writer_whose_lock_file_was_removed_writes_no_more(backend: FilesystemBackend) -> None:
    late = backend.open(META, Mode.WRITE)
    late.put(b"a", b"late")
    (backend.root / "meta" / "locks" / RUN).unlink()
    with backend.open(META, Mode.WRITE) as winner:
        winner.put(b"a", b"winner")
        with pytest.raises(FencedError):
            late.put(b"a", b"late")
        late.close()
        winner.put(b"b", b"winner")
    assert list(backend.open(META).items()) == [(b"a", b"winner"), (b"b", b"winner")]


def test_version_changes_with_what_a_reader_could_see(backend: FilesystemBackend) -> None:
    versions = []
    for step in range(4):
        with backend.open(META, Mode.WRITE) as container:
            container.put(b"a", b"%d" % step)
        versions.append(backend.version(META))
        assert backend.version(META) == versions[-1]
    backend.delete(META)
    assert backend.version(META) is None
    backend.open(META, Mode.WRITE).close()
    versions.append(backend.version(META))
    assert None not in versions
    assert len(set(versions)) == 5


def test_files_that_carry_no_data_do_not_change_the_version(backend: FilesystemBackend) -> None:
    kind = type("WithLog", (type(backend),), {"unversioned": frozenset({"LOG"})})
    backend = kind(backend.root)
    backend.open(META, Mode.WRITE).close()
    before = backend.version(META), backend.size(META)
    (backend.root / META / "LOG").write_text("something happened")
    assert backend.version(META) == before[0]
    assert backend.size(META) == before[1] + len("something happened")
    (backend.root / META / "deeper").mkdir()
    (backend.root / META / "deeper" / "file").write_text("data")
    assert backend.version(META) != before[0]


def test_a_deleted_container_is_gone_with_its_trash(backend: FilesystemBackend) -> None:
    with backend.open(META, Mode.WRITE) as container:
        container.put(b"a", b"1")
    backend.delete(META)
    assert not backend.exists(META)
    assert not list((backend.root / "meta" / "chunks").iterdir())


def test_what_a_crash_in_a_deletion_leaves_is_no_container_and_goes_with_the_next_one(
    backend: FilesystemBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = META.replace("0", "f")
    for path in (META, other):
        backend.open(path, Mode.WRITE).close()

    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            backend.delete(META)
    assert backend.list("") == [other]
    assert not backend.exists(META)
    backend.open(META, Mode.WRITE).close()
    backend.delete(other)
    assert [file.name for file in (backend.root / "meta" / "chunks").iterdir()] == [RUN]


def test_many_processes_may_delete_at_once(backend: FilesystemBackend, forking: Any) -> None:
    paths = [f"meta/chunks/{n:024x}" for n in range(120)]
    for path in paths:
        backend.open(path, Mode.WRITE).close()
    start = forking.Barrier(4)

    def delete(mine: list[str]) -> None:
        start.wait()
        for path in mine:
            backend.delete(path)

    processes = [forking.Process(target=delete, args=(paths[n::4],)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert not list((backend.root / "meta" / "chunks").iterdir())


def test_what_the_system_refuses_names_the_place(backend: FilesystemBackend) -> None:
    backend.root.mkdir()
    (backend.root / "meta").write_text("in the way")
    for act in (backend.mark, backend.lock):
        with pytest.raises(StorageError, match=str(backend.root / "meta")):
            act(META)
    with pytest.raises(StorageError, match=str(backend.root / "meta")):
        backend.open(META, Mode.WRITE)
