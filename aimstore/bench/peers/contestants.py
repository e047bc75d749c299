"""aimstore and other tools as contestants: loops in processes of their own environments."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aimstore.bench.peers import loops
from aimstore.bench.peers.rows import Row
from aimstore.bench.peers.tools import AIMSTORE, PEERS, Tool
from aimstore.bench.peers.venvs import CACHE, NotInstalledError, python_of, versions_of
from aimstore.bench.processes import answer_of
from aimstore.bench.runner import Plan
from aimstore.bench.sizes import size_of
from aimstore.errors import ConfigError, did_you_mean

_SCALED = ("calls", "runs")
"""Arguments that are scaled by `Tool.share`."""

SCALED_MINIMUM = 10
"""Least value of a scaled argument."""


class Peer:
    """A tool, with the Python that has it."""

    def __init__(self, tool: Tool, python: Path) -> None:
        self.name = tool.name
        self._tool = tool
        self._python = python

    def refusal(self, plan: Plan) -> str:
        return "" if _row(plan).loop in self._tool.loops else "it has no such operation, or not without a server"

    def prepare(self, plan: Plan, folder: Path) -> None:
        folder.mkdir(parents=True)
        arguments = self._arguments(plan)
        self._loop("init", folder, {})
        for loop, given in _row(plan).prepare:
            if loop != "index" or "reindex" in self._tool.loops:
                self._loop(loop, folder, {theirs: arguments[ours] for theirs, ours in given.items()})

    def repeat(self, plan: Plan, folder: Path) -> dict[str, float]:
        row, arguments = _row(plan), self._arguments(plan)
        if not row.filesystem:
            folder.mkdir(parents=True)
            return self._loop(row.loop, folder, None)
        if plan.prepared:
            return self._loop(row.loop, folder, self._loop_arguments(row, arguments))
        folder.mkdir(parents=True)
        self._loop("init", folder, {})
        before = size_of(folder)
        sample = self._loop(row.loop, folder, arguments)
        return {
            **sample,
            "before_bytes": before,
            "units": math.prod(arguments[unit] for unit in row.units) if row.units else 0,
        }

    def _loop_arguments(self, row: Row, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments of the measured loop; the others are those of the preparing loops."""
        if row.loop in ("query", "reindex"):
            return {"runs": arguments["runs"]}
        return arguments

    def _arguments(self, plan: Plan) -> dict[str, Any]:
        share = self._tool.share
        return {
            name: max(min(value, SCALED_MINIMUM), int(value * share)) if name in _SCALED else value
            for name, value in plan.sizes.items()
        }

    def _loop(self, loop: str, folder: Path, arguments: Mapping[str, Any] | None) -> dict[str, float]:
        given = {} if arguments is None else {"folder": os.fspath(folder), **arguments}
        command: list[str | Path] = [
            self._python,
            "-m",
            f"{loops.__name__.rpartition('.')[2]}.{self.name}",
            loop,
            json.dumps(given),
        ]
        sample: dict[str, float] = answer_of(
            command, cwd=folder, environment={"PYTHONPATH": _path(self._tool), "PYTHONDONTWRITEBYTECODE": "1"}
        )
        return sample


def _path(tool: Tool) -> str:
    """The folder of the loops as PYTHONPATH; for aimstore with what this process has there."""
    parent = os.fspath(Path(loops.__path__[0]).parent)
    inherited = os.environ.get("PYTHONPATH") if tool is AIMSTORE else None
    return os.pathsep.join(filter(None, (parent, inherited)))


def _row(plan: Plan) -> Row:
    assert isinstance(plan.data, Row)
    return plan.data


def contestants_of(
    names: Sequence[str], venvs: Path | None, aim_python: Path | None, say: Callable[[str], None]
) -> tuple[list[Peer], dict[str, dict[str, str]], dict[str, str]]:
    """aimstore and the tools of these names, or all, each with its environment, which is made where it is missing.

    Args:
        names: of the tools; "none" for aimstore alone.
        venvs: folder of the environments.
        aim_python: a Python that has Aim.
        say: told of what takes long.

    Returns:
        the contestants; the versions of each; and the tools that cannot be installed, with the reason.

    Raises:
        ConfigError: there is no such tool.
    """
    known = {tool.name: tool for tool in PEERS}
    for name in names:
        if name not in known and name != "none":
            raise ConfigError(f"no peer {name!r}{did_you_mean(name, known) or '.'} There are {', '.join(known)}")
    contestants = [Peer(AIMSTORE, Path(sys.executable))]
    versions = {AIMSTORE.name: versions_of(Path(sys.executable), (AIMSTORE.package, *AIMSTORE.also))}
    missing = {}
    folder = (venvs or CACHE).expanduser().absolute()
    for tool in PEERS:
        if names and tool.name not in names:
            continue
        try:
            if tool.name == "aim" and aim_python is not None:
                python = aim_python.absolute()
            else:
                place = folder / tool.distribution.replace("==", "-")
                python = python_of(place, [tool.distribution, *tool.also], tool.python, say)
            versions[tool.name] = versions_of(python, (tool.package, *tool.also))
        except NotInstalledError as error:
            missing[tool.name] = str(error)
            say(f"{tool.name} is left out: {error}")
            continue
        contestants.append(Peer(tool, python))
    return contestants, versions, missing
