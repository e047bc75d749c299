"""The open metadata database: short transactions, waits, and translation of errors.

SQLite, the default, is set up so that any number of processes on any file system can use it:

- A writer begins with `BEGIN IMMEDIATE`; a deferred transaction that reads first fails at once if another process
  writes.
- The journal is a rollback journal (a write-ahead log does not work on network file systems). It is truncated instead
  of deleted, which halves the cost of a commit. `synchronous` stays FULL: NORMAL saves a tenth, but a power cut may
  corrupt the file.
- A connection is kept for the next transaction, which saves opening the file and syncing its directory. No lock
  outlasts a transaction. A forked child opens its own connection. A connection is dropped if its file was replaced.
- Waits are done in slices, so that signals are handled while the database is locked.
- The file is opened without creating it; only `create_file` creates it, under the repository's lock.

Other databases get a small pool. They read at REPEATABLE READ if they have it, for one snapshot of several tables.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from aimstore.errors import ClosedError, ConfigError, CorruptionError, StorageError
from aimstore.metadata import DATABASE_WAITS, DatabaseWaits
from aimstore.process.forking import keep_alive, track_forks

_ISOLATED: Final = ("postgresql", "mysql", "mariadb")
"""Databases known to have both READ COMMITTED and REPEATABLE READ."""

_SQLITE_TROUBLE: Final = {
    sqlite3.SQLITE_READONLY: "cannot be written: no write permission for the file or its directory",
    sqlite3.SQLITE_PERM: "cannot be opened: no permission",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: the file is missing, or there is no permission for it or its directory",
    sqlite3.SQLITE_FULL: "cannot be written: no space left",
}


class Database:
    """A SQLAlchemy engine with the waits, transactions and errors that the repository needs.

    Several threads may share it. In a forked child it uses connections of its own. It raises `StorageError`, or
    `CorruptionError` if the file is damaged or not a database.

    Attributes:
        name: the location of the database without its password, for messages.
        path: the file of a SQLite database, else None.
        timeout: seconds to wait for a lock.

    Raises:
        ConfigError: the URL cannot be used.
    """

    def __init__(self, url: str | Path, waits: DatabaseWaits = DATABASE_WAITS) -> None:
        try:
            parsed = URL.create("sqlite", database=str(url.absolute())) if isinstance(url, Path) else make_url(url)
        except ArgumentError:
            raise ConfigError("the metadata URL is not a SQLAlchemy URL; one looks like sqlite:////path/file") from None
        self.dialect = parsed.get_backend_name()
        self.timeout = waits.lock_seconds
        self._slice = waits.slice_seconds
        path: str | None = None
        if self.dialect == "sqlite":
            parsed, path, self.timeout = _sqlite_url(parsed, waits.lock_seconds)
        self.path = path
        self.name = path or parsed.render_as_string(hide_password=True)
        self._url = parsed
        self._closed = False
        self._own = threading.local()
        self._current: Engine | None = self._create_engine()
        track_forks(self)

    def _create_engine(self) -> Engine:
        options: dict[str, Any]
        if self.path is not None:
            waiting = {"timeout": min(self.timeout, self._slice), "isolation_level": None}
            options = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": -1, "connect_args": waiting}
        else:
            options = {"pool_size": 1, "max_overflow": 4, "pool_pre_ping": True, "pool_timeout": self.timeout}
        try:
            engine = create_engine(self._url, **options)
        except NoSuchModuleError:
            raise ConfigError(
                f"metadata database {self.name}: SQLAlchemy knows no database {self._url.drivername!r}; "
                "is its dialect installed?"
            ) from None
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"metadata database {self.name} needs the module {error.name!r}, which is not installed"
            ) from error
        except (SQLAlchemyError, TypeError, ValueError) as error:
            raise ConfigError(f"metadata database {self.name}: {error}") from error
        if engine.dialect.is_async:
            raise ConfigError(f"metadata database {self.name}: {self._url.drivername} is an asynchronous driver")
        if self.path is not None:
            event.listen(engine, "checkout", partial(_check_file, self.path))
        self._disposal = weakref.finalize(self, engine.dispose)  # reference cycles keep the pool, and its file, open
        return engine

    def _engine(self, isolation: str) -> Engine:
        if self._closed:
            raise ClosedError(f"metadata database {self.name} is closed")
        if self._current is None:
            self._current = self._create_engine()
        if self.dialect in _ISOLATED:
            return self._current.execution_options(isolation_level=isolation)
        return self._current

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Start a transaction that reads everything from one snapshot."""
        with self._translated(), self._entered(), self._engine("REPEATABLE READ").begin() as connection:
            if self.path is not None:
                connection.exec_driver_sql("BEGIN")
                self._patiently(connection, "SELECT 1 FROM sqlite_master LIMIT 1")  # takes the read lock
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Start a transaction that is committed at the end; after an error it has no effect."""
        if getattr(self._own, "depth", 0):
            raise StorageError(
                f"metadata database {self.name} is in use by this thread: "
                "a signal handler interrupted it, and must not wait for it"
            )
        with self._translated(), self._entered(), self._engine("READ COMMITTED").begin() as connection:
            if self.path is not None:
                self._prepare(connection)
                self._patiently(connection, "BEGIN IMMEDIATE")
            elif self.dialect == "postgresql":
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(self.timeout * 1000)}")
            yield connection
            if self.path is not None:
                self._patiently(connection, "COMMIT")

    @staticmethod
    def _prepare(connection: Connection) -> None:
        if not connection.info.get("prepared"):
            connection.exec_driver_sql("PRAGMA journal_mode=TRUNCATE")
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
            connection.exec_driver_sql("PRAGMA cache_spill=OFF")  # spilling would wait for readers in mid-statement
            connection.info["prepared"] = True

    @contextmanager
    def _entered(self) -> Iterator[None]:
        self._own.depth = getattr(self._own, "depth", 0) + 1
        try:
            yield
        finally:
            self._own.depth -= 1

    def _patiently(self, connection: Connection, statement: str) -> None:
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                connection.exec_driver_sql(statement)
            except DBAPIError as error:
                if _sqlite_code(error.orig) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            else:
                return

    def exists(self) -> bool:
        """Whether the database exists. Always true for servers."""
        if self.path is None:
            return True
        try:
            Path(self.path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StorageError(f"metadata database {self.name} cannot be reached: {error.strerror}") from error
        return True

    def create_file(self) -> None:
        """Create a missing SQLite file, empty. The caller holds the lock of the metadata database.

        An existing file is not opened: closing it would drop the SQLite locks that this process holds on it.
        """
        if self.path is None or self.exists():
            return
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666))
        except FileExistsError:
            return
        except OSError as error:
            raise StorageError(f"metadata database {self.name} cannot be created: {error.strerror}") from error

    def close(self) -> None:
        """Close the pool; later calls raise `ClosedError`. A second call does nothing."""
        if not self._closed:
            self._closed = True
            if self._current is not None:
                self._current.dispose()

    def _after_fork_in_child(self) -> None:
        if self._current is not None:
            keep_alive(self._current)  # its connections and locks belong to the parent
            self._disposal.detach()
            self._current = None
        self._own = threading.local()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._error(error.orig) from error
        except SQLAlchemyError as error:
            raise StorageError(f"metadata database {self.name}: {error}") from error

    def _error(self, cause: BaseException | None) -> StorageError:
        code = _sqlite_code(cause)
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StorageError(
                f"metadata database {self.name} stayed locked by another process for {self.timeout:g} s; "
                "find who has it open (lsof), or raise ?timeout= in the metadata URL"
            )
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return CorruptionError(
                f"metadata database {self.name} is damaged ({cause}); move it away, "
                "and Repo.reindex(rebuild=True) writes a new one from what the runs themselves hold"
            )
        if code in _SQLITE_TROUBLE:
            return StorageError(f"metadata database {self.name} {_SQLITE_TROUBLE[code]} ({cause})")
        return StorageError(f"metadata database {self.name}: {cause}")


def _check_file(path: str, connection: object, record: ConnectionPoolEntry, proxy: object) -> None:
    """Drop a connection to a file that is no longer at `path`."""
    if record.info.setdefault("file", _identity(path)) != _identity(path):
        raise DisconnectionError("the file was replaced")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116  a Path takes twice as long
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _sqlite_url(url: URL, timeout: float) -> tuple[URL, str, float]:
    """The URL that opens the file without creating it, the file's path, and the seconds to wait."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConfigError(f"{url}: the metadata database needs the plain path of a file: sqlite:////path/file")
    query = dict(url.query)
    given = query.pop("timeout", timeout)
    try:
        timeout = float(str(given))
    except ValueError:
        raise ConfigError(f"{url}: timeout is a number of seconds, not {given!r}") from None
    path = str(Path(url.database).absolute())
    query = {"mode": "rw", **query, "uri": "true"}  # https://sqlite.org/uri.html
    return url.set(database="file:" + quote(path), query=query), path, timeout


def _sqlite_code(error: BaseException | None) -> int:
    """SQLite's primary result code (https://sqlite.org/rescode.html), 0 for other errors."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
