"""The law of containers with many small tables, and with ranges that are deleted natively, key by key, or either."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from aimstore.abc import Backend
from aimstore.testing.stateful import StatefulTests
from aimstore_rocksdb.backend import RocksDBBackend
from aimstore_rocksdb.limits import RocksDBLimits


class TestSmallTables(StatefulTests):
    backend_name = "rocksdb"
    options: ClassVar = {"write_buffer_size": "64KiB"}
    examples = 12

    @pytest.fixture(autouse=True, params=[1, 2, 1000])
    def limits(self, request: pytest.FixtureRequest) -> None:
        self._limits = RocksDBLimits(single_deletes=request.param)

    def open_backend(self, root: Path) -> Backend:
        return RocksDBBackend(root, self.options, limits=self._limits)
