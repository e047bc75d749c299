"""The files of a RocksDB database: what can be read, created and tidied up without RocksDB."""

from __future__ import annotations

import errno
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias
from zlib import crc32

from aimstore.errors import CorruptionError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DATA: Final = (".sst", ".log")

_EMPTY_MANIFEST: Final = bytes.fromhex("c4c19f5b 0600 01 0200 0302 0400")
"""The manifest of a database that holds nothing, as RocksDB's `DBImpl::NewDB` writes it: one log record (masked CRC32C,
length, type "full") with log number 0, next file number 2, last sequence number 0."""

_CURRENT: Final = re.compile(rb"MANIFEST-\d+\n")
PREFIX: Final = "aimstore-rocksdb-"
"""Prefix of the names of snapshots."""
_SEAL: Final = "SEAL"
_NOTE: Final = re.compile(r"^(\d+\.log|MANIFEST-\d+) (\d+ [0-9a-f]{8})$", re.MULTILINE)
_SLACK: Final = 256 << 10
_MEMORY: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None  # noqa: S108  links on a disk cost 0.5 ms each

Fact: TypeAlias = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class State:
    """What a reader of a database can see, judged by its files: name, inode, bytes and mtime in ns of each.

    Attributes:
        tables: the files that say which tables and logs there are. They change when data leaves the log.
        logs: the write-ahead logs. They grow with each batch.
    """

    tables: tuple[Fact, ...]
    logs: tuple[Fact, ...]


