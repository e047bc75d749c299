"""LMDB itself: opening environments, and what its errors mean. Nothing else imports lmdb."""

from __future__ import annotations

import errno
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import lmdb

from aimstore.errors import AimstoreError, CorruptionError, ReadOnlyError, StorageError
from aimstore_lmdb import files

__all__ = [
    "FULL",
    "MAX_KEY_SIZE",
    "READERS_FULL",
    "STALE",
    "Cursor",
    "Environment",
    "Error",
    "Items",
    "Transaction",
    "compact",
    "error_of",
    "open_environment",
    "read_owner",
    "write_owner",
]

Environment: TypeAlias = lmdb.Environment
Transaction: TypeAlias = "lmdb.Transaction[bytes]"
Cursor: TypeAlias = "lmdb.Cursor[bytes]"
Items: TypeAlias = Any
"""A handle of the named database that holds a container's items; lmdb does not name its type."""

MAX_KEY_SIZE: Final = 511
"""Longest key, in bytes: MDB_MAXKEYSIZE as it is compiled into lmdb."""

_log = logging.getLogger("aimstore.lmdb")

_MAX_READERS: Final = 1024
_LEAST_MAP_BYTES: Final = 64 << 10
_ITEMS: Final = b"items"
_OWNER: Final = b"owner"
"""A key of the main database, which otherwise holds only the name of the database of items. No item has this key."""


# Errors

Error = lmdb.Error

FULL: Final = lmdb.MapFullError
"""A write that needs a larger map; nothing of it is stored."""

READERS_FULL: Final = lmdb.ReadersFullError

STALE: Final = (lmdb.MapResizedError, lmdb.PanicError)
"""Errors after which to reopen the environment: another process has outgrown the map, or a write failed half-way."""

_CORRUPT: Final = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
    lmdb.PageFullError,
    lmdb.CursorFullError,
)


def error_of(error: lmdb.Error, path: str, doing: str) -> AimstoreError:
    """The aimstore error for an error of lmdb.

    Args:
        path: the container's path, for the message.
        doing: the operation that failed, for the message.
    """
    message = f"{path}: {doing}: {error}"
    if isinstance(error, _CORRUPT):
        return CorruptionError(message)
    if isinstance(error, lmdb.ReadonlyError):
        return ReadOnlyError(message)
    if isinstance(error, READERS_FULL):
        message = (
            f"{path}: {doing}: all {_MAX_READERS} reader slots are taken; close some readers, or end their processes"
        )
    raised = StorageError(message)
    code = getattr(error, "code", 0)
    raised.errno = code if code > 0 else None
    return raised


# Opening


def open_environment(
    directory: Path, path: str, *, writable: bool, map_size: int, sync: bool
) -> tuple[Environment, Items]:
    """Open the environment in `directory`, which exists, and its database of items.

    The map is smaller than wanted where this process may not have as much address space, but it holds all data.

    Args:
        writable: also create the database of items where it is missing.
        map_size: bytes of address space wanted.
        sync: put the pages of each transaction on the disk before it becomes visible.

    Raises:
        FileNotFoundError: the environment is missing, or is being created just now.
        CorruptionError, StorageError: the environment cannot be opened.
    """
    doing = f"cannot open for {'writing' if writable else 'reading'}"
    environment = _open_files(directory, path, doing, writable=writable, map_size=map_size, sync=sync)
    try:
        environment.reader_check()  # readers that were killed would keep pages from being reused
        return environment, _open_items(environment, writable)
    except lmdb.Error as error:
        committed = environment.info()["last_txnid"]
        environment.close()
        if not isinstance(error, lmdb.NotFoundError):
            raise error_of(error, path, doing) from error
        if committed:
            raise CorruptionError(f"{path}: {directory} is an LMDB environment of another program") from error
        raise _missing(directory, path) from error


def _open_files(directory: Path, path: str, doing: str, *, writable: bool, map_size: int, sync: bool) -> Environment:
    while True:
        try:
            return lmdb.open(
                os.fspath(directory),
                map_size=map_size,
                create=False,
                readonly=not writable,
                metasync=False,
                sync=sync,
                max_readers=_MAX_READERS,
                max_dbs=1,
                max_spare_txns=1,
            )
        except lmdb.MemoryError as error:
            if map_size <= _LEAST_MAP_BYTES:
                raise error_of(error, path, doing) from error
            map_size //= 2
        except lmdb.MapResizedError:  # another process has outgrown the map meanwhile
            map_size *= 2
        except lmdb.Error as error:
            raise _opening_error(error, directory, path, doing, writable) from error


