"""A container that refuses writes."""

from __future__ import annotations

from collections.abc import Generator

from aimstore.abc import Container, Item, KeyRange, Mode, WriteBatch


class ReadOnlyContainer(Container):
    """`base` for reading only: every write raises `ReadOnlyError`, whatever `base` would take.

    A view: it needs `base` to stay open, and closing the view leaves `base` open.
    """

    def __init__(self, base: Container) -> None:
        super().__init__(base.path, Mode.READ)
        self._base = base

    def _get(self, key: bytes) -> bytes | None:
        return self._base.get(key)

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        return self._base.get_many(keys)

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        yield from self._base.scan(keys, reverse=reverse)

    def _write(self, batch: WriteBatch) -> None:
        raise AssertionError("the base class refuses writes to a container opened for reading")

    def _refresh(self) -> None:
        self._base.refresh()

    def _close(self) -> None:
        """Nothing: the base is its opener's."""
