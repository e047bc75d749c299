"""The SQLite backend: databases in the directory layout that all embedded engines share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aimstore.abc import Container, Lock, Mode
from aimstore.errors import ConfigError, StorageError
from aimstore.storage import FilesystemBackend
from aimstore_sqlite import engine
from aimstore_sqlite.container import SQLiteContainer


class SQLiteBackend(FilesystemBackend):
    """Stores each container as an SQLite database in a directory of its own. There are no options."""

    capability = SQLiteContainer.capability

    def __init__(self, root: Path | str, options: Mapping[str, Any] | None = None) -> None:
        super().__init__(Path(root))
        if options:
            raise ConfigError(f"sqlite has no option {', '.join(sorted(options))}")

    def _open_container(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> Container:
        file = directory / engine.FILE
        if mode is Mode.READ and not file.exists():
            raise FileNotFoundError(f"no container {path}")
        return SQLiteContainer(path, file, mode, lock)

    def _is_container(self, directory: Path) -> bool:
        return (directory / engine.FILE).is_file()

    def version(self, path: str) -> str | None:
        """Return the number that each batch increments. A database changes in place, often without changing its size."""
        file = self.files_of(path).directory / engine.FILE
        try:
            return str(engine.version(path, file))
        except StorageError:
            if file.exists():
                raise
            return None
