"""LMDB without the backend, in the shortest correct loops: what containers are measured against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from zlib import crc32

from aimstore_lmdb.engine import Environment, Items
from aimstore_lmdb.integrity import WHOLE, damage, seal

_ITEMS: Final = b"items"


class DirectLoops:
    """The loops of `aimstore.testing.benchmarks.Loops`. LMDB has no checksums, so the loops check one, as containers do."""

    def __init__(self, environment: Environment, items: Items) -> None:
        self._environment = environment
        self._items = items

    def get(self, keys: Sequence[bytes]) -> None:
        begin, items = self._environment.begin, self._items
        for key in keys:
            with begin(items) as transaction:
                stored = transaction.get(key)
            if stored is None or crc32(stored, crc32(key)) != WHOLE:
                raise damage("", key)
            stored[:-4]  # the value

    def scan(self) -> int:
        found = 0
        with self._environment.begin(self._items) as transaction:
            for key, stored in transaction.cursor():
                if crc32(stored, crc32(key)) != WHOLE:
                    raise damage("", key)
                stored[:-4]  # the value
                found += 1
        return found

    def put(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        with self._environment.begin(self._items, write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti((key, seal(key, value)) for key, value in items)


@contextmanager
def open_directly(directory: Path, writing: bool) -> Iterator[DirectLoops]:
    """See `aimstore.testing.benchmarks.Direct`."""
    with Environment(str(directory), readonly=not writing, max_dbs=1, map_size=1 << 30) as environment:
        yield DirectLoops(environment, environment.open_db(_ITEMS, create=writing))
