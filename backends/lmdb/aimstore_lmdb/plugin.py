"""Registers the LMDB backend."""

from aimstore.plugins import BackendSpec, hookimpl


@hookimpl
def aimstore_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="lmdb",
            summary="one LMDB environment per container; the fastest single reads; local file systems only",
            extra="lmdb",
            factory="aimstore_lmdb.backend:LMDBBackend",
            options="aimstore_lmdb.config:LMDBOptions",
            library="lmdb",
            direct="aimstore_lmdb.direct:open_directly",
        )
    ]