def state(directory: Path) -> State | None:
    """The state of the database in `directory`, None where there is none. Costs some 50 µs."""
    tables: list[Fact] = []
    logs: list[Fact] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                name = entry.name
                kind = logs if name.endswith(".log") else tables if name.startswith(("CURRENT", "MANIFEST-")) else None
                if kind is not None:
                    with suppress(FileNotFoundError):  # replaced since it was listed; its successor counts
                        stat = entry.stat()
                        kind.append((name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not any(name == "CURRENT" and size for name, _, size, _ in tables):
        return None
    return State(tuple(sorted(tables)), tuple(sorted(logs)))


def is_database(directory: Path) -> bool:
    """Whether there is a database in `directory`. The file CURRENT is filled last when one is made."""
    try:
        return os.stat(directory / "CURRENT").st_size > 0  # noqa: PTH116  Path.stat takes twice as long
    except (FileNotFoundError, NotADirectoryError):
        return False


def make(directory: Path) -> None:
    """Create an empty database in `directory`, unless there is one.

    RocksDB does the same with five more fsync calls, which take a quarter of the time of creating a small database on a
    disk. They are not needed: opening writes and syncs a new manifest before it returns.
    """
    try:
        directory.mkdir()
    except FileExistsError:
        if is_database(directory) or any(name.endswith(_DATA) for name in os.listdir(directory)):  # noqa: PTH208
            return
    _write(f"{directory}/IDENTITY", str(uuid.uuid4()).encode())
    _write(f"{directory}/MANIFEST-000001", _EMPTY_MANIFEST)
    _write(f"{directory}/CURRENT", b"MANIFEST-000001\n")


def _write(file: str, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)


def remove_options(directory: Path) -> None:
    """Remove the files in which RocksDB keeps its options. Each open passes the options, and parsing takes 0.4 ms."""
    _remove(directory, "OPTIONS-")


def remove_events(directory: Path) -> None:
    """Remove the log of events, which is of no use in a closed database, and most of the bytes of a small one."""
    _remove(directory, ("LOG", "rocksdict-config.json"))


def _remove(directory: Path, prefixes: str | tuple[str, ...]) -> None:
    for name in os.listdir(directory):  # noqa: PTH208  names are all that is needed
        if name.startswith(prefixes):
            (directory / name).unlink(missing_ok=True)


def seal(directory: Path) -> None:
    """Note the checksums of the manifest and the log of a database that was closed completely.

    Where either file breaks off, RocksDB takes it for the file of a process that died, and silently returns what is left.
    """
    names = [name for name in os.listdir(directory) if name.endswith(".log") or name.startswith("MANIFEST-")]  # noqa: PTH208
    notes = [f"{name} {_sum(_read(f'{directory}/{name}'))}\n" for name in names]
    _write(f"{directory}/{_SEAL}", "".join(notes).encode())


def break_seal(directory: Path) -> None:
    """Remove the seal, since the database is about to change.

    Raises:
        CorruptionError: the manifest or the log differs from the seal.
    """
    if not os.path.exists(f"{directory}/{_SEAL}"):  # noqa: PTH110  a Path takes twice as long
        return
    held: dict[str, int] = {}
    try:
        _hold(directory, _DATA, held)
        current = _read(f"{directory}/CURRENT")
        _check_seal(directory, held, current, _read(f"{directory}/{_manifest(directory, current)}"))
    except FileNotFoundError as error:
        raise CorruptionError(f"{error.filename} is missing; restore a copy") from error
    finally:
        for descriptor in held.values():
            os.close(descriptor)
    os.unlink(f"{directory}/{_SEAL}")  # noqa: PTH108  as above


def _manifest(directory: Path, current: bytes) -> str:
    """The manifest that the file CURRENT names. Raises `CorruptionError` where there is no such manifest."""
    name = current.decode("ascii", "replace").strip()
    if not _CURRENT.fullmatch(current) or not os.path.exists(f"{directory}/{name}"):  # noqa: PTH110  a Path takes twice as long
        raise CorruptionError(f"{directory}/CURRENT does not name a manifest: {current!r:.80}")
    return name


def _check_seal(directory: Path, held: dict[str, int], current: bytes, manifest: bytes) -> None:
    """Compare the files that a reader holds with the seal, if there is one.

    A loss of power may bring back a removed seal, of files that are gone or that nobody reads.
    """
    try:
        noted = _read(f"{directory}/{_SEAL}")
    except FileNotFoundError:
        return
    for name, checksum in _NOTE.findall(noted.decode("ascii", "replace")):
        if name == current.decode().strip():
            right = _sum(manifest) == checksum
        elif name in held:
            right = _sum(os.pread(held[name], os.fstat(held[name]).st_size, 0)) == checksum
        else:
            right = name.startswith("MANIFEST-") or any(file.endswith(".sst") for file in held)
        if not right:
            raise CorruptionError(f"{directory}/{name} has changed since the database was closed; restore a copy")


def _read(file: str) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _sum(data: bytes) -> str:
    return f"{len(data)} {crc32(data):08x}"


def has_room(directory: Path, nbytes: int) -> bool:
    """Whether a database can be reopened and take `nbytes` more: reopening writes its logs out as tables."""
    found = state(directory)
    need = nbytes + sum(size for _, _, size, _ in (found.logs if found else ())) + _SLACK
    probe = directory / "room.probe"
    try:
        descriptor = os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, need)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.errno not in _FULL
    finally:
        with suppress(OSError):
            probe.unlink()
    return True


@contextmanager
def snapshot(directory: Path) -> Iterator[Path]:
    """A temporary directory that shows the database as it is at one moment, for as long as a reader needs to open it.

    It holds a copy of the manifest, and links to the logs and tables, which stay open so that they outlive their removal.
    Logs and tables are opened first, then the manifest is copied, then new tables are opened. So a log that was missed has
    become a table that the manifest names, and a table that was missed is an error when the reader opens it.

    The snapshot also keeps rocksdict from writing a file of its own into the container's directory, which may be read-only
    or belong to another user; on ext4 that file takes 3 ms.

    Raises:
        CorruptionError: there is no manifest; a writer may have replaced it just now.
        OSError: a file cannot be read.
    """
    held: dict[str, int] = {}
    try:
        _hold(directory, _DATA, held)
        current = _read(f"{directory}/CURRENT")
        name = _manifest(directory, current)
        manifest = _read(f"{directory}/{name}")
        _check_seal(directory, held, current, manifest)
        _hold(directory, ".sst", held)
        place = tempfile.mkdtemp(prefix=PREFIX, dir=_MEMORY)
        try:
            for file, descriptor in held.items():
                os.symlink(f"/proc/self/fd/{descriptor}", f"{place}/{file}")  # noqa: PTH211  a Path takes twice as long
            _write(f"{place}/{name}", manifest)
            _write(f"{place}/CURRENT", current)
            yield Path(place)
        finally:
            for file in os.listdir(place):  # noqa: PTH208
                os.unlink(f"{place}/{file}")  # noqa: PTH108  as above
            os.rmdir(place)  # noqa: PTH106  as above
    finally:
        for descriptor in held.values():
            os.close(descriptor)


def _hold(directory: Path, endings: str | tuple[str, ...], held: dict[str, int]) -> None:
    """Open the files with these endings that are not held yet, oldest first."""
    for name in sorted(os.listdir(directory)):  # noqa: PTH208
        if name.endswith(endings) and name not in held:
            with suppress(FileNotFoundError):
                held[name] = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC)
