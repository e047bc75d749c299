"""The backend contract: a namespace of containers, with locks and progress markers for them."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from types import TracebackType
from typing import ClassVar, Self

from aimstore.abc.capability import Capability
from aimstore.abc.container import Container, Mode
from aimstore.errors import LockOwner


class Lock(ABC):
    """A held lock. Obtained from `Backend.lock`; at most one holder at a time, over all processes and hosts.

    It is released by `release()` or by the end of the holding process. In a forked child it is not held, and every
    method but `release()` (which does nothing there) raises.
    """

    def __init__(self, path: str, owner: LockOwner) -> None:
        self.path = path
        self.owner = owner
        self._container: object | None = None

    @abstractmethod
    def check(self) -> None:
        """Return if the lock is still held. Raises `FencedError` where it was lost. Cheap: called before each batch."""

    @abstractmethod
    def contended(self) -> bool:
        """Whether somebody is waiting for this lock; a holder with more work should then release it and queue again."""

    @abstractmethod
    def release(self) -> None:
        """Give the lock up. A second call does nothing."""

    def give_to(self, container: object) -> None:
        """Let `container.close()` release this lock."""
        self._container = container

    def owned_by(self, container: object) -> bool:
        """Whether `container` is to release this lock when it closes."""
        return self._container is container

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class Backend(ABC):
    """What opens, lists and deletes the containers of one repository.

    Containers are named by paths with "/" between their parts (`meta/chunks/<run>`, `meta/index`); a lock and a progress
    marker go by the path of the container they belong to. Nothing here assumes that a path is a file.

    *Locks.* `lock(path)` gives an exclusive lock, released when its holder dies. Opening for writing takes the lock of the
    path, unless the caller hands in the one it holds. Where a lock can be lost while its holder lives, the late
    holder's next write raises `FencedError`.

    *Markers.* `mark(path)` says that the container may hold data that is not indexed. Only the holder of a lock marks and
    unmarks its path.

    *Threads.* All methods may be called from several threads. *Errors* are those of `Container`.
    """

    capability: ClassVar[Capability] = Capability()

    @abstractmethod
    def open(self, path: str, mode: Mode = Mode.READ, *, lock: Lock | None = None) -> Container:
        """Open a container; for writing it is created where it does not exist.

        Args:
            path: the container's path.
            mode: `Mode.READ` never creates, changes or locks anything.
            lock: for `Mode.WRITE`, a held lock of `path`; without it the lock is taken, and released by `close()`.

        Raises:
            FileNotFoundError: for reading, and there is no such container.
            LockedError: for writing, and somebody else holds its lock.
            CorruptionError: it is there but cannot be opened.
        """

    @abstractmethod
    def list(self, prefix: str) -> builtins.list[str]:
        """Paths of the containers that begin with `prefix` (which ends in "/"), sorted."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is such a container."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a container with all it holds; a missing one is no error. The caller holds its lock.

        After a crash in the middle the container either still opens or no longer exists.
        """

    @abstractmethod
    def version(self, path: str) -> str | None:
        """A token that changes whenever a reader could see something new, None where there is no container.

        Cheap (no container is opened): readers cache what they decoded by it.
        """

    @abstractmethod
    def size(self, path: str) -> int:
        """Bytes that the container occupies; 0 where there is none."""

    @abstractmethod
    def lock(self, path: str, *, timeout: float = 0.0, brief: bool = False) -> Lock:
        """Take the lock of `path`, waiting at most `timeout` seconds. `brief` is told to others by `LockOwner.brief`.

        Raises:
            LockedError: somebody else holds it, with who and since when.
        """

    @abstractmethod
    def lock_owner(self, path: str) -> LockOwner | None:
        """Who holds the lock of `path` now; None where nobody does, whatever a crashed holder left behind."""

    @abstractmethod
    def mark(self, path: str) -> None:
        """Set the progress marker of `path`; setting it again is no error."""

    @abstractmethod
    def unmark(self, path: str) -> None:
        """Remove the progress marker of `path`; a missing one is no error."""

    @abstractmethod
    def marked(self, prefix: str) -> builtins.list[str]:
        """Container paths that begin with `prefix` and have a progress marker, sorted."""

    def close(self) -> None:  # noqa: B027  most backends hold nothing between calls
        """Release what the backend holds for itself; containers and locks it gave out are their holders'."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
