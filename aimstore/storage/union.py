"""Several containers read as one."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from operator import itemgetter

from aimstore.abc import Container, Item, KeyRange, Mode, WriteBatch


class UnionContainer(Container):
    """Every key of `layers`, with the value of the first layer that has it. Read-only.

    A view: it needs the layers to stay open, and closing the view leaves them open. A scan sees one snapshot of each
    layer; those of different layers are taken one after another.
    """

    def __init__(self, *layers: Container) -> None:
        super().__init__(" + ".join(layer.path for layer in layers) or "nothing", Mode.READ)
        self._layers = layers

    def _get(self, key: bytes) -> bytes | None:
        for layer in self._layers:
            value = layer.get(key)
            if value is not None:
                return value
        return None

    def _get_many(self, keys: list[bytes]) -> list[bytes | None]:
        found: list[bytes | None] = [None] * len(keys)
        missing = list(range(len(keys)))
        for layer in self._layers:
            if not missing:
                break
            for at, value in zip(missing, layer.get_many([keys[at] for at in missing]), strict=True):
                found[at] = value
            missing = [at for at in missing if found[at] is None]
        return found

    def _scan(self, keys: KeyRange, reverse: bool) -> Generator[Item, None, None]:
        with ExitStack() as stack:
            scans = [stack.enter_context(closing(layer.scan(keys, reverse=reverse))) for layer in self._layers]
            merged: Iterator[Item] = heapq.merge(*scans, key=itemgetter(0), reverse=reverse)
            previous = None
            for item in merged:  # equal keys come in the order of the layers
                if item[0] != previous:
                    previous = item[0]
                    yield item

    def _write(self, batch: WriteBatch) -> None:
        raise AssertionError("the base class refuses writes to a container opened for reading")

    def _refresh(self) -> None:
        for layer in self._layers:
            layer.refresh()

    def _close(self) -> None:
        """Nothing: the layers are their opener's."""
