"""A container that counts what is done to it, to show in tests and benchmarks what an operation touches."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

from aimstore.abc import Capability, Container, Item, KeyRange, Op, WriteBatch


@dataclass
class Counts:
    """What was done to a container.

    Attributes:
        gets: keys looked up one by one, or by `get_many`.
        scans: scans begun.
        items: items that scans came to; one ahead of what was taken, since a scan goes to its first item at once.
        batches: batches written.
        puts, deletes, range_deletes: operations in them.
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
        """Keys that were read or looked for."""
        return self.gets + self.items


class CountingContainer(Container):
    """Stands in for `base`, and counts in `counts`. Closing it closes `base`. Counts are exact in one thread only."""

    capability: ClassVar[Capability] = Capability(native_range_delete=True)

    def __init__(self, base: Container) -> None:
        super().__init__(base.path, base.mode)
        self._base = base
        self.counts = Counts()

    def reset(self) -> Counts:
        """The counts so far; from here on they begin at zero."""
        counts, self.counts = self.counts, Counts()
        return counts

    def _get(self, key: bytes) -> bytes | None:
        self.counts.gets += 1
        return self._base.get(key)

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        self.counts.gets += len(keys)
        return self._base.get_many(keys)

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        self.counts.scans += 1
        with closing(self._base.scan(keys, reverse=reverse)) as scan:
            for item in scan:
                self.counts.items += 1
                yield item

    def _write(self, batch: WriteBatch) -> None:
        self.counts.batches += 1
        for op, _, _ in batch.ops:
            self.counts.puts += op is Op.PUT
            self.counts.deletes += op is Op.DELETE
            self.counts.range_deletes += op is Op.DELETE_RANGE
        self._base.write(batch)

    def _flush(self, sync: bool) -> None:
        self._base.flush(sync=sync)

    def _refresh(self) -> None:
        self._base.refresh()

    def _close(self) -> None:
        self._base.close()
