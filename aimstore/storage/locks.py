"""Exclusive locks as files: `flock` through filelock, with who holds it inside and a queue for those who wait.

A lock is held as long as the kernel's lock on the file is; the file is removed on release, and one that a killed holder
left behind is free and used again. What the file says is for people only; it decides nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Self

from aimstore.abc import Lock
from aimstore.errors import AimstoreError, ClosedError, FencedError, LockedError, LockOwner, StorageError
from aimstore.process.forking import track_forks

if TYPE_CHECKING:
    from filelock import UnixFileLock

_POLL = 0.003
"""Seconds between two attempts of a waiter."""
_PATIENCE = 1.0
"""Seconds for which an attempt is repeated while those who merely look at the lock stand in its way."""
_BUSY = frozenset({errno.EACCES, errno.EAGAIN})


class FilesystemLock(Lock):
    """A held lock file; made by `acquire`.

    May be released by another thread than the one that took it. Dropping the last reference releases it too.
    """

    def __init__(self, path: str, file: str, held: UnixFileLock, owner: LockOwner, identity: tuple[int, int]) -> None:
        super().__init__(path, owner)
        self._file = file
        self._queue = _queue(file)
        self._held = held
        self._identity = identity
        self._gone: tuple[type[AimstoreError], str] | None = None
        self._mutex = threading.Lock()
        track_forks(self)

    @classmethod
    def acquire(cls, path: str, file: Path, *, timeout: float = 0.0, brief: bool = False) -> Self:
        """Lock `file` for the container `path`; its directory is created where it is missing.

        Args:
            path: the container's path, for errors.
            file: the lock file.
            timeout: seconds to wait for it. Those who wait get it one after another, before any that come later.
            brief: see `LockOwner`.

        Raises:
            LockedError: somebody else holds it.
            StorageError: the file cannot be made or locked.
        """
        name = os.fspath(file)
        with storage_error(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            if timeout <= 0:
                taken = _attempt(name, brief)
            elif not _is_held(_queue(name)) and (first := _attempt(name, brief)) is not None:
                taken = first
            else:
                taken = _wait(name, time.monotonic() + timeout, brief)
        if taken is None:
            owner = lock_owner(file)
            raise LockedError(f"{path} is locked {_describe(owner)}", owner)
        return cls(path, name, *taken)

    def check(self) -> None:
        if self._gone is not None:
            self._refuse()
        try:
            stat = os.stat(self._file)  # noqa: PTH116  a Path takes twice as long, and every batch comes through here
        except OSError as error:
            raise FencedError(f"the lock of {self.path} is lost: {self._file}: {error.strerror}") from error
        if (stat.st_dev, stat.st_ino) != self._identity:
            raise FencedError(f"the lock of {self.path} is lost: {self._file} was replaced")

    def contended(self) -> bool:
        if self._gone is not None:
            self._refuse()
        return os.path.exists(self._queue) and _is_held(self._queue)  # noqa: PTH110  as above

    def release(self) -> None:
        with self._mutex:
            if self._gone is not None:
                return
            with contextlib.suppress(FencedError, OSError):  # a file that stays behind is free all the same
                self.check()
                Path(self._file).unlink()
            self._gone = FencedError, "was released"
            with storage_error(Path(self._file)):
                self._held.release()

    def _after_fork_in_child(self) -> None:
        # filelock has closed the child's copy of the descriptor, so that the lock ends with the parent
        self._gone = ClosedError, "belongs to the parent process; a forked child takes its own"
        self._mutex = threading.Lock()

    def _refuse(self) -> NoReturn:
        assert self._gone is not None
        kind, what = self._gone
        raise kind(f"the lock of {self.path} {what}")


def lock_owner(file: Path) -> LockOwner | None:
    """Who holds the lock `file` now, or None; a holder whose details cannot be read has pid 0.

    Raises:
        StorageError: the file cannot be read.
    """
    with storage_error(file):
        for _ in range(20):  # the holder writes its details just after it has the lock
            if not _is_held(os.fspath(file)):
                return None
            try:
                return LockOwner(**json.loads(file.read_text()))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError):
                time.sleep(_POLL)
        return LockOwner("an unknown host", 0, file.stat().st_mtime, "")


@contextlib.contextmanager
def storage_error(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses within this context into a `StorageError` that names `path`."""
    try:
        yield
    except AimstoreError:
        raise
    except OSError as error:
        raised = StorageError(f"{error.filename or path}: {error.strerror or error}")
        raised.errno = error.errno
        raise raised from error


_Taken = tuple["UnixFileLock", LockOwner, tuple[int, int]]


def _attempt(file: str, brief: bool = False) -> _Taken | None:
    """Take the lock, or None where somebody holds it. A look at it, by `_is_held`, is not taken for a holder."""
    deadline = time.monotonic() + _PATIENCE
    while (taken := _try(file, brief)) is None:
        if _is_held(file) or time.monotonic() > deadline:
            return None
        time.sleep(secrets.randbelow(1000) / 1e6)
    return taken


def _try(file: str, brief: bool) -> _Taken | None:
    from filelock import Timeout, UnixFileLock  # takes 30 ms to import

    owner = LockOwner(socket.gethostname(), os.getpid(), time.time(), secrets.token_hex(8), brief)
    identity = (0, 0)

    def acquired(descriptor: int) -> None:
        nonlocal identity
        details = json.dumps(vars(owner)).encode()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, details, 0)
        stat = os.fstat(descriptor)
        identity = stat.st_dev, stat.st_ino

    held = UnixFileLock(file, blocking=False, thread_local=False, fallback_to_soft=False, on_acquired=acquired)
    try:
        held.acquire()
    except Timeout:
        return None
    return held, owner, identity


def _wait(file: str, deadline: float, brief: bool) -> _Taken | None:
    """Take the lock by `deadline`, or None. Of all waiters the one that holds the queue's own lock is next."""
    while (place := _attempt(_queue(file))) is None:
        if time.monotonic() > deadline:
            return None
        time.sleep(_POLL)
    try:
        while (taken := _try(file, brief)) is None and time.monotonic() < deadline:
            time.sleep(_POLL)
        return taken
    finally:
        with contextlib.suppress(OSError):
            Path(_queue(file)).unlink()  # while it is held: who opened it before looks again
        place[0].release()


def _queue(file: str) -> str:
    return f"{file}.queue"


def _is_held(file: str) -> bool:
    """Whether somebody holds the lock. Takes it shared for a moment: two who look do not see each other."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _BUSY:
            raise
        return True
    else:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child forked just now keeps the descriptor open
        return False
    finally:
        os.close(descriptor)


def _describe(owner: LockOwner | None) -> str:
    if owner is None or not owner.pid:
        return "by another process"
    since = datetime.fromtimestamp(owner.since, UTC)
    return f"by process {owner.pid} on {owner.host} since {since:%Y-%m-%d %H:%M:%S} UTC; wait until it ends, or end it"
