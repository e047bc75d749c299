"""The containers in memory, which no other process can share, pass what of the kit applies to them."""

from __future__ import annotations

from pathlib import Path

from aimstore.abc import Backend
from aimstore.storage.memory import MemoryBackend
from aimstore.testing import BackendConformance


class TestMemory(BackendConformance):
    def open_backend(self, root: Path) -> Backend:
        return MemoryBackend()
