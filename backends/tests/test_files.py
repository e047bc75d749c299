"""Containers that are not there, that are deleted under a reader, and that lie where nobody may write."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import Mode


def test_reading_what_is_not_there_makes_nothing(open_container: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no container"):
        open_container(Mode.READ)
    assert not list(tmp_path.iterdir())


def test_a_reader_outlives_the_deletion_says_so_and_finds_the_successor(backend_type: Any, tmp_path: Path) -> None:
    backend = backend_type(tmp_path)
    with backend.open("meta/chunks/a", Mode.WRITE) as writer:
        writer.put(b"key", b"value")
    with backend.open("meta/chunks/a") as reader:
        backend.delete("meta/chunks/a")
        assert reader.get(b"key") == b"value"
        with pytest.raises(OSError, match="meta/chunks/a was deleted"):
            reader.refresh()
        scan = reader.items()
        with backend.open("meta/chunks/a", Mode.WRITE) as writer:
            writer.put(b"key", b"other")
        reader.refresh()
        assert reader.get(b"key") == b"other"
        assert list(scan) == [(b"key", b"value")]


def test_a_read_only_directory_can_be_read_and_its_cause_is_said_when_writing(
    open_container: Any, fill: Any, small_disk: Path
) -> None:
    directory = small_disk / "db"
    with open_container(directory=directory) as container:
        items = fill(container, 100)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with open_container(Mode.READ, directory) as reader:
        assert dict(reader.items()) == items
        reader.refresh()
    with pytest.raises(OSError, match="Read-only file system"):
        open_container(directory=directory)
    with pytest.raises(OSError, match="Read-only file system"):
        open_container(directory=small_disk / "new")
    with pytest.raises(FileNotFoundError):
        open_container(Mode.READ, small_disk / "none")
