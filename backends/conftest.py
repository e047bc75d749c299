"""What the tests of engines share: containers in a temporary directory, other processes, small disks.

The `conftest.py` of each engine's tests, and that of the tests for all, has the fixtures `container_type` and `options_type`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aimstore.abc import Container, Mode, WriteBatch

Open = Callable[..., Container]
Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def open_container(tmp_path: Path, container_type: Any, options_type: Any) -> Iterator[Open]:
    """Opens a container, by default one and the same for writing; closes what is open in the end."""
    opened: list[Container] = []

    def open_(
        mode: Mode = Mode.WRITE, directory: Path = tmp_path / "db", *, limits: Any = None, **options: Any
    ) -> Container:
        opened.append(container_type("db", directory, mode, None, options_type.parse(options), limits))
        return opened[-1]

    yield open_
    for container in opened:
        container.close()


@pytest.fixture
def fill() -> Callable[..., dict[bytes, bytes]]:
    """Writes `count` items of `size` hardly compressible bytes in batches of 100, and gives them."""

    def fill_(container: Container, count: int, size: int = 1000, name: bytes = b"key") -> dict[bytes, bytes]:
        items = {b"%s%08d" % (name, n): (b"%08d" % (n * 7919)) * (size // 8) for n in range(count)}
        listed = list(items.items())
        for start in range(0, count, 100):
            batch = WriteBatch()
            for key, value in listed[start : start + 100]:
                batch.put(key, value)
            container.write(batch)
        return items

    return fill_


@pytest.fixture
def spawn(tmp_path: Path, container_type: Any, options_type: Any) -> Iterator[Spawn]:
    """Starts Python code in another process, which may be killed; its stdin and stdout are pipes of text."""
    started: list[subprocess.Popen[str]] = []

    def spawn_(code: str, *arguments: object) -> subprocess.Popen[str]:
        prelude = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from aimstore.abc import KeyRange, Mode, WriteBatch\n"
            f"from {options_type.__module__} import {options_type.__name__}\n"
            f"from {container_type.__module__} import {container_type.__name__}\n"
            f"Container, Options = {container_type.__name__}, {options_type.__name__}\n"
            "def say(*words): print(*words, flush=True)\n"
        )
        command = [sys.executable, "-c", prelude + code, *map(str, arguments)]
        started.append(subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        return started[-1]

    yield spawn_
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system takes the rights of root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def occupy() -> Callable[..., Path]:
    """`occupy(disk, but=n)` fills a file system but for `n` bytes with one file, and gives that."""

    def occupy_(disk: Path, *, but: int = 0) -> Path:
        ballast, free = disk / "ballast", os.statvfs(disk)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_frsize - but)
        return ballast

    return occupy_
