from __future__ import annotations

from pathlib import Path

import pytest

from aimstore.config import RepoConfig, write_config
from aimstore.errors import ConfigError, RepositoryError, RepositoryNotFoundError, StorageError
from aimstore.repository.location import create, directory_of, find, is_empty, note_backend, read_own_config


def test_a_path_means_the_folder_or_the_directory_in_it(tmp_path: Path) -> None:
    assert directory_of(tmp_path) == directory_of(tmp_path / ".aim") == tmp_path / ".aim"


def test_the_nearest_one_upward_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(tmp_path / ".aim", RepoConfig())
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find(None) == tmp_path / ".aim"
    with pytest.raises(RepositoryNotFoundError, match="aimstore init"):
        find(deep)


def test_creation_makes_the_whole_layout_at_one_stroke(tmp_path: Path) -> None:
    assert is_empty(tmp_path / ".aim")
    create(tmp_path / ".aim", RepoConfig(backend="rocksdb"))
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == [
        ".aim",
        ".aim/backend",
        ".aim/config.toml",
        *[f".aim/{area}{kind}" for area in ("meta", "seqs") for kind in ("", "/chunks", "/locks", "/progress")],
    ]
    assert read_own_config(tmp_path / ".aim") == RepoConfig()


def test_a_configuration_that_names_another_engine_is_refused(tmp_path: Path) -> None:
    create(tmp_path / ".aim", RepoConfig(backend="rocksdb"))
    write_config(tmp_path / ".aim" / "config.toml", RepoConfig(backend="other"))
    with pytest.raises(ConfigError, match=r"names the backend 'other'.* was made by 'rocksdb'.*aimstore convert"):
        read_own_config(tmp_path / ".aim")
    note_backend(tmp_path / ".aim", "other")
    assert read_own_config(tmp_path / ".aim").backend == "other"


def test_of_two_that_create_the_first_one_holds(tmp_path: Path) -> None:
    create(tmp_path / ".aim", RepoConfig(metadata_url="sqlite:///first"))
    create(tmp_path / ".aim", RepoConfig(metadata_url="sqlite:///second"))
    assert read_own_config(tmp_path / ".aim").metadata_url == "sqlite:///first"
    assert [path.name for path in tmp_path.iterdir()] == [".aim"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    (tmp_path / ".aim").mkdir()
    create(tmp_path / ".aim", RepoConfig())
    assert read_own_config(tmp_path / ".aim") == RepoConfig()


def test_where_it_cannot_be_made_the_path_and_the_cause_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/\.aim: Not a directory"):
        create(tmp_path / "file" / ".aim", RepoConfig())


def test_what_another_program_made_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / ".aim"
    (directory / "meta" / "chunks").mkdir(parents=True)
    with pytest.raises(RepositoryError, match="Aim itself"):
        read_own_config(directory)
    (tmp_path / "other").mkdir()
    with pytest.raises(RepositoryError, match="is not a repository"):
        read_own_config(tmp_path / "other")
