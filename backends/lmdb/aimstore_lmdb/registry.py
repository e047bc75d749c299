"""The environments that are open in this process: LMDB allows no more than one for a data file, readers included."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Lock
from typing import Final
from weakref import WeakValueDictionary

from aimstore.process.forking import track_forks
from aimstore_lmdb import files
from aimstore_lmdb.config import LMDBOptions
from aimstore_lmdb.environment import SharedEnvironment
from aimstore_lmdb.limits import LMDBLimits


class _Registry:
    """The environments that are open in this process, by device and inode of their data files."""

    def __init__(self) -> None:
        self._after_fork_in_child()
        track_forks(self)

    def _after_fork_in_child(self) -> None:
        self.mutex = Lock()
        self.open: WeakValueDictionary[tuple[int, int], SharedEnvironment] = WeakValueDictionary()


_registry: Final = _Registry()


def acquire(
    directory: Path, path: str, options: LMDBOptions, limits: LMDBLimits, *, writable: bool
) -> SharedEnvironment:
    """The environment in `directory`, opened unless it is open already; for writing it is created where it is missing.

    Raises:
        FileNotFoundError: there is no environment to read.
        CorruptionError, StorageError: the environment cannot be opened.
    """
    with _registry.mutex:
        if writable:
            files.make(directory)
        found = files.state(directory)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, f"no container {path}", os.fspath(directory))
        shared = _registry.open.get(found.identity)
        if shared is None:
            shared = SharedEnvironment(directory, path, options, limits, writable)
            _registry.open[shared.identity] = shared
        shared.users += 1
    try:
        if writable:
            shared.upgrade(options)
    except BaseException:
        release(shared)
        raise
    return shared


def release(shared: SharedEnvironment, owner: bytes | None = None) -> None:
    """Give back an acquired environment; its last user closes it, see `SharedEnvironment.close`."""
    with _registry.mutex:
        shared.users -= 1
        if not shared.users:
            del _registry.open[shared.identity]
            shared.close(owner)
