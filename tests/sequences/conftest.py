"""A writer on containers in memory, and a container that refuses on demand."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest

from aimstore.abc import WriteBatch
from aimstore.errors import StorageError
from aimstore.sequences.limits import WRITER_LIMITS, WriterLimits
from aimstore.sequences.writer import SequenceWriter
from aimstore.storage.memory import MemoryContainer
from aimstore.testing.waiting import WAIT_SECONDS


class Refusing(MemoryContainer):
    """A container whose writes fail while `broken` and wait while `going` is cleared, and that remembers how many batches it
    took."""

    broken = False
    batches = 0

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.going, self.waits = Event(), Event()
        self.going.set()

    def _write(self, batch: WriteBatch) -> None:
        if not self.going.is_set():
            self.waits.set()
            assert self.going.wait(WAIT_SECONDS)
        if self.broken:
            raise StorageError("no space left")
        self.batches += 1
        super()._write(batch)


class Writing:
    """A writer with its two containers; nothing drains it but the test."""

    def __init__(self, limits: WriterLimits = WRITER_LIMITS) -> None:
        self.limits = limits
        self.meta = Refusing("meta")
        self.seqs = Refusing("seqs")
        self.writer = self.again(recover=False)

    def again(self, *, recover: bool) -> SequenceWriter:
        self.writer = SequenceWriter("0" * 24, self.meta, self.seqs, recover=recover, limits=self.limits)
        return self.writer


@pytest.fixture
def writing() -> Callable[..., Writing]:
    return Writing
