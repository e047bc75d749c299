"""Installed plug-ins for the tests: real distributions on `sys.path`, found as `pip install` would have them found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aimstore.plugins import PluginManager

Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install(entry_point, module, source)` makes one module with one entry point of that name."""
    before = set(sys.modules)

    def add(entry_point: str, module: str, source: str) -> None:
        folder = tmp_path / module
        info = folder / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        info.joinpath("entry_points.txt").write_text(f"[aimstore]\n{entry_point} = {module}\n")
        folder.joinpath(f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(folder)

    yield add
    for name in set(sys.modules) - before:
        if (path := getattr(sys.modules[name], "__file__", None)) and Path(path).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.fixture
def manager() -> PluginManager:
    """A manager that knows only what is built in."""
    return PluginManager(entry_points=False, disabled=())
