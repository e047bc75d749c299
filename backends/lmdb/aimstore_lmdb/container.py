"""A container as an LMDB environment: checksums, claims to write, and readers that find what was made anew."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import ClassVar

from aimstore.abc import Capability, Container, Item, KeyRange, Lock, Mode, Op, WriteBatch
from aimstore.errors import StorageError
from aimstore_lmdb import files
from aimstore_lmdb.config import LMDBOptions
from aimstore_lmdb.cursor import Cursor
from aimstore_lmdb.engine import MAX_KEY_SIZE
from aimstore_lmdb.environment import SharedEnvironment
from aimstore_lmdb.integrity import seal, unseal
from aimstore_lmdb.registry import acquire, release

_STEPS = 256
"""Items that a scan takes at a time."""


class LMDBContainer(Container):
    """One environment in one directory.

    A reader sees at each call what is committed by then; a scan, and `get_many`, see one state. An open scan keeps the
    pages of its state from being used again, so that the file grows as long as others write.
    """

    capability: ClassVar[Capability] = Capability(
        persistent=True, multi_process=True, durable_sync=True, max_key_size=MAX_KEY_SIZE
    )

    def __init__(
        self,
        path: str,
        directory: Path,
        mode: Mode = Mode.WRITE,
        lock: Lock | None = None,
        options: LMDBOptions | None = None,
    ) -> None:
        """
        Args:
            path: where it lies in its backend; shown in errors.
            directory: of the environment. For writing it is made where it does not exist; its parent does.
            mode: reading or writing.
            lock: checked before each write; released by `close()` where this container owns it.
            options: the defaults where None.

        Raises:
            FileNotFoundError: for reading, and there is no environment.
            CorruptionError, StorageError: it cannot be opened.
        """
        self._outdated: list[SharedEnvironment] = []  # in which scans may be open
        super().__init__(path, mode, lock)
        self._directory = directory
        self._options = options or LMDBOptions()
        self._owner = (secrets.token_hex(8) if lock is None else lock.owner.token).encode()
        self._shared = self._open()

    def _open(self) -> SharedEnvironment:
        writing = self.mode is Mode.WRITE
        shared = acquire(self._directory, self.path, self._options, writable=writing)
        try:
            if writing:
                shared.claim(self._owner)
            else:
                self._catch_up(shared)
        except BaseException:
            release(shared)
            raise
        return shared

    # Reading

    def _get(self, key: bytes) -> bytes | None:
        stored = self._shared.get(key)
        return self._get_many([key])[0] if stored is None else unseal(self.path, key, stored)

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        possible = [key for key in keys if 0 < len(key) <= MAX_KEY_SIZE]
        found = dict(zip(possible, self._shared.get_many(possible), strict=True))
        return [None if (stored := found.get(key)) is None else unseal(self.path, key, stored) for key in keys]

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        cursor = Cursor(self.path, self._shared, keys, reverse)
        try:
            steps = 1  # many a scan is for one item
            while items := cursor.take(steps):
                yield from items
                steps = _STEPS
        finally:
            cursor.end()

    def _refresh(self) -> None:
        with self._mutex:
            if self.mode is Mode.READ and not self._catch_up(self._shared):
                self._outdated.append(self._shared)
                self._shared = self._open()

    def _catch_up(self, shared: SharedEnvironment) -> bool:
        """Have `shared` show what the file does; False where there is another file by now."""
        found = files.state(self._directory)
        if found is None:
            raise StorageError(f"{self.path} was deleted")
        if found.identity != shared.identity:
            return False
        shared.catch_up(found.transaction)
        return True

    # Writing

    def _write(self, batch: WriteBatch) -> None:
        puts, deletes = [], []
        for op, key, value in batch.ops:
            if op is Op.PUT:
                assert value is not None
                puts.append((key, seal(key, value)))
            else:
                deletes.append(key)
        self._shared.write(self._owner, puts, deletes, batch.nbytes)

    def _flush(self, sync: bool) -> None:
        if sync:  # else there is nothing to do: a write has reached the operating system when it returns
            self._shared.flush()

    # Lifecycle

    def _close(self) -> None:
        try:
            if self.mode is Mode.WRITE and self._options.sync == "flush":
                self._shared.flush()
        finally:
            for shared in self._outdated:
                release(shared)
            release(self._shared, self._owner if self.mode is Mode.WRITE else None)

    def _handles(self) -> Iterable[object]:
        return (*self._outdated, self._shared) if hasattr(self, "_shared") else ()
