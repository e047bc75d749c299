"""A container as an LMDB environment: checksums, claims to write, and readers that find what was made anew."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterable
from typing import ClassVar, Final

from aimstore.abc import Capability, Item, KeyRange, Mode, Op, WriteBatch
from aimstore.errors import StorageError
from aimstore.storage import EmbeddedContainer
from aimstore_lmdb import files
from aimstore_lmdb.config import LMDBOptions
from aimstore_lmdb.cursor import Cursor
from aimstore_lmdb.engine import MAX_KEY_SIZE
from aimstore_lmdb.environment import SharedEnvironment
from aimstore_lmdb.integrity import seal, unseal
from aimstore_lmdb.limits import LMDBLimits
from aimstore_lmdb.registry import acquire, release

_STEP_ITEMS: Final = 256
"""Items that a scan takes at a time."""


class LMDBContainer(EmbeddedContainer[LMDBOptions, LMDBLimits]):
    """One environment in one directory.

    A reader sees at each call what is committed by then; a scan and `get_many` see one state. An open scan keeps the pages
    of its state from being reused, so that the file grows as long as others write.
    """

    capability: ClassVar[Capability] = Capability(
        persistent=True, multi_process=True, durable_sync=True, max_key_size=MAX_KEY_SIZE
    )

    options_type: ClassVar = LMDBOptions
    limits_type: ClassVar = LMDBLimits

    _environments: tuple[SharedEnvironment, ...] = ()
    """All that are held: the current one is the last, and scans may be open in the others."""

    def _start(self) -> None:
        self._owner = (secrets.token_hex(8) if self._lock is None else self._lock.owner.token).encode()
        self._open()

    def _open(self) -> None:
        writing = self.mode is Mode.WRITE
        shared = acquire(self._directory, self.path, self._options, self._limits, writable=writing)
        try:
            if writing:
                shared.claim(self._owner)
            else:
                self._catch_up(shared)
        except BaseException:
            release(shared)
            raise
        self._shared = shared
        self._environments += (shared,)

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
                steps = _STEP_ITEMS
        finally:
            cursor.end()

    def _refresh(self) -> None:
        with self._mutex:
            if self.mode is Mode.READ and not self._catch_up(self._shared):
                self._open()

    def _catch_up(self, shared: SharedEnvironment) -> bool:
        """Make `shared` show what the file holds. Returns False where another file has replaced it."""
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
            *outdated, current = self._environments
            for shared in outdated:
                release(shared)
            release(current, self._owner if self.mode is Mode.WRITE else None)

    def _handles(self) -> Iterable[object]:
        return self._environments
