"""Which processes have an environment open, for whoever replaces its files.

LMDB's own table of readers cannot tell, since it is one of these files. So every process that has an environment open holds
a shared `flock` on its directory.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from aimstore.storage import storage_error


class Presence:
    """The sign that this process has the environment in `directory` open, until `end()`.

    The constructor waits while another process is alone with the environment, and raises `StorageError` where the directory is
    missing.

    Attributes:
        directory: a descriptor of the directory; -1 after `end()`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = -1
        with storage_error(directory):
            self.directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self.directory, fcntl.LOCK_SH)

    def alone(self) -> bool:
        """Whether no other process has the environment open. If so, none can open it before `end()`; call that next."""
        try:
            fcntl.flock(self.directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def end(self) -> None:
        """Withdraw the sign. A second call does nothing."""
        if self.directory >= 0:
            fcntl.flock(self.directory, fcntl.LOCK_UN)  # a forked child may have the descriptor, too
            os.close(self.directory)
            self.directory = -1

    def __del__(self) -> None:
        self.end()
