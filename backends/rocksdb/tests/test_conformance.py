"""The RocksDB backend passes the conformance kit, with RocksDB itself as the oracle."""

from __future__ import annotations

from pathlib import Path

from rocksdict import AccessType, Options, Rdict

from aimstore.testing import BackendConformance


class TestRocksDB(BackendConformance):
    backend_name = "rocksdb"

    def oracle(self, directory: Path) -> dict[bytes, bytes]:
        options = Options(raw_mode=True)
        options.create_if_missing(False)
        database = Rdict(str(directory), options, access_type=AccessType.read_only())
        found, it = {}, database.iter()
        it.seek_to_first()
        while it.valid():
            found[it.key()] = it.value()
            it.next()
        it.status()
        return found
