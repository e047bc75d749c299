"""The program as a whole: its help, its exit codes, its manners."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from aimstore import Repo
from aimstore.cli import COMMANDS, main
from aimstore.cli.runs import runs
from aimstore.errors import RepositoryNotFoundError, StorageError
from aimstore.plugins import CommandSpec, PluginManager, hookimpl

PROGRAM = [sys.executable, "-c", "from aimstore.cli import main; main(prog_name='aimstore')"]


def every_command() -> Iterator[tuple[str, ...]]:
    for spec in COMMANDS:
        yield (spec.name,)
    for name in runs.commands:
        yield ("runs", name)


@pytest.mark.parametrize("command", list(every_command()), ids=" ".join)
def test_every_command_shows_an_example_in_its_help(invoke: Any, command: tuple[str, ...]) -> None:
    help_text = invoke(*command, "--help").stdout
    assert f"  $ aimstore {' '.join(command)}" in help_text
    assert "--traceback" in help_text or command == ("runs",)


def test_the_listing_says_of_commands_what_they_say_of_themselves() -> None:
    context = click.Context(main)
    for spec in COMMANDS:
        command = main.get_command(context, spec.name)
        assert command is not None
        assert command.get_short_help_str(100) == spec.summary


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from aimstore.cli import main; main(['--help'], standalone_mode=False);"
        "print([name for name in ('numpy', 'sqlalchemy', 'rich', 'rocksdict', 'RestrictedPython', 'aimstore.repo')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_listing_runs_loads_no_numpy(repo: Repo) -> None:
    code = "import sys; from aimstore.cli import main; main(['runs', 'ls'], standalone_mode=False);" + (
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, cwd=repo.path.parent)


def test_the_repository_may_be_named_before_the_command_and_after(invoke: Any, scene: Any, tmp_path: Path) -> None:
    before = invoke("--repo", scene.path, "runs", "ls", "--json").stdout
    assert scene.first in before
    invoke("--repo", tmp_path / "nowhere", "runs", "ls", "--repo", scene.path)
    invoke("--repo", scene.path, "runs", "ls", "--repo", tmp_path / "nowhere", exit=2)


def test_the_nearest_repository_upward_is_used(
    invoke: Any, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert str(repo.path) in invoke("status").stdout


@pytest.mark.parametrize(
    "args", [["rnus"], ["runs", "ls", "--lmit", "1"], ["runs", "show"], ["runs", "ls", "--limit", "x"]]
)
def test_bad_use_has_exit_code_2(invoke: Any, args: list[str]) -> None:
    invoke(*args, exit=2)


def test_a_mistake_is_one_message_without_a_traceback(invoke: Any, tmp_path: Path) -> None:
    result = invoke("status", "--repo", tmp_path, exit=2)
    assert result.stdout == ""
    assert result.stderr == f"Error: no repository at {tmp_path}/.aim; `aimstore init --repo {tmp_path}` makes one\n"


def test_a_failure_has_exit_code_1(invoke: Any, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Repo) -> Any:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(Repo, "status", fail)
    assert invoke("status", exit=1).stderr == "Error: the disk is gone\n"


@pytest.mark.parametrize("args", [["--traceback", "status"], ["status", "--traceback"]])
def test_the_traceback_is_shown_on_request(invoke: Any, tmp_path: Path, args: list[str]) -> None:
    with pytest.raises(RepositoryNotFoundError):
        invoke("--repo", tmp_path, *args)


def test_the_traceback_is_shown_on_request_of_the_environment(
    invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("click.testing.CliRunner.make_env", lambda *_: {"AIMSTORE_DEBUG": "1"})
    with pytest.raises(RepositoryNotFoundError):
        invoke("--repo", tmp_path, "status")


def test_a_reader_that_goes_away_is_no_error(scene: Any) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*PROGRAM, "runs", "ls", "--json", "--repo", scene.path], stdout=writing, stderr=subprocess.PIPE, text=True
        )
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


def test_an_interruption_is_quiet() -> None:
    code = (
        "import os, signal, click; from aimstore.cli import main; from aimstore.cli.runs import runs\n"
        "runs.commands['ls'].callback = lambda **_: os.kill(os.getpid(), signal.SIGINT)\n"
        "main(['runs', 'ls'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 128 + signal.SIGINT)


def in_terminal(width: int, *args: str) -> list[str]:
    """Lines that the program shows in a terminal `width` columns wide."""
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": str(width), "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen([*PROGRAM, *args], stdout=follower, stderr=subprocess.PIPE, env=environment) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # the other side is closed
                break
            if not part:
                break
            shown += part
    os.close(leader)
    assert process.returncode == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()  # bold is no colour


def test_a_narrow_terminal_gets_one_line_for_each_run(scene: Any) -> None:
    header, *lines = in_terminal(70, "runs", "ls", "--repo", str(scene.path))
    assert "metrics" not in header.split()
    assert all(len(line) <= 70 for line in lines)
    assert {line.split()[0] for line in lines} == {
        run[:8] for run in (scene.first, scene.second, scene.stalled, scene.active)
    }


def test_a_wide_terminal_gets_whole_hashes(scene: Any) -> None:
    header, *lines = in_terminal(200, "runs", "ls", "--repo", str(scene.path))
    assert "metrics" in header.split()
    assert scene.first in {line.split()[0] for line in lines}


# Commands of plug-ins


@click.command()
@click.argument("name")
def greet(name: str) -> None:
    click.echo(f"hello {name}")


no_command = "a text"


class Commands:
    def __init__(self, *specs: CommandSpec) -> None:
        self.specs = list(specs)

    @hookimpl
    def aimstore_cli_commands(self) -> list[CommandSpec]:
        return self.specs


@pytest.fixture
def add(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`add(name, factory)` gives the program a command of a plug-in, in a module `greetings`."""
    manager = PluginManager(entry_points=False, disabled=())
    monkeypatch.setattr("aimstore.cli.program.plugins", lambda: manager)
    monkeypatch.setitem(sys.modules, "greetings", sys.modules[__name__])

    def register(name: str, factory: str) -> None:
        manager.register(Commands(CommandSpec(name=name, summary="Say something.", factory=factory)), name)

    return register


def test_a_plug_in_adds_a_command(invoke: Any, add: Any) -> None:
    add("greet", "greetings:greet")
    assert "greet Say something." in " ".join(invoke("--help").stdout.split())
    assert invoke("greet", "you").stdout == "hello you\n"


def test_a_command_is_imported_when_it_is_run(invoke: Any, add: Any) -> None:
    add("absent", "no_such_module_of_ours:command")
    assert "absent" in invoke("--help").stdout
    assert "no_such_module_of_ours" in invoke("absent", exit=2).stderr


def test_what_is_no_command_is_refused(invoke: Any, add: Any) -> None:
    add("text", "greetings:no_command")
    assert "is no click.Command" in invoke("text", exit=2).stderr


def test_a_command_with_the_name_of_a_builtin_one_is_reported_and_ignored(invoke: Any, add: Any) -> None:
    add("runs", "greetings:greet")
    result = invoke("--help")
    assert "the command 'runs' of a plug-in is ignored" in result.stderr
    assert "Say something." not in result.stdout
    assert "show" in invoke("runs", "--help").stdout
