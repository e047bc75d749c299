"""Runs rows: fresh processes, the contestants in turn, and what each left on the disk."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from .rows import Row

Samples: TypeAlias = dict[str, list[dict[str, float]]]
"""The results of each contestant, one for each repetition."""


def run_row(
    row: Row, pythons: dict[str, Path], places: dict[str, Path], quick: bool, done: Callable[[], None]
) -> Samples:
    """Measure a row.

    Args:
        pythons: of the contestants, in their order.
        places: folder for "disk" and "tmpfs".
        done: called after each repetition.
    """
    arguments = row.arguments | (row.quick if quick else {})
    samples: Samples = {name: [] for name in pythons if row.aim or name != "aim"}
    with tempfile.TemporaryDirectory(prefix="aimstore-benchmark-", dir=places.get(row.place)) as scratch:
        prepared = {name: Path(scratch, name) for name in samples if row.prepare}
        for name, folder in prepared.items():
            _make(pythons[name], name, folder)
            for workload, given in row.prepare:
                taken = {theirs: arguments[ours] for theirs, ours in given.items()}
                _loop(pythons[name], name, workload, {"folder": os.fspath(folder), **taken})
        for _ in range(2 if quick else row.repetitions):
            for name in samples:
                samples[name].append(
                    _repetition(row, arguments, pythons[name], name, prepared.get(name), Path(scratch))
                )
                done()
    return samples


def _repetition(
    row: Row, arguments: dict[str, Any], python: Path, name: str, prepared: Path | None, scratch: Path
) -> dict[str, float]:
    if not row.place:
        return _loop(python, name, row.workload, {})
    if prepared is not None:
        return _loop(python, name, row.workload, {"folder": os.fspath(prepared), **arguments})
    folder = scratch / "repository"
    empty = _make(python, name, folder)
    result = _loop(python, name, row.workload, {"folder": os.fspath(folder), **arguments})
    if row.units:
        result["bytes"] = (size_of(folder) - empty) / math.prod(arguments[unit] for unit in row.units)
    shutil.rmtree(folder)
    return result


def _make(python: Path, name: str, folder: Path) -> int:
    """Make an empty repository; its size."""
    folder.mkdir()
    _loop(python, name, "init", {"folder": os.fspath(folder)})
    return size_of(folder)


def _loop(python: Path, name: str, workload: str, arguments: dict[str, Any]) -> dict[str, float]:
    script = Path(__file__).with_name(f"loops_{name}.py")
    ran = subprocess.run([python, script, workload, json.dumps(arguments)], capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"{script.name} {workload} {arguments} failed:\n{ran.stderr}")
    result: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return result


def size_of(folder: Path) -> int:
    """Bytes of the files under `folder`; a file counts with what it holds or what is allocated to it, whichever is less, so
    that neither the blocks of one file system nor space that was only reserved counts."""
    found = [path.lstat() for path in folder.rglob("*") if path.is_file()]
    return sum(min(each.st_size, each.st_blocks * 512) for each in found)
