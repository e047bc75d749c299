"""Open readers, kept for the next use and bounded in number."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import RLock
from typing import Final

from aimstore.abc import Backend, Container
from aimstore.storage.limits import ReaderPoolLimits

_DEFAULT_LIMITS: Final = ReaderPoolLimits()


@dataclass(eq=False)
class _Reader:
    container: Container
    version: str | None
    users: int = 0
    retired: bool = False


class ReaderPool:
    """Lends containers that are open for reading. Each shows what was committed when it was lent.

    Idle readers stay open up to a limit; the pool closes the least recently used first, and never a reader in use.
    """

    def __init__(self, backend: Backend, limits: ReaderPoolLimits = _DEFAULT_LIMITS) -> None:
        self._backend = backend
        self._limits = limits
        self._readers: OrderedDict[str, _Reader] = OrderedDict()
        self._mutex = RLock()

    @contextmanager
    def reading(self, path: str) -> Iterator[Container]:
        """Lend the container at `path` for the `with` block.

        Raises:
            FileNotFoundError: there is no such container.
            StorageError: the container cannot be opened.
        """
        reader = self._take(path)
        try:
            yield reader.container
        finally:
            self._give_back(reader)

    def _take(self, path: str) -> _Reader:
        with self._mutex:
            version = self._backend.version(path)  # before opening, so that a commit in between is seen next time
            reader = self._readers.get(path)
            if reader is not None and reader.version != version:
                if reader.users or version is None:
                    self._retire(path)
                    reader = None
                else:
                    reader.container.refresh()
                    reader.version = version
            if reader is None:
                reader = self._readers[path] = _Reader(self._backend.open(path), version)
            self._readers.move_to_end(path)
            reader.users += 1
            return reader

    def _give_back(self, reader: _Reader) -> None:
        with self._mutex:
            reader.users -= 1
            if reader.retired and not reader.users:
                reader.container.close()
            idle = [path for path, each in self._readers.items() if not each.users]
            for path in idle[: max(0, len(idle) - self._limits.idle_readers)]:
                self._retire(path)

    def _retire(self, path: str) -> None:
        reader = self._readers.pop(path)
        reader.retired = True
        if not reader.users:
            reader.container.close()

    def close(self) -> None:
        """Close every reader; a reader in use closes when it is given back."""
        with self._mutex:
            for path in list(self._readers):
                self._retire(path)
