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
from typing import ClassVar

from aimstore.abc import Backend, Container, Lock, Mode
from aimstore.errors import LockOwner
from aimstore.storage.locks import FilesystemLock, storage_error
from aimstore.storage.locks import lock_owner as owner_of

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_PLACES = 4096
"""Paths of which the place is kept: making it takes longer than a look at its files."""

_CHUNKS, _LOCKS, _PROGRESS, _TRASH = "chunks", "locks", "progress", ".trash"


class FilesystemBackend(Backend):
    """Containers in a directory. An engine adds how one of them is opened and recognised.

    Args:
        root: the directory that holds all of it: the `.aim` directory of a repository. Nothing is made before the first
            write or lock.

    The parts of a path consist of letters, digits, "_", "-" and (not first) "."; none is `locks` or `progress`, and
    `chunks` may only come last but one. Other paths raise `ValueError`. What the operating system refuses raises
    `StorageError`.
    """

    unversioned: ClassVar[frozenset[str]] = frozenset()
    """Files of a container that change without its data: an engine's log of events, its table of readers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._places: dict[str, _Place] = {}

    # What an engine implements

    @abstractmethod
    def _open_container(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> Container:
        """Open the container whose files lie in `directory`.

        For reading, raise `FileNotFoundError` where they do not. For writing, `lock` is held, the parent of `directory`
        exists, and the engine creates what is missing and hands `lock` to its container.
        """

    @abstractmethod
    def _is_container(self, directory: Path) -> bool:
        """Whether `directory` holds a container that was created to the end, as far as a look at its files tells."""

    def _delete_files(self, directory: Path) -> None:
        """Remove a container at one stroke: renamed into `.trash` beside it, which is then emptied.

        What a crash leaves in the trash goes with the next deletion there.
        """
        trash = directory.parent / _TRASH
        while directory.exists():
            with suppress(FileExistsError, FileNotFoundError):  # another process removed the trash meanwhile: once more
                trash.mkdir(exist_ok=True)
                directory.rename(trash / f"{directory.name}.{secrets.token_hex(4)}")
        shutil.rmtree(trash, ignore_errors=True)

    # Containers

    def open(self, path: str, mode: Mode = Mode.READ, *, lock: Lock | None = None) -> Container:
        directory = self._place(path).directory
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
        return self._is_container(self._place(path).directory)

    def delete(self, path: str) -> None:
        directory = self._place(path).directory
        with storage_error(directory):
            self._delete_files(directory)

    def version(self, path: str) -> str | None:
        """A token of the names, inodes, sizes and times of the container's files; none is opened.

        Enough for an engine that appends to files or makes new ones. One that changes a file in place without changing
        its size twice within a tick of the file system's clock (4 ms) overrides this.
        """
        directory = self._place(path).directory
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
        directory = self._place(path).directory
        with storage_error(directory):
            return sum(stat.st_size for _, stat in _files(directory))

    # Locks

    def lock(self, path: str, *, timeout: float = 0.0, brief: bool = False) -> Lock:
        return FilesystemLock.acquire(path, self._place(path).lock, timeout=timeout, brief=brief)

    def lock_owner(self, path: str) -> LockOwner | None:
        return owner_of(self._place(path).lock)

    # Markers

    def mark(self, path: str) -> None:
        marker = self._place(path).marker
        with storage_error(marker):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()

    def unmark(self, path: str) -> None:
        marker = self._place(path).marker
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

    def _place(self, path: str) -> _Place:
        place = self._places.get(path)
        if place is None:
            if len(self._places) >= _PLACES:
                self._places.clear()
            place = self._places[path] = self._make_place(path)
        return place

    def _make_place(self, path: str) -> _Place:
        *area, name = _parts(path)
        chunked = area[-1:] == [_CHUNKS]
        if _CHUNKS in (*area[:-1], name):
            raise ValueError(f"not a container path: {path!r}; {_CHUNKS!r} may only come last but one")
        top = self.root.joinpath(*area[:-1] if chunked else area)
        return _Place(
            directory=self.root.joinpath(*area, name),
            lock=top / _LOCKS / name,
            # hidden outside of `chunks`, so that marked() tells the two kinds apart
            marker=top / _PROGRESS / (name if chunked else f".{name}"),
        )


@dataclass(frozen=True)
class _Place:
    """Where a container and what belongs to it lie."""

    directory: Path
    lock: Path
    marker: Path


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
    """Name and status of each file below `directory`; one that disappears meanwhile is left out."""
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
