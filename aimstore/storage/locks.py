"""Exclusive locks as files: `flock`, with the owner's details inside and a queue for those who wait.

A lock is held as long as the kernel's lock on the file is. The file is removed on release; a file that a killed holder left
behind is free and is used again. The details in the file are for people only: they decide nothing.

Whoever locks a file then checks that the path still leads to it, since its last holder may have removed it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from aimstore.abc import OPEN, Lock, State
from aimstore.errors import AimstoreError, FencedError, LockedError, LockOwner, StorageError
from aimstore.process.forking import track_forks
from aimstore.storage.limits import LockWaits

_BUSY: Final = frozenset({errno.EACCES, errno.EAGAIN})
_OPEN_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DEFAULT_WAITS: Final = LockWaits()

# A forked child inherits the descriptors of its parent, and with them its locks. Each child closes its copies at once, or a
# lock would outlive a parent that is killed. So no fork may come between opening a file and noting, or closing, it.
_descriptors: Final = threading.RLock()
os.register_at_fork(
    before=_descriptors.acquire, after_in_parent=_descriptors.release, after_in_child=_descriptors.release
)


class FilesystemLock(Lock):
    """A held lock file; made by `acquire`.

    Another thread than the one that took it may release it. Dropping the last reference releases it too.
    """

    def __init__(self, path: str, held: _HeldFile) -> None:
        super().__init__(path, held.owner)
        self._held = held
        self._queue = _queue(held.name)
        self._mutex = threading.Lock()
        track_forks(self)

    @classmethod
    def acquire(
        cls,
        path: str,
        file: Path,
        *,
        timeout: float = 0.0,
        maintenance: bool = False,
        waits: LockWaits = _DEFAULT_WAITS,
    ) -> Self:
        """Lock `file` for the container `path`; its directory is created where it is missing.

        Args:
            path: the container's path, for errors.
            file: the lock file.
            timeout: seconds to wait for the lock. Waiters get it one after another, before any that come later.
            maintenance: see `LockOwner`.
            waits: how to wait.

        Raises:
            LockedError: somebody else holds the lock.
            StorageError: the file cannot be made or locked.
        """
        name = os.fspath(file)
        with storage_error(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            if timeout <= 0:
                held = _attempt(name, maintenance, waits)
            elif not _is_held(_queue(name)) and (first := _attempt(name, maintenance, waits)) is not None:
                held = first
            else:
                held = _wait(name, time.monotonic() + timeout, maintenance, waits)
        if held is None:
            owner = lock_owner(file, waits)
            raise LockedError(f"{path} is locked by {_holder(owner)}", owner)
        return cls(path, held)

    def check(self) -> None:
        if self.state is not OPEN:
            self.check_held()
        held = self._held
        try:
            found = os.stat(held.name)  # noqa: PTH116  a Path takes twice as long, and every batch comes through here
        except OSError as error:
            raise State.LOST.error(f"the lock of {self.path}", f"{held.name}: {error.strerror}") from error
        if (found.st_dev, found.st_ino) != held.identity:
            raise State.LOST.error(f"the lock of {self.path}", f"{held.name} was replaced")

    def contended(self) -> bool:
        self.check_held()
        return os.path.exists(self._queue) and _is_held(self._queue)  # noqa: PTH110  as above

    def release(self) -> None:
        with self._mutex:
            if self.state is not OPEN:
                return
            with contextlib.suppress(FencedError, OSError):  # a file that stays behind is free all the same
                self.check()
                Path(self._held.name).unlink()
            self.state = State.RELEASED
            with storage_error(Path(self._held.name)):
                self._held.release()

    def _after_fork_in_child(self) -> None:
        if self.state is OPEN:
            self.state = State.FORKED
        self._mutex = threading.Lock()


class _HeldFile:
    """A file that this process has locked, until `release()`, the last reference or the process is gone.

    Attributes:
        name: the file's path.
        owner: the details that the file holds.
        identity: device and inode of the file.
    """

    def __init__(self, name: str, descriptor: int, owner: LockOwner, identity: tuple[int, int]) -> None:
        self.name = name
        self.owner = owner
        self.identity = identity
        self._descriptor = descriptor
        track_forks(self)

    def release(self) -> None:
        """Unlock and close the file. A second call does nothing."""
        with _descriptors:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1  # first, or a child forked now would close another file
        if descriptor >= 0:
            try:
                fcntl.flock(
                    descriptor, fcntl.LOCK_UN
                )  # a program started just now may keep the descriptor for a moment
            finally:
                os.close(descriptor)

    def _after_fork_in_child(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)  # this leaves the parent's lock as it is
            self._descriptor = -1

    def __del__(self) -> None:
        self._close()  # without waiting: garbage may be collected anywhere


def lock_owner(file: Path, waits: LockWaits = _DEFAULT_WAITS) -> LockOwner | None:
    """The owner of the lock `file` now, or None where it is free; pid 0 where the owner's details cannot be read.

    Raises:
        StorageError: the file cannot be read.
    """
    with storage_error(file):
        for _ in range(max(1, round(waits.owner_seconds / waits.poll_seconds))):
            if not _is_held(os.fspath(file)):
                return None
            try:
                return LockOwner(**json.loads(file.read_text()))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError):
                time.sleep(waits.poll_seconds)
        return LockOwner("an unknown host", 0, file.stat().st_mtime, "")


@contextlib.contextmanager
def storage_error(path: Path) -> Iterator[None]:
    """Turn an `OSError` that is raised within this context into a `StorageError` that names `path`."""
    try:
        yield
    except AimstoreError:
        raise
    except OSError as error:
        raised = StorageError(f"{error.filename or path}: {error.strerror or error}")
        raised.errno = error.errno
        raise raised from error


def _attempt(file: str, maintenance: bool, waits: LockWaits) -> _HeldFile | None:
    """Take the lock, or return None where somebody holds it. Processes that look at it, by `_is_held`, do not count."""
    deadline = time.monotonic() + waits.look_seconds
    while (held := _try(file, maintenance)) is None:
        if _is_held(file) or time.monotonic() > deadline:
            return None
        time.sleep(secrets.randbelow(1000) / 1e6)
    return held


def _try(file: str, maintenance: bool) -> _HeldFile | None:
    """Take the lock, or return None where its file is locked or was removed just now."""
    with _descriptors:
        descriptor = os.open(file, _OPEN_FLAGS, 0o666)
        held = None
        try:
            held = _lock(file, descriptor, maintenance)
        finally:
            if held is None:
                os.close(descriptor)
        return held


def _lock(file: str, descriptor: int, maintenance: bool) -> _HeldFile | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _BUSY:
            raise
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", file)
    if found.st_nlink != 1:
        if found.st_nlink > 1:  # somebody else's file under the name of a lock: it must not be written to
            os.unlink(file)  # noqa: PTH108  a Path takes twice as long
        return None
    owner = LockOwner(socket.gethostname(), os.getpid(), time.time(), secrets.token_hex(8), maintenance)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(vars(owner)).encode(), 0)
    return _HeldFile(file, descriptor, owner, (found.st_dev, found.st_ino))


def _wait(file: str, deadline: float, maintenance: bool, waits: LockWaits) -> _HeldFile | None:
    """Take the lock by `deadline`, or return None. The waiter that holds the queue's own lock is next."""
    while (place := _attempt(_queue(file), False, waits)) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(waits.poll_seconds)
    try:
        while (held := _try(file, maintenance)) is None and time.monotonic() < deadline:
            time.sleep(waits.poll_seconds)
        return held
    finally:
        with contextlib.suppress(OSError):
            Path(_queue(file)).unlink()  # while it is held: whoever opened it before looks again
        place.release()


def _queue(file: str) -> str:
    return f"{file}.queue"


def _is_held(file: str) -> bool:
    """Whether somebody holds the lock. Takes it shared for a moment: two that look do not see each other."""
    with _descriptors:
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _BUSY:
                raise
            return True
        else:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a program started just now may keep the descriptor for a moment
            return False
        finally:
            os.close(descriptor)


def _holder(owner: LockOwner | None) -> str:
    if owner is None or not owner.pid:
        return "another process"
    if (owner.pid, owner.host) == (os.getpid(), socket.gethostname()):
        return f"{owner}, which is this process; close what holds it here"
    return f"{owner}; wait until that process ends, or end it"
