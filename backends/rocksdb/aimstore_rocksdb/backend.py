"""The RocksDB backend: databases in the directory layout of every embedded engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aimstore.abc import Capability, Container, Lock, Mode
from aimstore.storage import FilesystemBackend
from aimstore_rocksdb import files
from aimstore_rocksdb.config import RocksDBOptions
from aimstore_rocksdb.container import RocksDBContainer
from aimstore_rocksdb.limits import RocksDBLimits


class RocksDBBackend(FilesystemBackend):
    """Containers as RocksDB databases, one directory each.

    Args:
        root: the directory that holds everything.
        options: by name; see `RocksDBOptions`.
        limits: waiting times and sizes that are not options.

    Raises:
        ConfigError: an option does not exist, or has an invalid value.
    """

    capability: ClassVar[Capability] = RocksDBContainer.capability

    def __init__(
        self, root: Path | str, options: Mapping[str, Any] | None = None, *, limits: RocksDBLimits | None = None
    ) -> None:
        super().__init__(Path(root))
        self.options = RocksDBOptions.parse(options or {})
        self.limits = limits or RocksDBLimits()

    def _open_container(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> Container:
        return RocksDBContainer(path, directory, mode, lock, self.options, self.limits)

    def _is_container(self, directory: Path) -> bool:
        return files.is_database(directory)

    def version(self, path: str) -> str | None:
        """A token of the manifest and the logs: tables never change, and what else lies there is not data."""
        state = files.state(self.files_of(path).directory)
        return None if state is None else hashlib.blake2b(repr(state).encode(), digest_size=12).hexdigest()
