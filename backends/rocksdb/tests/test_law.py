"""The law of containers with many small tables, and with ranges that are deleted natively, key by key, or either."""

from __future__ import annotations

from typing import ClassVar

import pytest

from aimstore.testing.stateful import StatefulTests
from aimstore_rocksdb import cursor


class TestSmallTables(StatefulTests):
    backend_name = "rocksdb"
    options: ClassVar = {"write_buffer_size": "64KiB"}
    examples = 12

    @pytest.fixture(autouse=True, params=[1, 2, 1000])
    def few(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cursor, "_FEW", request.param)
