"""The backend contract: a namespace of containers, with their locks and progress markers."""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from typing import ClassVar, Self

from aimstore.abc.capability import Capability
from aimstore.abc.closing import Closing
from aimstore.abc.container import Container, Mode
from aimstore.abc.state import OPEN, State
from aimstore.errors import LockOwner


class Lock(ABC):
    """A held lock. `Backend.lock` gives it, to one holder at a time over all processes and hosts.

    `release()` or the end of the holding process releases it. A forked child does not hold it: there `release()` does
    nothing, and every other method raises.

    Attributes:
        path: the container path that is locked.
        owner: who holds the lock.
        state: whether the lock is held; the engine sets it on release and in a forked child.
    """

    def __init__(self, path: str, owner: LockOwner) -> None:
        self.path = path
        self.owner = owner
        self.state: State = OPEN
        self._container: object | None = None

    @abstractmethod
    def check(self) -> None:
        """Return if the lock is still held. Called before each batch, so it has to be cheap.

        Raises:
            FencedError: the lock was released, or is lost.
            ClosedError: the lock belongs to the parent process.
        """

    def check_held(self) -> None:
        """Return unless this object knows that the lock is not held: what `check()` begins with. Raises as `check`."""
        if self.state is not OPEN:
            raise self.state.error(f"the lock of {self.path}")

    @abstractmethod
    def contended(self) -> bool:
        """Whether somebody is waiting for this lock. A holder with more work should then release it and queue again."""

    @abstractmethod
    def release(self) -> None:
        """Release the lock. A second call does nothing."""

    def give_to(self, container: object) -> None:
        """Make `container` the owner of this lock: its `close()` releases the lock."""
        self._container = container

    def owned_by(self, container: object) -> bool:
        """Whether `container` owns this lock."""
        return self._container is container

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Backend(Closing, ABC):
    """Opens, lists and deletes the containers of one repository.

    Paths with "/" between their parts name containers (`meta/chunks/<run>`, `meta/index`). A lock and a progress marker
    go by the path of their container. Nothing here assumes that a path is a file.

    *Locks.* `lock(path)` gives an exclusive lock, which ends with its holder at the latest. Opening for writing takes the
    lock of the path, unless the caller hands in the lock that it holds. Where a lock can be lost while its holder lives,
    the former holder's next write raises `FencedError`.

    *Markers.* `mark(path)` says that the container may hold data that is not indexed. Only the holder of a lock marks and
    unmarks its path. A marker may also stand for a path that has no container (`meta/waiting/…`, see `aimstore.index`); its
    users agree on who removes it.

    *Threads.* All methods may be called from several threads. *Errors* are those of `Container`.
    """

    capability: ClassVar[Capability] = Capability()

    @abstractmethod
    def open(self, path: str, mode: Mode = Mode.READ, *, lock: Lock | None = None) -> Container:
        """Open a container; for writing it is created where it does not exist.

        Args:
            path: the container's path.
            mode: `Mode.READ` never creates, changes or locks anything.
            lock: for `Mode.WRITE`, a held lock of `path`; without it the lock is taken, and `close()` releases it.

        Raises:
            FileNotFoundError: there is no such container to read.
            LockedError: somebody else holds the lock that writing needs.
            CorruptionError: the container exists but cannot be opened.
        """

    @abstractmethod
    def list(self, prefix: str) -> builtins.list[str]:
        """Paths of the containers that begin with `prefix` (which ends in "/"), sorted."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether the container exists."""

    @abstractmethod
    def delete(self, path: str) -> None:
        """Remove a container with its contents; a missing container is no error. The caller holds its lock.

        After a crash in the middle the container either still opens or no longer exists.
        """

    @abstractmethod
    def version(self, path: str) -> str | None:
        """A token that changes whenever a reader could see something new, None where there is no container.

        Cheap, since no container is opened: readers key their caches of decoded data by it.
        """

    @abstractmethod
    def size(self, path: str) -> int:
        """Bytes that the container occupies; 0 where it does not exist."""

    @abstractmethod
    def lock(self, path: str, *, timeout: float = 0.0, maintenance: bool = False) -> Lock:
        """Take the lock of `path`, waiting at most `timeout` seconds. Others see `maintenance` as `LockOwner.maintenance`.

        Raises:
            LockedError: somebody else holds the lock; the message says who and since when.
        """

    @abstractmethod
    def lock_owner(self, path: str) -> LockOwner | None:
        """The owner of the lock of `path` now; None where the lock is free, whatever a crashed holder left behind."""

    @abstractmethod
    def mark(self, path: str) -> None:
        """Set the progress marker of `path`; setting it again is no error."""

    @abstractmethod
    def unmark(self, path: str) -> None:
        """Remove the progress marker of `path`; a missing marker is no error."""

    @abstractmethod
    def marked(self, prefix: str) -> builtins.list[str]:
        """Container paths that begin with `prefix` and have a progress marker, sorted."""

    def close(self) -> None:
        """Release what the backend holds for itself. Containers and locks that it gave out belong to their holders."""
