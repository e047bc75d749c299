"""The LMDB backend: environments in the directory layout of every embedded engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aimstore.abc import Capability, Container, Lock, Mode
from aimstore.errors import CorruptionError
from aimstore.storage import FilesystemBackend
from aimstore_lmdb import files
from aimstore_lmdb.config import LMDBOptions
from aimstore_lmdb.container import LMDBContainer
from aimstore_lmdb.limits import LMDBLimits


class LMDBBackend(FilesystemBackend):
    """Containers as LMDB environments, one directory each.

    Args:
        root: the directory that holds everything.
        options: by name; see `LMDBOptions`.
        limits: waiting times and sizes that are not options.

    Raises:
        ConfigError: an option does not exist, or has an invalid value.
    """

    capability: ClassVar[Capability] = LMDBContainer.capability
    unversioned: ClassVar[frozenset[str]] = frozenset({files.LOCK})

    def __init__(
        self, root: Path | str, options: Mapping[str, Any] | None = None, *, limits: LMDBLimits | None = None
    ) -> None:
        super().__init__(Path(root))
        self.options = LMDBOptions.parse(options or {})
        self.limits = limits or LMDBLimits()

    def _open_container(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> Container:
        return LMDBContainer(path, directory, mode, lock, self.options, self.limits)

    def _is_container(self, directory: Path) -> bool:
        return files.is_container(directory)

    def version(self, path: str) -> str | None:
        """A token of the last committed transaction: the file changes in place, often without a change of its size."""
        try:
            found = files.state(self.files_of(path).directory)
        except CorruptionError:
            return super().version(path)
        if found is None or not found.transaction:
            return None
        return f"{found.identity[1]:x}-{found.mtime:x}-{found.transaction:x}"

    def size(self, path: str) -> int:
        """Bytes of the disk that the container takes; its files may have holes."""
        return files.disk_usage(self.files_of(path).directory)
