"""What the containers of embedded engines have in common: a directory, options and limits."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from aimstore.abc import Container, Lock, Mode

_Options = TypeVar("_Options")
_Limits = TypeVar("_Limits")


class EmbeddedContainer(Container, Generic[_Options, _Limits]):
    """A container whose data lie in one directory.

    An engine names the types of its options and limits, gives its own fields defaults in the class, and opens its handle in
    `_start`. `_handles` may be called before that.
    """

    options_type: ClassVar[type[Any]]
    limits_type: ClassVar[type[Any]]

    def __init__(
        self,
        path: str,
        directory: Path,
        mode: Mode = Mode.WRITE,
        lock: Lock | None = None,
        options: _Options | None = None,
        limits: _Limits | None = None,
    ) -> None:
        """
        Args:
            path: the container's path in its backend.
            directory: where the data lie. For writing it is created where it is missing; its parent exists.
            mode: reading or writing.
            lock: checked before each write; `close()` releases it where this container owns it.
            options: the engine's options; None for the defaults.
            limits: the engine's limits; None for the defaults.

        Raises:
            FileNotFoundError: there is no container to read.
            LockedError: another process has the container open for writing.
            CorruptionError, StorageError: the container cannot be opened.
        """
        super().__init__(path, mode, lock)
        self._directory = directory
        self._options: _Options = self.options_type() if options is None else options
        self._limits: _Limits = self.limits_type() if limits is None else limits
        self._start()

    @abstractmethod
    def _start(self) -> None:
        """Open the engine's handle. Called once, by `__init__`."""
