"""Every exception that aimstore raises on purpose; all derive from `AimstoreError`.

If a built-in exception has the same meaning (`KeyError` for a missing run, `TypeError` for a value of the wrong type,
…), the class derives from it too, so callers may catch either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


class AimstoreError(Exception):
    """Base of all errors that aimstore raises on purpose."""

    def __str__(self) -> str:  # the __str__ of KeyError would show the repr of its argument
        return str(self.args[0]) if self.args else type(self).__name__


class ConfigError(AimstoreError, ValueError):
    """A `config.toml` that is broken, incomplete, from a newer version, or refers to something that does not exist."""


class RepositoryError(AimstoreError):
    """A directory that is not a repository, belongs to another program, or cannot be used."""


class RepositoryNotFoundError(RepositoryError, FileNotFoundError):
    """No repository exists at the path (or in the working directory and its parents)."""


class PluginError(AimstoreError):
    """A plug-in that is missing, broken, or registered twice."""


class InvalidRunHashError(AimstoreError, ValueError):
    """A run hash that is not 24 lower-case hexadecimal digits."""


class RunNotFoundError(AimstoreError, KeyError):
    """A well-formed run hash that the repository does not hold."""


class StorageError(AimstoreError, OSError):
    """The engine or the operating system failed: no space, no permission, an I/O error."""


class CorruptionError(StorageError):
    """Stored bytes differ from the bytes written."""


class ClosedError(AimstoreError, ValueError):
    """Use of a closed object, or use of a parent process's object in a forked child."""


class ReadOnlyError(AimstoreError):
    """A write to an object opened for reading."""


class UnsupportedError(AimstoreError):
    """An operation that the engine does not declare among its capabilities."""


class EncodingError(AimstoreError, TypeError):
    """A value or key that cannot be stored; the message names its path."""


class SequenceTypeError(EncodingError):
    """A value whose kind differs from the kind of the sequence."""


@dataclass(frozen=True)
class LockOwner:
    """The holder of a lock.

    Attributes:
        host, pid: the process that holds the lock.
        since: when the lock was taken, in seconds since the epoch (UTC).
        token: unique for each acquisition.
        maintenance: the lock is held for maintenance such as indexing and released soon; otherwise a writer holds it.
    """

    host: str
    pid: int
    since: float
    token: str
    maintenance: bool = False

    def __str__(self) -> str:
        """Text that follows "locked by" in messages. A holder whose details cannot be read has pid 0."""
        if not self.pid:
            return "another process"
        return (
            f"process {self.pid} on {self.host} since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC"
        )


class LockedError(AimstoreError):
    """Another holder has the lock. `owner` names the holder and the start time; it is None if it cannot be read."""

    def __init__(self, message: str, owner: LockOwner | None = None) -> None:
        super().__init__(message)
        self.owner = owner


class FencedError(AimstoreError):
    """A writer lost its lock; nothing of the batch that it tried to write is stored."""


class QueryError(AimstoreError):
    """Base of all query errors."""


class QuerySyntaxError(QueryError, ValueError):
    """An expression that is not a valid query.

    Attributes:
        expression: the text of the query.
        line: 1-based line of the error.
        column: 1-based column of the error.
        hint: what to write instead, or "".
    """

    def __init__(self, reason: str, expression: str, line: int = 1, column: int = 1, hint: str = "") -> None:
        lines = expression.splitlines() or [""]
        shown = lines[line - 1] if 0 < line <= len(lines) else lines[0]
        text = f"{reason} (line {line}, column {column})\n    {shown}\n    {' ' * (column - 1)}^"
        super().__init__(f"{text}\n{hint}" if hint else text)
        self.reason = reason
        self.expression = expression
        self.line = line
        self.column = column
        self.hint = hint


class QueryRuntimeError(QueryError):
    """The predicate of a query raised for a run or metric, and `on_error` is `"raise"`."""


def nearest(name: str, known: Iterable[str], limit: int = 1) -> list[str]:
    """Return up to `limit` of the `known` names that resemble `name`, the most similar first."""
    from difflib import get_close_matches  # the import takes 15 ms, which only an error should cost

    return get_close_matches(name, list(known), n=limit, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'lmdb'?"` with the most similar `known` name, or "" if none is similar."""
    near = nearest(name, known, 2)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
