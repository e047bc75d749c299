"""A container as seen below a prefix of its keys."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import ClassVar

from aimstore.abc import Capability, Container, Item, KeyRange, Op, WriteBatch


class PrefixContainer(Container):
    """The keys of `base` that begin with `prefix`, without it. Nothing outside is read or written.

    A view: it needs `base` to stay open, and closing the view leaves `base` open.
    """

    capability: ClassVar[Capability] = Capability(native_range_delete=True)

    def __init__(self, base: Container, prefix: bytes) -> None:
        super().__init__(base.path, base.mode)
        self._base = base
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

    def _flush(self, sync: bool) -> None:
        self._base.flush(sync=sync)

    def _refresh(self) -> None:
        self._base.refresh()

    def _close(self) -> None:
        """Nothing: the base is its opener's."""
