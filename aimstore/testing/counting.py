"""A container that counts the operations on it, so that tests can check which operations a call performs."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from aimstore.abc import Container, Item, KeyRange, Op, WriteBatch
from aimstore.storage.wrapper import WrappingContainer


@dataclass
class Counts:
    """Numbers of operations on a container.

    Attributes:
        gets: keys looked up, one by one or by `get_many`.
        scans: scans begun.
        items: items that scans read; one more than the caller took, because a scan reads its first item at once.
        batches: batches written.
        puts, deletes, range_deletes: operations in the batches.
    """

    gets: int = 0
    scans: int = 0
    items: int = 0
    batches: int = 0
    puts: int = 0
    deletes: int = 0
    range_deletes: int = 0

    @property
    def read(self) -> int:
        """Number of keys that were read or looked up."""
        return self.gets + self.items


class CountingContainer(WrappingContainer):
    """Passes calls on to `base`, and counts them in `counts`, exactly in one thread only. Closing it closes `base`."""

    def __init__(self, base: Container) -> None:
        super().__init__(base)
        self.counts = Counts()

    def reset(self) -> Counts:
        """Return the counts so far, and reset them to zero."""
        counts, self.counts = self.counts, Counts()
        return counts

    def _get(self, key: bytes) -> bytes | None:
        self.counts.gets += 1
        return super()._get(key)

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        self.counts.gets += len(keys)
        return super()._get_many(keys)

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        self.counts.scans += 1
        with closing(super()._scan(keys, reverse)) as scan:
            for item in scan:
                self.counts.items += 1
                yield item

    def _write(self, batch: WriteBatch) -> None:
        self.counts.batches += 1
        for op, _, _ in batch.ops:
            self.counts.puts += op is Op.PUT
            self.counts.deletes += op is Op.DELETE
            self.counts.range_deletes += op is Op.DELETE_RANGE
        super()._write(batch)

    def _close(self) -> None:
        self._base.close()
