"""A container that stands in front of another one."""

from __future__ import annotations

from collections.abc import Generator
from typing import ClassVar

from aimstore.abc import Capability, Container, Item, KeyRange, WriteBatch


class WrappingContainer(Container):
    """Passes every call on to `base`. A subclass changes what it has to.

    A view: `base` must stay open as long as the view is used, and closing the view leaves `base` open.
    """

    capability: ClassVar[Capability] = Capability(native_range_delete=True)

    def __init__(self, base: Container) -> None:
        super().__init__(base.path, base.mode)
        self._base = base

    def _get(self, key: bytes) -> bytes | None:
        return self._base.get(key)

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return self._base.get_many(keys)

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        return self._base.scan(keys, reverse=reverse)

    def _write(self, batch: WriteBatch) -> None:
        self._base.write(batch)

    def _flush(self, sync: bool) -> None:
        self._base.flush(sync=sync)

    def _refresh(self) -> None:
        self._base.refresh()

    def _close(self) -> None:
        """Do nothing: whoever opened `base` closes it."""
