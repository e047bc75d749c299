"""RocksDB itself: opening, settling and closing databases, and what its errors mean. Nothing else imports rocksdict."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import re
import time
from functools import lru_cache
from pathlib import Path
from typing import Final, NoReturn, cast

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompactionStyle,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    WriteBatch,
)

from aimstore.errors import AimstoreError, ClosedError, CorruptionError, LockedError, ReadOnlyError, StorageError
from aimstore.storage import storage_error
from aimstore_rocksdb import files
from aimstore_rocksdb.config import RocksDBOptions
from aimstore_rocksdb.limits import RocksDBLimits

__all__ = [
    "GONE",
    "NOT_OPEN",
    "AccessType",
    "Options",
    "Rdict",
    "RdictIter",
    "WriteBatch",
    "error_of",
    "is_small",
    "open_for_reading",
    "open_for_writing",
    "release",
    "settle",
    "without_threads",
]

_log: Final = logging.getLogger("aimstore.rocksdb")

_READ_ONLY: Final = AccessType.read_only(error_if_log_file_exist=False)

_CAUSES: Final = {
    os.strerror(code): code
    for code in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EIO,
        errno.EMFILE,
        errno.ENFILE,
        errno.EFBIG,
        errno.ENOENT,
    )
}
_SNAPSHOT: Final = re.compile(rf"\S*/{files.PREFIX}[^/\s]+/")


# Errors

GONE: Final = (DbClosedError, RuntimeError)
"""Errors of a database that another thread is closing: rocksdict's own, or PyO3's "Already mutably borrowed"."""


class _NotOpen:
    """Stands for a database where none is open: every use raises `DbClosedError`, as of a closed database."""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python asks for its own names, and expects this answer
            raise AttributeError(name)
        raise DbClosedError("the database is not open")


NOT_OPEN: Final = cast(Rdict, _NotOpen())
"""The database of a container that has none open; compare with `is`."""


def error_of(error: Exception, path: str, doing: str) -> AimstoreError:
    """The aimstore error for an exception of rocksdict, which raises plain `Exception` with RocksDB's text, and `OSError`.

    Args:
        path: the container's path or directory, for the message.
        doing: the operation that failed, for the message.

    Raises:
        Exception: `error` itself, where neither rocksdict nor a closed database caused it.
    """
    if isinstance(error, AimstoreError):
        return error
    if type(error) is not Exception and not isinstance(error, (OSError, *GONE)):
        raise error
    text = _SNAPSHOT.sub("", str(error).strip().rstrip(":"))
    message = f"{path}: {doing}: {text}"
    if isinstance(error, DbClosedError):
        return ClosedError(message)
    if text.startswith("Corruption"):
        return CorruptionError(message)
    if "lock hold by current process" in text or "While lock file" in text:
        return LockedError(f"{message}; another writer has the database open")
    if "in read only mode" in text:
        return ReadOnlyError(message)
    raised = StorageError(message)
    raised.errno = next((code for cause, code in _CAUSES.items() if cause in text), None)
    return raised


# Options


def _options(config: RocksDBOptions, *, writing: bool) -> Options:
    return _built_options(config, writing, _forked, os.getpid())


@lru_cache(maxsize=16)
def _built_options(config: RocksDBOptions, writing: bool, forked: bool, _pid: int) -> Options:
    """Options for many small databases. Each process has its own, since a fork can leave the block cache's mutex held."""
    options = Options(raw_mode=True)
    options.set_compression_type(getattr(DBCompressionType, config.compression)())
    options.set_write_buffer_size(config.write_buffer_size)
    options.set_max_write_buffer_number(4)  # a full one is written out while the next fills; a stall holds the GIL
    # leveled compaction moves tables whose keys ascend without merging them, and a reader keeps every table open
    options.set_compaction_style(DBCompactionStyle.universal())
    options.set_max_open_files(config.max_open_files if writing else -1)
    options.set_max_file_opening_threads(1)  # with more, opening starts and joins threads
    options.set_skip_stats_update_on_db_open(True)
    options.set_manifest_preallocation_size(4096)
    options.set_keep_log_file_num(1)
    options.set_max_log_file_size(64 << 10)
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    options.set_wal_recovery_mode(
        DBRecoveryMode.tolerate_corrupted_tail_records()
        if config.log_recovery == "strict"
        else DBRecoveryMode.point_in_time()
    )
    if forked:
        options.set_write_buffer_size(1 << 40)  # nobody would write it out
        options.set_arena_block_size(1 << 20)
        options.set_disable_auto_compactions(True)
    blocks = BlockBasedOptions()
    blocks.set_format_version(6)
    blocks.set_block_size(config.block_size)
    blocks.set_block_cache(_block_cache(config.block_cache_size, _pid))
    options.set_block_based_table_factory(blocks)
    return options


@lru_cache(maxsize=16)
def _block_cache(nbytes: int, _pid: int) -> Cache:
    return Cache(nbytes)


# Opening


def _open(directory: Path, options: Options, access: AccessType) -> Rdict:
    global _threads_started
    _threads_started = True
    # The options are given twice, since rocksdict would take those of the column family from an OPTIONS file. The
    # database looks the family up for each key, 1.9 µs in all; the family itself takes 1.3.
    return Rdict(os.fspath(directory), options, {"default": options}, access).get_column_family("default")


