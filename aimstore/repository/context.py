"""`RepositoryContext`: the opened parts of one repository, shared by all code that works on it."""

from __future__ import annotations

import os
import threading
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from aimstore.abc import Backend, Indexer, Query
from aimstore.config import RepoConfig
from aimstore.metadata import open_store
from aimstore.plugins import plugins
from aimstore.process import shield, track_forks
from aimstore.repository.limits import RepositoryLimits

if TYPE_CHECKING:
    from aimstore.metadata.store import MetadataStore

DATABASE_FILE: Final = "run_metadata.sqlite"
_DATABASE_LOCK: Final = "meta/database"


class _Engines(NamedTuple):
    backend: Backend
    indexer: Indexer


class RepositoryContext:
    """Owns the backend, the indexer, the query engine and the metadata database of a repository, and its limits.

    Each part is opened on first use. Several threads may use a context. A forked child may use it too, and opens every
    part again.

    Attributes:
        path: the `.aim` directory, shown in messages and passed to plug-ins.
        directory: the same path as a `Path`.
        config: the content of `config.toml` when the repository was opened.
        limits: limits and waits.
    """

    def __init__(self, directory: Path, config: RepoConfig, limits: RepositoryLimits | None = None) -> None:
        self.directory = directory
        self.path = os.fspath(directory)
        self.config = config
        self.limits = limits or RepositoryLimits()
        self._forget_handles()
        track_forks(self)

    def _forget_handles(self) -> None:
        self._mutex = threading.RLock()
        self._engines: _Engines | None = None
        self._database: MetadataStore | None = None

    _after_fork_in_child = _forget_handles

    @property
    def backend(self) -> Backend:
        """The storage engine named in the configuration."""
        return (self._engines or self._open_engines()).backend

    @property
    def indexer(self) -> Indexer:
        """The indexer named in the configuration."""
        return (self._engines or self._open_engines()).indexer

    @property
    def database(self) -> MetadataStore:
        """The metadata database. Loading its library takes as long as opening all other parts together."""
        return self._database or self._open_database()

    @cached_property
    def query_engine(self) -> Query:
        """The query language named in the configuration."""
        manager = plugins()
        return manager.make_query_engine(manager.query_engine(self.config.query))

    def _open_engines(self) -> _Engines:
        with shield, self._mutex:
            if self._engines is None:
                manager = plugins()
                spec = manager.backend(self.config.backend)
                backend = manager.make_backend(spec, self.directory, self.config.options)
                self._engines = _Engines(backend, manager.make_indexer(manager.indexer(self.config.indexer), backend))
            return self._engines

    def _open_database(self) -> MetadataStore:
        with shield, self._mutex:
            if self._database is None:
                url = self.config.metadata_url or self.directory / DATABASE_FILE
                lock = partial(self.backend.lock, _DATABASE_LOCK, timeout=self.limits.waits.database)
                self._database = open_store(url, lock=lock)
            return self._database

    def close(self) -> None:
        """Release everything open for reading. A part that is needed later is opened again."""
        with self._mutex:
            if self._database is not None:
                self._database.close()
            if self._engines is not None:
                self._engines.indexer.close()
                self._engines.backend.close()
            self._database = self._engines = None
