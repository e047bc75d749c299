"""Where a repository is, and how its directory comes into being at one stroke."""

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
"""Name of the engine that made what is stored, beside the configuration, which somebody may edit."""

_LAYOUT: Final = tuple(f"{area}/{kind}" for area in ("meta", "seqs") for kind in ("chunks", "progress", "locks"))


def directory_of(path: str | os.PathLike[str]) -> Path:
    """The `.aim` directory that `path` means: `path` itself, or the one in it. It need not exist."""
    absolute = Path(path).expanduser().absolute()
    return absolute if absolute.name == DIRECTORY else absolute / DIRECTORY


def find(path: str | os.PathLike[str] | None) -> Path:
    """The `.aim` directory in the folder `path`; for None the nearest one from the working directory upward.

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
    """Whether a repository may be made at `directory`: nothing is there, or nothing is in it."""
    return not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))


def create(directory: Path, config: RepoConfig) -> None:
    """Make a repository. Others who do so at the same moment find this one, or this one finds theirs; nobody sees half of one.

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
            return  # somebody else was faster
        raise StorageError(f"cannot make a repository at {directory}: {error.strerror or error}") from error


def read_own_config(directory: Path) -> RepoConfig:
    """The configuration of the repository at `directory`.

    Raises:
        RepositoryError: it is not a repository of aimstore.
        ConfigError: its configuration is broken, or names another engine than the one that its runs are stored by.
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
    """Note which engine makes what is stored in the repository at `directory`."""
    (directory / BACKEND).write_text(f"{backend}\n")


def noted_backend(directory: Path) -> str | None:
    """The engine that was noted; None where there is no note."""
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