def open_for_writing(directory: Path, path: str, config: RocksDBOptions, limits: RocksDBLimits) -> Rdict:
    """Open the database in `directory`, and create it where it is missing.

    Raises:
        LockedError: another process has the database open for writing.
        CorruptionError, StorageError: the database cannot be opened.
    """
    with storage_error(directory):
        files.make(directory)
        files.break_seal(directory)
    deadline = time.monotonic() + limits.retry_seconds
    while True:
        try:
            database = _open(directory, _options(config, writing=True), AccessType.read_write())
        except Exception as error:  # rocksdict raises no narrower class
            failure = error_of(error, path, f"cannot open {directory} for writing")
            # the container's own lock is held already, so the holder of RocksDB's lock is about to release it: a killed
            # process whose files are being closed, or another thread of this process in its last call
            if isinstance(failure, LockedError) and time.monotonic() < deadline:
                time.sleep(limits.retry_pause_seconds)
                continue
            raise failure from error
        files.remove_options(directory)
        return database


def open_for_reading(
    directory: Path, path: str, config: RocksDBOptions, limits: RocksDBLimits
) -> tuple[Rdict, files.State]:
    """Open the database in `directory` as it is now, beside a writer that may be changing it.

    RocksDB's read-only open is not made for that: tables that the manifest names may be gone when they are opened, and
    a log that became a table after the manifest was read is missing, with all its data. So RocksDB gets a snapshot of the
    files. A failure means damage only where it occurs twice with one manifest.

    Returns:
        The database, and a state that is not later than the database's data.

    Raises:
        FileNotFoundError: there is no database.
        CorruptionError, StorageError: the database cannot be opened.
    """
    options = _options(config, writing=False)
    deadline = time.monotonic() + limits.retry_seconds
    failed: files.State | None = None
    while True:
        state = files.state(directory)
        if state is None:
            raise FileNotFoundError(errno.ENOENT, f"no container {path}", os.fspath(directory))
        try:
            with files.snapshot(directory) as place:
                return _open(place, options, _READ_ONLY), state
        except Exception as error:  # rocksdict raises no narrower class
            if (failed is not None and failed.tables == state.tables) or time.monotonic() > deadline:
                raise error_of(error, path, f"cannot open {directory} for reading") from error
        failed = state
        time.sleep(limits.retry_pause_seconds)


# Closing


def is_small(database: Rdict, logged: int, limits: RocksDBLimits) -> bool:
    """Whether a database is new and small. Then its log, of `logged` bytes, reads as well as a table, and writing a table
    would cost three fsync calls. Seal such a database, since RocksDB does not notice a log that breaks off.
    """
    return logged <= limits.log_bytes and not database.live_files()


def settle(database: Rdict, written: int, limits: RocksDBLimits) -> None:
    """Write the log out as a table, and merge the tables where that is worth its cost.

    Merging removes overwritten data (at most what lies outside the largest table or level), deleted data, and the deletions.
    It rewrites everything. So tables are merged where deletions are a quarter of all entries. Small databases are merged
    also where a quarter of the data lies outside the largest table, or this writer wrote a quarter. The rest is left to
    RocksDB, which merges as it writes: rewriting gigabytes of objects that nobody overwrote would gain nothing.

    Args:
        written: bytes of keys and values that this writer wrote.
        limits: what counts as small and as large.
    """
    database.flush()
    sizes: dict[object, int] = {}
    entries = deletions = 0
    for table in database.live_files():
        entries += table["num_entries"]
        deletions += table["num_deletions"]
        run = table["level"] or table["name"]  # no key comes twice in one table, nor in a level from 1
        sizes[run] = sizes.get(run, 0) + table["size"]
    total = sum(sizes.values())
    beside = total - max(sizes.values(), default=0)
    little = total <= limits.small_bytes and beside and 4 * max(written, beside) >= total
    much = total <= limits.large_bytes and deletions > limits.kept_deletions and 4 * deletions >= entries
    if little or much:
        database.compact_range(None, None)


def release(database: Rdict, path: str) -> None:
    """Close a database and keep its log as it is; the next open reads the log.

    For a database whose last write failed, for a small one, and for every database of a process without RocksDB's threads.
    """
    try:
        database.cancel_all_background(True)
        database.close()
    except Exception as error:  # closing tries to write the log out, which may fail again
        _log.debug("%s", error_of(error, path, "closing without writing the log out"))


# Forks
#
# RocksDB writes logs out as tables, and merges tables, in background threads. A forked child lacks them, but RocksDB
# does not know: once the parent has had a database open, if only for reading, a flush in the child would wait for ever.
# So a child writes to the log only. Opening a database writes its log out in the calling thread, and reopening takes the
# place of flushing.

_threads_started = False
_forked = False


def without_threads() -> bool:
    """Whether this process is a forked child, in which only reopening writes the log out."""
    return _forked


def _after_fork_in_child() -> None:
    global _forked
    if _threads_started and not _forked:
        _forked = True
        # At exit RocksDB joins its threads. By then new threads may have their stacks, and the process would abort. Ending
        # it first leaves nothing undone, since Python has been finalized.
        libc = ctypes.CDLL(None)
        if hasattr(libc, "on_exit"):
            libc.on_exit(libc._exit, None)


os.register_at_fork(after_in_child=_after_fork_in_child)