def _opening_error(error: lmdb.Error, directory: Path, path: str, doing: str, writable: bool) -> Exception:
    if getattr(error, "code", 0) == errno.ENOENT or "No such file" in str(error):
        return _missing(directory, path)
    if not writable and isinstance(error, lmdb.ReadonlyError):  # EACCES
        denied = StorageError(
            f"{path}: {doing}: LMDB enters readers in {directory / 'lock.mdb'}, which this user may not write or create; "
            "get that right, or copy the container to read it elsewhere"
        )
        denied.errno = errno.EACCES
        return denied
    return error_of(error, path, doing)


def _missing(directory: Path, path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, f"no container {path}", os.fspath(directory))


def _open_items(environment: Environment, writable: bool) -> Items:
    if not writable:
        return environment.open_db(_ITEMS, create=False)
    with environment.begin(write=True) as transaction:
        return environment.open_db(_ITEMS, txn=transaction)


# The owner


def write_owner(environment: Environment, transaction: Transaction, owner: bytes) -> None:
    """Store who may write from now on."""
    transaction.put(_OWNER, owner, db=environment.open_db(None))


def read_owner(environment: Environment, transaction: Transaction) -> bytes | None:
    """Who may write, as the transaction sees it."""
    return transaction.get(_OWNER, db=environment.open_db(None))


# Closing


def compact(environment: Environment, items: Items, owner: bytes, directory: int, most_bytes: int) -> bool:
    """Write a dense copy of the data and put it on the disk. Returns False where that is not worth it, or fails.

    It is worth it for at most `most_bytes` of data, where a quarter of the pages is free. Pages in use become fuller, too:
    LMDB fills them when keys arrive in order, while a page that is split leaves two half empty. No other process has the
    environment open.

    Args:
        owner: the writer; where another one may write, there is no copy.
        directory: a descriptor of the directory.
        most_bytes: bytes of pages in use above which there is no copy.
    """
    try:
        with environment.begin() as transaction:
            if read_owner(environment, transaction) != owner:
                return False
            trees = [transaction.stat(db) for db in (environment.open_db(None), items)]
        pages = environment.info()["last_pgno"] + 1
        used = 2 + sum(tree["branch_pages"] + tree["leaf_pages"] + tree["overflow_pages"] for tree in trees)
        if 4 * (pages - used) < pages or used * trees[0]["psize"] > most_bytes:
            return False
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(files.COMPACTED, flags, 0o644, dir_fd=directory)
        try:
            os.write(descriptor, files.empty())
        finally:
            os.close(descriptor)
        name = f"/proc/self/fd/{directory}/{files.COMPACTED}"
        with (
            lmdb.open(name, subdir=False, lock=False, max_dbs=1, map_size=2 * pages * trees[0]["psize"]) as dense,
            environment.begin(items) as source,
            dense.begin(write=True) as target,
        ):
            write_owner(dense, target, owner)
            with target.cursor(dense.open_db(_ITEMS, txn=target)) as cursor:
                _, copied = cursor.putmulti(source.cursor().iternext(), append=True)
            if copied != trees[1]["entries"]:
                raise lmdb.CorruptedError(f"{copied} items were found, of {trees[1]['entries']}")
    except (OSError, lmdb.Error) as error:
        _log.info("%s was not compacted: %s", environment.path(), error)
        with suppress(OSError):
            os.unlink(files.COMPACTED, dir_fd=directory)
        return False
    return True


# Forks
#
# lmdb refuses to open files that are open in the same process, since closing either environment would drop the locks of
# both. It keeps the identities of open files in a set that no public call reaches, and a forked child inherits the set:
# lmdb then refuses files that only the parent has open. Closing the parent's environments in the child would empty the
# set, but destroy the parent's data. So a child makes its identities differ from those of the parent, by replacing the
# private function that derives them. Versions of lmdb without that function have no such set. The fork tests of
# `backends/tests` fail where a version does it in another way.


def _after_fork_in_child() -> None:
    identities: Any = sys.modules.get("lmdb._envid")
    keys_of = getattr(identities, "env_keys", None)
    if keys_of is not None:
        process = os.getpid()
        identities.env_keys = lambda path, subdir: tuple((*key, process) for key in keys_of(path, subdir))


os.register_at_fork(after_in_child=_after_fork_in_child)
