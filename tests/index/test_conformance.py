"""The reference indexer passes the conformance kit."""

from __future__ import annotations

from aimstore.abc import Backend, Mode
from aimstore.index.postings import run_key
from aimstore.testing import IndexerConformance
from aimstore.types import INDEX_PATH


class TestContainerIndexer(IndexerConformance):
    indexer_name = "container"

    def damage(self, backend: Backend, run_hash: str) -> bool:
        with backend.open(INDEX_PATH, Mode.WRITE) as index:
            index.put(run_key(run_hash), b"\xc1")
        return True
