"""What `aimstore backends` says of engines that work, and of all that does not."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from aimstore.plugins import BackendSpec, PluginManager, hookimpl
from aimstore_lmdb.config import LMDBOptions

WITHOUT_LMDB = "import sys; sys.modules['lmdb'] = None; from aimstore.cli import main; main()"


class Other:
    """A plug-in with an engine that is not where its spec says."""

    @hookimpl
    def aimstore_backends(self) -> list[BackendSpec]:
        return [BackendSpec(name="other", summary="Another engine", factory="json:no_such_thing", library="no-such")]


class Broken:
    @hookimpl
    def aimstore_indexers(self) -> Any:
        return "nothing of the kind"


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> PluginManager:
    made = PluginManager(disabled=["unwanted"])
    made.register(Other(), "other")
    made.register(Broken(), "broken")
    for module in ("program", "backends"):
        monkeypatch.setattr(f"aimstore.cli.{module}.plugins", lambda: made)
    return made


@pytest.mark.usefixtures("manager")
def test_engines_have_a_version_capabilities_and_options(invoke: Any, invoke_json: Any) -> None:
    engines = {each["name"]: each for each in invoke_json("backends")["backends"]}
    for name, library in (("rocksdb", "rocksdict"), ("lmdb", "lmdb"), ("memory", "aimstore")):
        assert (engines[name]["library"], engines[name]["version"]) == (library, version(library))
        assert (engines[name]["installed"], engines[name]["error"]) == (True, "")
    assert engines["rocksdb"]["capability"]["persistent"] is True
    assert engines["memory"]["capability"]["persistent"] is False
    assert engines["memory"]["options"] == []
    defaults = {option["name"]: option["default"] for option in engines["lmdb"]["options"]}
    assert defaults == {"map_size": "1GiB", "sync": "batch"}
    assert LMDBOptions.parse(defaults) == LMDBOptions()
    lines = [" ".join(line.split()) for line in invoke("backends").stdout.splitlines()]
    assert f"rocksdb yes rocksdict {version('rocksdict')} persistent, multi process, durable sync" in " ".join(lines)
    assert "lmdb sync batch one of 'batch', 'flush'" in lines


@pytest.mark.usefixtures("manager")
def test_what_cannot_be_used_is_listed_with_the_reason(invoke: Any, invoke_json: Any) -> None:
    found = invoke_json("backends")
    [other] = [each for each in found["backends"] if each["name"] == "other"]
    assert (other["installed"], other["version"], other["capability"], other["options"]) == (False, "", None, [])
    assert "points to 'json:no_such_thing'" in other["error"]
    assert [each["name"] for each in found["broken"]] == ["broken"]
    assert found["disabled"] == ["unwanted"]
    result = invoke("backends")
    assert "other: backend 'other' points to" in result.stdout
    assert "plug-in 'broken' is broken: aimstore_indexers returns a list" in result.stdout
    assert "plug-in 'unwanted' is disabled by AIMSTORE_DISABLED_PLUGINS" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["backends"], 0),
        (["init", "--backend", "lmdb"], 2),
        (["convert", ".", "new", "--backend", "lmdb"], 2),
        (["conformance", "lmdb"], 2),
    ],
)
def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, arguments: list[str], status: int
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT_LMDB, *arguments], cwd=tmp_path, capture_output=True, text=True, env=os.environ
    )
    assert ended.returncode == status
    said = ended.stdout + ended.stderr
    assert "backend 'lmdb' needs lmdb, which is not installed: pip install 'aimstore[lmdb]'" in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
