"""Both engines in turn, for what is asked of each of them alike."""

from __future__ import annotations

import pytest

from aimstore.abc import Backend, Container
from aimstore_lmdb.backend import LMDBBackend
from aimstore_lmdb.config import LMDBOptions
from aimstore_lmdb.container import LMDBContainer
from aimstore_rocksdb.backend import RocksDBBackend
from aimstore_rocksdb.config import RocksDBOptions
from aimstore_rocksdb.container import RocksDBContainer

TYPES = {
    "lmdb": (LMDBBackend, LMDBContainer, LMDBOptions),
    "rocksdb": (RocksDBBackend, RocksDBContainer, RocksDBOptions),
}


@pytest.fixture(params=TYPES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backend_type(engine: str) -> type[Backend]:
    return TYPES[engine][0]


@pytest.fixture
def container_type(engine: str) -> type[Container]:
    return TYPES[engine][1]


@pytest.fixture
def options_type(engine: str) -> type[LMDBOptions | RocksDBOptions]:
    return TYPES[engine][2]
