"""Which engine `backends/conftest.py` makes containers of."""

from __future__ import annotations

import pytest

from aimstore_lmdb.config import LMDBOptions
from aimstore_lmdb.container import LMDBContainer


@pytest.fixture
def container_type() -> type[LMDBContainer]:
    return LMDBContainer


@pytest.fixture
def options_type() -> type[LMDBOptions]:
    return LMDBOptions
