from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aimstore import Repo, Run
from aimstore.config import read_config
from aimstore.plugins import BackendSpec, PluginManager, hookimpl


@pytest.fixture
def file(repo: Repo) -> Path:
    return repo.path / "config.toml"


def test_init_makes_a_repository_with_settings(invoke: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rows.db"
    options = ["--option", "write_buffer_size=8MiB", "--option", "max_open_files=-1"]
    text = invoke("init", "--repo", tmp_path / "new", "--backend", "rocksdb", *options, "--metadata-url", url).stdout
    assert str(tmp_path / "new" / ".aim") in text
    config = read_config(tmp_path / "new" / ".aim" / "config.toml")
    assert config.options == {"write_buffer_size": "8MiB", "max_open_files": -1}
    assert config.metadata_url == url


def test_init_leaves_a_repository_as_it_is(invoke: Any, invoke_json: Any, repo: Repo) -> None:
    assert invoke_json("init") == {"path": str(repo.path), "backend": "rocksdb", "created": False}
    assert "is there already" in invoke("init").stdout
    assert "instead of" in invoke("init", "--option", "block_size=32KiB", exit=2).stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--backend", "rockdb"], "rocksdb"),
        (["--option", "block_size"], "not KEY=VALUE"),
        (["--option", "block_size=tiny"], "block_size"),
        (["--option", "blocksize=32KiB"], "did you mean 'block_size'"),
    ],
)
def test_init_with_settings_that_are_no_good_makes_nothing(
    invoke: Any, tmp_path: Path, args: list[str], message: str
) -> None:
    assert message in invoke("init", "--repo", tmp_path / "new", *args, exit=2).stderr
    assert not (tmp_path / "new").exists()


def test_config_prints_the_file(invoke: Any, invoke_json: Any, file: Path) -> None:
    assert invoke("config").stdout == file.read_text().rstrip() + "\n"
    assert invoke_json("config")["storage"] == {"backend": "rocksdb", "options": {}}


def test_config_prints_a_file_that_is_broken(invoke: Any, file: Path) -> None:
    file.write_text("[storage\n")
    assert invoke("config").stdout == "[storage\n"
    assert "not valid TOML" in invoke("config", "storage.backend", exit=2).stderr


def test_config_gets_values_and_tables(invoke: Any, invoke_json: Any, file: Path) -> None:
    assert invoke("config", "storage.backend").stdout == "rocksdb\n"
    assert invoke("config", "format_version").stdout == "1\n"
    assert invoke("config", "indexer").stdout == 'name = "container"\n'
    assert invoke_json("config", "indexer") == {"name": "container"}


def test_config_sets_a_value_that_the_engine_accepts(invoke: Any, file: Path) -> None:
    assert invoke("config", "storage.options.write_buffer_size", "8MiB").stdout == "8MiB\n"
    invoke("config", "storage.options.max_open_files", "--", "-1")
    assert read_config(file).options == {"write_buffer_size": "8MiB", "max_open_files": -1}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("storage.options.write_buffer_size", "4"),
        ("storage.options.write_bufer_size", "4MiB"),
        ("storage.options", "{ block_size = 1 }"),
        ("storage.options", "none"),
        ("storage.backend", "rockdb"),
        ("storage.backend", "7"),
        ("storage.backnd", "rocksdb"),
        ("storage.backend.name", "rocksdb"),
        ("indexer.name", "sql"),
        ("query.engine", "sql"),
        ("metadata.url", "no url"),
        ("format_version", "2"),
    ],
)
def test_config_refuses_what_somebody_does_not_accept(invoke: Any, file: Path, key: str, value: str) -> None:
    before = file.read_text()
    invoke("config", key, value, exit=2)
    assert file.read_text() == before


def test_config_says_what_another_metadata_database_does_not_hold(invoke: Any, file: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/rows.db"
    assert "not moved" in invoke("config", "metadata.url", url).stderr
    assert invoke("config", "metadata.url", url).stderr == ""


def test_config_of_another_program_is_refused(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / ".aim" / "meta").mkdir(parents=True)
    assert "made by Aim itself" in invoke("config", "--repo", tmp_path, exit=2).stderr


class Other:
    @hookimpl
    def aimstore_backends(self) -> list[BackendSpec]:
        return [BackendSpec(name="other", summary="Another engine", factory="json:no_such_thing")]


def test_the_engine_of_runs_cannot_be_exchanged(invoke: Any, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = PluginManager()
    manager.register(Other(), "other")
    monkeypatch.setattr("aimstore.cli.settings.plugins", lambda: manager)
    with Run(repo=repo):
        pass
    assert "are stored by rocksdb" in invoke("config", "storage.backend", "other", exit=2).stderr
