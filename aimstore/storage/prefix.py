"""A container as seen below a prefix of its keys."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from aimstore.abc import Container, Item, KeyRange, Op, WriteBatch
from aimstore.storage.wrapper import WrappingContainer


class PrefixContainer(WrappingContainer):
    """The keys of `base` that begin with `prefix`, without it. Nothing outside is read or written."""

    def __init__(self, base: Container, prefix: bytes) -> None:
        super().__init__(base)
        self._prefix = prefix
        self._whole = KeyRange.prefix(prefix)

    def _get(self, key: bytes) -> bytes | None:
        return self._base.get(self._prefix + key)

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return self._base.get_many([self._prefix + key for key in keys])

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        start = len(self._prefix)
        with closing(self._base.scan(self._below(keys.start, keys.stop), reverse=reverse)) as scan:
            for key, value in scan:
                if len(key) > start:  # the prefix itself is no key of this container
                    yield key[start:], value

    def _below(self, start: bytes, stop: bytes | None) -> KeyRange:
        return KeyRange(self._prefix + start, self._whole.stop if stop is None else self._prefix + stop)

    def _write(self, batch: WriteBatch) -> None:
        below = WriteBatch()
        for op, key, value in batch.ops:
            if op is Op.DELETE_RANGE:
                below.delete_range(self._below(key or b"\0", value))  # not the prefix itself
            elif op is Op.DELETE:
                below.delete(self._prefix + key)
            else:
                assert value is not None
                below.put(self._prefix + key, value)
        self._base.write(below)
