"""Every exception that aimstore raises on purpose; all derive from `AimstoreError`.

Where a builtin exception says the same thing (`KeyError` for a missing run, `TypeError` for a value of the wrong
type, …) the class derives from it too, so that callers may catch either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


class AimstoreError(Exception):
    """Base of all errors that aimstore raises on purpose."""

    def __str__(self) -> str:  # KeyError would show the repr of its argument
        return str(self.args[0]) if self.args else type(self).__name__


class ConfigError(AimstoreError, ValueError):
    """A `config.toml` that is broken, incomplete, from a newer version, or names what is not there."""


class RepositoryError(AimstoreError):
    """A directory that is not a repository, is one of another program, or cannot be used."""


class RepositoryNotFoundError(RepositoryError, FileNotFoundError):
    """No repository at the path (or above the working directory)."""


class PluginError(AimstoreError):
    """A plug-in that is missing, broken, or registered twice."""


class InvalidRunHashError(AimstoreError, ValueError):
    """A run hash that is not 24 lower-case hexadecimal digits."""


class RunNotFoundError(AimstoreError, KeyError):
    """A well-formed run hash that the repository does not hold."""


class StorageError(AimstoreError, OSError):
    """The engine or the operating system failed: no space, no permission, an I/O error."""


class CorruptionError(StorageError):
    """Stored bytes that are not what was written."""


class ClosedError(AimstoreError, ValueError):
    """Use of something closed, or of a parent process's object in a forked child."""


class ReadOnlyError(AimstoreError):
    """A write to something opened for reading."""


class UnsupportedError(AimstoreError):
    """An operation that the engine does not declare among its capabilities."""


class EncodingError(AimstoreError, TypeError):
    """A value or key that cannot be stored; the message names its path."""


class SequenceTypeError(EncodingError):
    """A value of another kind than the sequence already holds."""


@dataclass(frozen=True)
class LockOwner:
    """Who holds a lock.

    Attributes:
        host, pid: the process that holds it.
        since: when it was taken, in seconds since the epoch (UTC).
        token: unique for each acquisition.
        maintenance: held for maintenance such as indexing and released soon; otherwise a writer holds it.
    """

    host: str
    pid: int
    since: float
    token: str
    maintenance: bool = False

    def __str__(self) -> str:
        """In words, as messages continue after "locked by"; a holder whose details cannot be read has pid 0."""
        if not self.pid:
            return "another process"
        return (
            f"process {self.pid} on {self.host} since {datetime.fromtimestamp(self.since, UTC):%Y-%m-%d %H:%M:%S} UTC"
        )


class LockedError(AimstoreError):
    """A lock that somebody else holds. `owner` says who and since when, or is None where that cannot be read."""

    def __init__(self, message: str, owner: LockOwner | None = None) -> None:
        super().__init__(message)
        self.owner = owner


class FencedError(AimstoreError):
    """A writer that lost its lock; nothing of the batch it tried to write is stored."""


class QueryError(AimstoreError):
    """Base of the errors of queries."""


class QuerySyntaxError(QueryError, ValueError):
    """An expression that is not a query.

    Attributes:
        expression: the text of the query.
        line: 1-based line of the fault.
        column: 1-based column of the fault.
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
    """A query whose predicate raised for a run or metric, with `on_error="raise"`."""


def nearest(name: str, known: Iterable[str], limit: int = 1) -> list[str]:
    """Up to `limit` of the `known` names that look like `name`, the most similar first."""
    from difflib import get_close_matches  # takes 15 ms, which only an error should cost

    return get_close_matches(name, list(known), n=limit, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'lmdb'?"` with the nearest of the `known` names, or "" where none is near."""
    near = nearest(name, known, 2)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
