"""The LMDB backend passes the conformance kit, with LMDB itself as the oracle."""

from __future__ import annotations

from pathlib import Path

import lmdb

from aimstore.testing import BackendConformance


class TestLMDB(BackendConformance):
    backend_name = "lmdb"

    def oracle(self, directory: Path) -> dict[bytes, bytes]:
        with lmdb.open(str(directory), readonly=True, lock=False, max_dbs=1) as environment:
            items = environment.open_db(b"items", create=False)
            with environment.begin(items) as transaction:
                return {key: stored[:-4] for key, stored in transaction.cursor()}
