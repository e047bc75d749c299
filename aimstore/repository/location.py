"""Where a repository is, and how its directory is created atomically."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from aimstore.config import RepoConfig, read_config, write_config
from aimstore.errors import ConfigError, RepositoryError, RepositoryNotFoundError, StorageError

DIRECTORY: Final = ".aim"
CONFIG: Final = "config.toml"
BACKEND: Final = "backend"
"""File that names the engine of the stored data. It is separate from the configuration, which users may edit."""

_LAYOUT: Final = tuple(f"{area}/{kind}" for area in ("meta", "seqs") for kind in ("chunks", "progress", "locks"))


def directory_of(path: str | os.PathLike[str]) -> Path:
    """The `.aim` directory for `path`: `path` itself, or the `.aim` in it. It need not exist."""
    absolute = Path(path).expanduser().absolute()
    return absolute if absolute.name == DIRECTORY else absolute / DIRECTORY


def find(path: str | os.PathLike[str] | None) -> Path:
    """The `.aim` directory in the folder `path`; for None, the nearest one from the working directory upward.

    Raises:
        RepositoryNotFoundError: there is none.
    """
    if path is not None:
        directory = directory_of(path)
        if directory.is_dir():
            return directory
        raise RepositoryNotFoundError(
            f"no repository at {directory}; `aimstore init --repo {directory.parent}` makes one"
        )
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / DIRECTORY).is_dir():
            return folder / DIRECTORY
    raise RepositoryNotFoundError(f"no {DIRECTORY} in {here} or above; `aimstore init` makes one here")


def is_empty(directory: Path) -> bool:
    """Whether a repository may be created at `directory`: it does not exist, or it is empty."""
    return not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))


def create(directory: Path, config: RepoConfig) -> None:
    """Create a repository atomically. If several processes do so at once, all use the repository of the first.

    Raises:
        StorageError: the operating system refused.
    """
    draft = directory.with_name(f"{DIRECTORY}.{os.urandom(4).hex()}.new")
    try:
        for part in _LAYOUT:
            (draft / part).mkdir(parents=True)
        write_config(draft / CONFIG, config)
        note_backend(draft, config.backend)
        draft.rename(directory)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not is_empty(directory):
            return  # another process was faster
        raise StorageError(f"cannot make a repository at {directory}: {error.strerror or error}") from error


def read_own_config(directory: Path) -> RepoConfig:
    """Read the configuration of the repository at `directory`.

    Raises:
        RepositoryError: the directory is not a repository of aimstore.
        ConfigError: the configuration is broken, or names an engine other than the engine of the stored runs.
    """
    if (directory / CONFIG).exists():
        config = read_config(directory / CONFIG)
        _check_backend(directory, config.backend)
        return config
    if (directory / "VERSION").exists() or (directory / "meta").exists():
        raise RepositoryError(
            f"{directory} was made by Aim itself, or has lost its {CONFIG}; aimstore does not touch it. "
            f"Use another folder, or move it out of the way"
        )
    raise RepositoryError(f"{directory} is not a repository: it has no {CONFIG}. `aimstore init` makes one elsewhere")


def note_backend(directory: Path, backend: str) -> None:
    """Store the name of the engine of the repository at `directory`."""
    (directory / BACKEND).write_text(f"{backend}\n")


def noted_backend(directory: Path) -> str | None:
    """The engine stored by `note_backend`, or None."""
    try:
        return (directory / BACKEND).read_text().strip()
    except FileNotFoundError:
        return None


def _check_backend(directory: Path, configured: str) -> None:
    noted = noted_backend(directory)
    if noted not in (None, configured):
        raise ConfigError(
            f"{directory / CONFIG} names the backend {configured!r}, but what is stored there was made by {noted!r}: "
            f"set [storage] backend = {noted!r} again; `aimstore convert` brings runs to another engine, and "
            f"`aimstore config storage.backend {configured}` changes it where there are no runs"
        )
