"""Registers the RocksDB backend."""

from aimstore.plugins import BackendSpec, hookimpl


@hookimpl
def aimstore_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="rocksdb",
            summary="one RocksDB database per container; many readers beside one writer; the default",
            factory="aimstore_rocksdb.backend:RocksDBBackend",
            options="aimstore_rocksdb.config:RocksDBOptions",
            library="rocksdict",
            direct="aimstore_rocksdb.direct:open_directly",
        )
    ]
