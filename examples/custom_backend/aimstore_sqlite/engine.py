"""All knowledge of SQLite: creating and opening a database, translating its errors, and surviving a fork."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock

from aimstore.errors import CorruptionError, StorageError
from aimstore.storage import storage_error

FILE = "items.sqlite"
_SCHEMA = "CREATE TABLE items (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID"
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR", "SQLITE_TOOBIG")  # SQLITE_ERROR: the table is missing

# A child does not inherit SQLite's file locks, but its copy of SQLite believes that it holds them. So SQLite runs one
# call at a time, no lock outlasts a call, and a fork waits for the call to end.
_calls = RLock()
os.register_at_fork(before=_calls.acquire, after_in_parent=_calls.release, after_in_child=_calls.release)


@contextmanager
def calling(path: str) -> Iterator[None]:
    """Run one call of SQLite at a time and translate its errors. `path` names the container."""
    with _calls, storage_error(Path(path)):
        try:
            yield
        except sqlite3.Error as error:
            kind = CorruptionError if getattr(error, "sqlite_errorname", "").startswith(_DAMAGE) else StorageError
            raise kind(f"{path}: {error}") from error


def make(file: Path) -> None:
    """Create an empty database, named once complete. Its version starts at a random number, so that none repeats."""
    file.parent.mkdir(exist_ok=True)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with closing(_connect(new, "rwc")) as database:
        database.executescript(f"PRAGMA journal_mode = OFF; {_SCHEMA}; PRAGMA user_version = {secrets.randbits(30)}")
    new.rename(file)


def connect(file: Path, *, writing: bool) -> sqlite3.Connection:
    """Open a database and check its pages. The check reads the whole file, because SQLite has no checksums."""
    database = _connect(file, "rw")
    try:
        problem = database.execute("PRAGMA quick_check(1)").fetchone()
        if problem != ("ok",):
            raise CorruptionError(f"{file}: {problem}")
        if writing:
            database.executescript("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL")
    except BaseException:
        database.close()
        raise
    return database


def version(path: str, file: Path) -> int:
    with calling(path), closing(_connect(file, "rw")) as database:
        return read_version(database)


def read_version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    address = f"{file.absolute().as_uri()}?mode={mode}"
    database = sqlite3.connect(address, uri=True, isolation_level=None, timeout=60, check_same_thread=False)
    database.text_factory = lambda text: text.decode("latin-1")  # decode any text; an item that is text is damaged
    return database
