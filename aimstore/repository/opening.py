"""Opens and creates repositories: from a path to a `Catalog`, with the settings checked first."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from aimstore.config import RepoConfig
from aimstore.errors import ConfigError, PluginError, RepositoryNotFoundError
from aimstore.plugins import plugins
from aimstore.process import shield
from aimstore.repository.catalog import Catalog, CatalogHolder
from aimstore.repository.context import RepositoryContext
from aimstore.repository.limits import RepositoryLimits
from aimstore.repository.location import CONFIG, create, directory_of, find, is_empty, read_own_config

_Identity = tuple[int, int]

_shared: WeakValueDictionary[tuple[Path, _Identity | None], Catalog] = WeakValueDictionary()
_shared_lock = threading.Lock()


def open_repository(path: str | os.PathLike[str] | None = None, *, limits: RepositoryLimits | None = None) -> Catalog:
    """Open the repository in the folder `path`; for None, the nearest one from the working directory upward.

    Reads only the configuration.

    Raises:
        RepositoryNotFoundError: there is no repository.
        RepositoryError: the `.aim` directory belongs to another program.
        ConfigError: the configuration is broken, from a newer version, or names a plug-in that is not installed.
    """
    directory = find(path)
    config = read_own_config(directory)
    try:
        check_settings(config)
    except (ConfigError, PluginError) as error:
        raise ConfigError(f"{directory / CONFIG}: {error}") from error
    return Catalog(RepositoryContext(directory, config, limits))


def init_repository(
    path: str | os.PathLike[str] = ".",
    *,
    backend: str | None = None,
    options: Mapping[str, Any] | None = None,
    metadata_url: str | None = None,
) -> Catalog:
    """Create a repository in the folder `path`, or open the existing repository. See `Repo.init`.

    Raises:
        ConfigError: the existing repository has other settings than those given, or the settings are invalid.
        RepositoryError: as for `open_repository`.
    """
    if options is not None and not isinstance(options, Mapping):
        raise ConfigError(f"options of an engine are a dict of values by name, not {options!r:.80}")
    directory = directory_of(path)
    given: dict[str, Any] = {"backend": backend, "options": dict(options or {}), "metadata_url": metadata_url}
    given = {key: value for key, value in given.items() if value}
    if is_empty(directory):
        config = RepoConfig(**given)
        check_settings(config)
        manager = plugins()
        manager.make_backend(manager.backend(config.backend), directory, config.options).close()
        create(directory, config)
    catalog = open_repository(directory)
    for key, value in given.items():
        found = getattr(catalog.context.config, key)
        if found != value:
            raise ConfigError(
                f"the repository {directory} exists already, with {key} {found!r} instead of {value!r}; "
                f"`aimstore config` shows its settings"
            )
    with shield:
        catalog.context.database.ensure_schema()
    return catalog


def shared_repository(path: str | os.PathLike[str] | None, *, create: bool = True) -> Catalog:
    """Open a repository, and share it with all other callers of this function in the process.

    Args:
        path: as for `open_repository`.
        create: create the repository if there is none; if `path` is None, in the working directory.
    """
    try:
        directory = find(path)
    except RepositoryNotFoundError:
        if not create:
            raise
        directory = init_repository(path or ".").context.directory
    with shield, _shared_lock:
        key = directory, _identity(directory)
        catalog = _shared.get(key)
        if catalog is None:
            catalog = _shared[key] = open_repository(directory)
        return catalog


def catalog_of(repo: CatalogHolder | str | os.PathLike[str] | None, *, create: bool = False) -> Catalog:
    """The catalog of a `Repo`, or of the shared repository at a path; see `shared_repository`."""
    return repo._catalog if isinstance(repo, CatalogHolder) else shared_repository(repo, create=create)


def context_of(repo: CatalogHolder) -> RepositoryContext:
    """The opened parts of a `Repo`, for programs that need more than its public interface."""
    return repo._catalog.context


def check_settings(config: RepoConfig) -> None:
    """Return if the plug-ins exist, the engine's library is installed, and the engine accepts the options.

    Raises:
        ConfigError, PluginError: otherwise.
    """
    manager = plugins()
    backend = manager.backend(config.backend)
    options = manager.load_options(backend)
    if options is not None:
        options.parse(config.options)
    manager.load(backend)
    manager.indexer(config.indexer)
    manager.query_engine(config.query)


def _identity(directory: Path) -> _Identity | None:
    """Distinguishes a repository from another one created later in the same folder."""
    try:
        stat = (directory / CONFIG).stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns
