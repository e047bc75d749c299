"""The layout of a repository in a directory: where containers, locks and progress markers lie.

    X/chunks/Y/     the files of container "X/chunks/Y"
    X/locks/Y       its lock, held while it is open for writing
    X/progress/Y    its progress marker, an empty file

A container outside `chunks`, such as "meta/index", lies at its own path and has its lock in `meta/locks/index`. The two
kinds share the names of locks, so a name is used in `X/chunks/` or in `X/`, not in both.
"""

from __future__ import annotations

import builtins
import hashlib
import os
import re
import secrets
import shutil
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from aimstore.abc import Backend, Container, Lock, Mode
from aimstore.errors import LockOwner
from aimstore.storage.limits import LockWaits
from aimstore.storage.locks import FilesystemLock, storage_error
from aimstore.storage.locks import lock_owner as owner_of

_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_CACHED_PATHS: Final = 4096
"""Container paths whose files are remembered: deriving them takes longer than looking at the files."""

_CHUNKS: Final = "chunks"
_LOCKS: Final = "locks"
_PROGRESS: Final = "progress"
_TRASH: Final = ".trash"
_DEFAULT_WAITS: Final = LockWaits()


@dataclass(frozen=True, slots=True)
class ContainerFiles:
    """Where a container lies, and what belongs to it.

    Attributes:
        directory: the container's own directory.
        lock: its lock file.
        marker: its progress marker.
    """

    directory: Path
    lock: Path
    marker: Path


class FilesystemBackend(Backend):
    """Containers in a directory. An engine adds how a container is opened and recognised.

    Args:
        root: the directory that holds everything: the `.aim` directory of a repository. Nothing is created before the
            first write or lock.
        lock_waits: how locks are waited for.

    The parts of a path consist of letters, digits, "_", "-" and (not first) "."; none is `locks` or `progress`, and
    `chunks` may only come last but one. Other paths raise `ValueError`. An error of the operating system raises
    `StorageError`.

    *Implementing an engine.* An engine overrides the hooks `_open_container` and `_is_container`. Where the defaults do
    not fit it also overrides `_delete_files`, `unversioned`, `version` and `size`. `files_of(path)` tells where a container
    lies.
    """

    unversioned: ClassVar[frozenset[str]] = frozenset()
    """Files of a container that change without its data, such as an engine's log of events or table of readers."""

    def __init__(self, root: Path, *, lock_waits: LockWaits = _DEFAULT_WAITS) -> None:
        self.root = root
        self._lock_waits = lock_waits
        self._known_files: dict[str, ContainerFiles] = {}

    # What an engine implements

    @abstractmethod
    def _open_container(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> Container:
        """Open the container whose files lie in `directory`.

        For reading, raise `FileNotFoundError` where there is no container. For writing, `lock` is held and the parent of
        `directory` exists; create what is missing, and pass `lock` to the container.
        """

    @abstractmethod
    def _is_container(self, directory: Path) -> bool:
        """Whether `directory` holds a completely created container, as far as a look at its files tells."""

    def _delete_files(self, directory: Path) -> None:
        """Remove a container in one step: rename it into `.trash` beside it, then empty the trash.

        The next deletion there removes what a crash leaves in the trash.
        """
        trash = directory.parent / _TRASH
        while directory.exists():
            with suppress(FileExistsError, FileNotFoundError):  # another process removed the trash meanwhile: once more
                trash.mkdir(exist_ok=True)
                directory.rename(trash / f"{directory.name}.{secrets.token_hex(4)}")
        shutil.rmtree(trash, ignore_errors=True)

    # Containers

    def open(self, path: str, mode: Mode = Mode.READ, *, lock: Lock | None = None) -> Container:
        directory = self.files_of(path).directory
        if mode is Mode.READ:
            return self._open_container(path, directory, mode, None)
        held = lock or self.lock(path)
        try:
            if held.path != path:
                raise ValueError(f"the lock of {held.path} does not open {path} for writing")
            held.check()
            with storage_error(directory):
                directory.parent.mkdir(parents=True, exist_ok=True)
            container = self._open_container(path, directory, mode, held)
        except BaseException:
            if lock is None:
                held.release()
            raise
        if lock is None:
            held.give_to(container)
        return container

    def list(self, prefix: str) -> builtins.list[str]:
        top = self.root.joinpath(*_prefix_parts(prefix))
        with storage_error(top):
            return sorted(self._containers(top, prefix))

    def _containers(self, top: Path, prefix: str) -> Iterator[str]:
        for name in _subdirectories(top):
            directory = top / name
            if self._is_container(directory):
                yield prefix + name
            else:
                yield from self._containers(directory, f"{prefix}{name}/")

    def exists(self, path: str) -> bool:
        return self._is_container(self.files_of(path).directory)

    def delete(self, path: str) -> None:
        directory = self.files_of(path).directory
        with storage_error(directory):
            self._delete_files(directory)

    def version(self, path: str) -> str | None:
        """A token of the names, inodes, sizes and times of the container's files; no file is opened.

        This suffices for an engine that appends to files or creates new ones. Override it for an engine that may change a
        file in place, without changing its size, twice within a tick of the file system's clock (4 ms).
        """
        directory = self.files_of(path).directory
        with storage_error(directory):
            facts = [
                (name, stat.st_ino, stat.st_size, stat.st_mtime_ns)
                for name, stat in _files(directory)
                if name not in self.unversioned
            ]
        if not facts or not self._is_container(directory):
            return None
        return hashlib.blake2b(repr(sorted(facts)).encode(), digest_size=12).hexdigest()

    def size(self, path: str) -> int:
        directory = self.files_of(path).directory
        with storage_error(directory):
            return sum(stat.st_size for _, stat in _files(directory))

    # Locks

    def lock(self, path: str, *, timeout: float = 0.0, maintenance: bool = False) -> Lock:
        file = self.files_of(path).lock
        return FilesystemLock.acquire(path, file, timeout=timeout, maintenance=maintenance, waits=self._lock_waits)

    def lock_owner(self, path: str) -> LockOwner | None:
        return owner_of(self.files_of(path).lock, self._lock_waits)

    # Markers

    def mark(self, path: str) -> None:
        marker = self.files_of(path).marker
        with storage_error(marker):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()

    def unmark(self, path: str) -> None:
        marker = self.files_of(path).marker
        with storage_error(marker):
            marker.unlink(missing_ok=True)

    def marked(self, prefix: str) -> builtins.list[str]:
        parts = _prefix_parts(prefix)
        with storage_error(self.root):
            found = self._markers(parts[:-1]) if parts[-1:] == (_CHUNKS,) else self._markers_below(parts)
            return sorted(path for path in found if path.startswith(prefix))

    def _markers(self, area: tuple[str, ...]) -> Iterator[str]:
        try:
            names = os.listdir(self.root.joinpath(*area, _PROGRESS))  # noqa: PTH208  names are all that is needed
        except FileNotFoundError:
            return
        for name in names:
            yield "/".join((*area, name[1:]) if name.startswith(".") else (*area, _CHUNKS, name))

    def _markers_below(self, area: tuple[str, ...]) -> Iterator[str]:
        yield from self._markers(area)
        top = self.root.joinpath(*area)
        for name in _subdirectories(top):
            if name != _CHUNKS and not self._is_container(top / name):
                yield from self._markers_below((*area, name))

    # Places

    def files_of(self, path: str) -> ContainerFiles:
        """Where the container `path`, its lock and its marker lie, whether or not they exist.

        Raises:
            ValueError: `path` is not a container path.
        """
        files = self._known_files.get(path)
        if files is None:
            if len(self._known_files) >= _CACHED_PATHS:
                self._known_files.clear()
            files = self._known_files[path] = self._derive_files(path)
        return files

    def _derive_files(self, path: str) -> ContainerFiles:
        *area, name = _parts(path)
        chunked = area[-1:] == [_CHUNKS]
        if _CHUNKS in (*area[:-1], name):
            raise ValueError(f"not a container path: {path!r}; {_CHUNKS!r} may only come last but one")
        top = self.root.joinpath(*area[:-1] if chunked else area)
        return ContainerFiles(
            directory=self.root.joinpath(*area, name),
            lock=top / _LOCKS / name,
            # hidden outside of `chunks`, so that marked() tells the two kinds apart
            marker=top / _PROGRESS / (name if chunked else f".{name}"),
        )


def _parts(path: str) -> tuple[str, ...]:
    parts = tuple(path.split("/"))
    for part in parts:
        if not _PART.fullmatch(part) or part in (_LOCKS, _PROGRESS):
            raise ValueError(f"not a container path: {path!r:.200}; the part {part!r:.80} is not allowed")
    return parts


def _prefix_parts(prefix: str) -> tuple[str, ...]:
    if not prefix:
        return ()
    if not prefix.endswith("/"):
        raise ValueError(f'a prefix of container paths ends in "/": {prefix!r:.200}')
    return _parts(prefix[:-1])


def _subdirectories(top: Path) -> Iterator[str]:
    """Names of the directories in `top` that may be part of a container's path."""
    try:
        with os.scandir(top) as entries:
            names = [entry.name for entry in entries if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        if _PART.fullmatch(name) and name not in (_LOCKS, _PROGRESS):
            yield name


def _files(directory: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Name and status of each file below `directory`; files that disappear meanwhile are left out."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    for name, stat in _files(Path(entry.path)):
                        yield f"{entry.name}/{name}", stat
                else:
                    with suppress(FileNotFoundError):
                        yield entry.name, entry.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
