"""Following `"module:attribute"`, and what is said where that leads nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aimstore.errors import ConfigError, PluginError
from aimstore.plugins import BackendSpec, PluginManager
from aimstore.testing.waiting import WAIT_SECONDS


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package `lab_engine`, empty; every test sees a fresh one."""
    folder = tmp_path / "lab_engine"
    folder.mkdir()
    folder.joinpath("__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "lab_engine"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def spec(factory: str = "lab_engine.backend:Backend", extra: str = "lab", options: str = "") -> BackendSpec:
    return BackendSpec(name="lab", summary="s", extra=extra, factory=factory, options=options)


def test_a_factory_and_options_are_loaded(manager: PluginManager) -> None:
    found = spec("aimstore.errors:ConfigError", options="aimstore.errors:ConfigError.__name__")
    assert manager.load(found) is ConfigError
    assert manager.load_options(found) == "ConfigError"
    assert manager.load_options(spec()) is None


@pytest.mark.parametrize(("extra", "remedy"), [("lab", "pip install 'aimstore[lab]'"), ("", "install it with pip")])
def test_a_missing_library_names_the_command_that_installs_it(
    manager: PluginManager, package: Path, extra: str, remedy: str
) -> None:
    package.joinpath("backend.py").write_text("import lab_native_library")
    with pytest.raises(PluginError) as caught:
        manager.load(spec(extra=extra))
    assert str(caught.value) == f"backend 'lab' needs lab_native_library, which is not installed: {remedy}"


def test_a_library_that_does_not_import_names_the_reason_and_the_command(manager: PluginManager, package: Path) -> None:
    package.joinpath("backend.py").write_text("raise ImportError('libz.so.9: cannot open shared object file')")
    with pytest.raises(PluginError, match=r"\(libz\.so\.9: .*\): pip install 'aimstore\[lab\]'"):
        manager.load(spec())


@pytest.mark.parametrize(
    ("factory", "source", "message"),
    [
        (
            "lab_engine.nowhere:Backend",
            "",
            "points to 'lab_engine.nowhere:Backend', but there is no module 'lab_engine.n",
        ),
        ("lab_nowhere.backend:Backend", "", "but there is no module 'lab_nowhere'"),
        ("lab_engine.backend:Bakend", "class Backend: ...", "has no 'Bakend'; did you mean 'Backend'?"),
        ("lab_engine.backend:Backend.x.y", "class Backend: x = 5", "lab_engine.backend has no 'y'"),
        ("lab_engine.backend:Backend", "import lab_engine.other", "is broken: No module named 'lab_engine.other'"),
        ("lab_engine.backend:Backend", "1 / 0", "is broken: importing lab_engine.backend raised ZeroDivisionError"),
    ],
)
def test_a_reference_to_nothing_says_what_is_missing(
    manager: PluginManager, package: Path, factory: str, source: str, message: str
) -> None:
    package.joinpath("backend.py").write_text(source)
    with pytest.raises(PluginError) as caught:
        manager.load(spec(factory))
    assert str(caught.value).startswith("backend 'lab' ")
    assert message in str(caught.value)
    assert "pip install" not in str(caught.value)


def test_a_fork_waits_for_a_plugin_that_another_thread_imports(package: Path) -> None:
    """Otherwise the child would wait for that import for ever: it has no such thread."""
    (package / "backend.py").write_text(
        "import time, lab_engine\n"
        "lab_engine.imported.set()\n"
        "lab_engine.forking.wait()\n"
        "time.sleep(0.1)  # a fork that does not wait comes in between\n"
        "class Backend: pass\n"
    )
    program = """
import os, threading
import lab_engine
from aimstore.plugins import BackendSpec, PluginManager
from aimstore.testing.waiting import WAIT_SECONDS
lab_engine.imported, lab_engine.forking = threading.Event(), threading.Event()
os.register_at_fork(before=lab_engine.forking.set)
spec = BackendSpec(name="lab", summary="s", factory="lab_engine.backend:Backend")
thread = threading.Thread(target=PluginManager().load, args=(spec,))
thread.start()
lab_engine.imported.wait()
if not os.fork():
    PluginManager().load(spec)
    os._exit(7)
thread.join()
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    environment = os.environ | {"PYTHONPATH": os.fspath(package.parent)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False)
    assert (done.stdout, done.stderr) == ("7\n", "")
