"""A small engine in files, and other processes that hold locks."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aimstore.abc import Capability, Container, Lock, Mode, WriteBatch
from aimstore.storage.filesystem import FilesystemBackend
from aimstore.storage.memory import MemoryContainer

HOLDER = """
import sys
from pathlib import Path
from aimstore.storage.locks import FilesystemLock
lock = FilesystemLock.acquire("meta/index", Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


class JsonContainer(MemoryContainer):
    """A memory container that keeps all its items in one file, replaced by each write."""

    def __init__(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> None:
        self._file = directory / "data.json"
        super().__init__(path, Mode.WRITE, lock)
        batch = WriteBatch()
        for key, value in json.loads(self._file.read_text()).items():
            batch.put(bytes.fromhex(key), bytes.fromhex(value))
        self._store.write(batch)
        self.mode = mode

    def _write(self, batch: WriteBatch) -> None:
        super()._write(batch)
        keys, values = self._store.snapshot()
        draft = self._file.with_suffix(".new")
        draft.write_text(json.dumps({key.hex(): values[key].hex() for key in keys}))
        draft.rename(self._file)


class JsonBackend(FilesystemBackend):
    capability = Capability(persistent=True, native_range_delete=True)

    def _open_container(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> Container:
        if mode is Mode.WRITE and not self._is_container(directory):
            directory.mkdir(exist_ok=True)
            (directory / "data.json").write_text("{}")
        return JsonContainer(path, directory, mode, lock)

    def _is_container(self, directory: Path) -> bool:
        return (directory / "data.json").exists()


@pytest.fixture
def backend(tmp_path: Path) -> JsonBackend:
    return JsonBackend(tmp_path / ".aim")


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Starts a process that holds a lock file, and returns when it does; the end of its input makes it release."""
    started: list[subprocess.Popen[str]] = []

    def start(file: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, os.fspath(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def forking() -> multiprocessing.context.ForkContext:
    """Processes forked from this one: the quickest way to have many."""
    return multiprocessing.get_context("fork")
