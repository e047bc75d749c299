"""Which engine `backends/conftest.py` makes containers of."""

from __future__ import annotations

import pytest

from aimstore_rocksdb.config import RocksDBOptions
from aimstore_rocksdb.container import RocksDBContainer


@pytest.fixture
def container_type() -> type[RocksDBContainer]:
    return RocksDBContainer


@pytest.fixture
def options_type() -> type[RocksDBOptions]:
    return RocksDBOptions
