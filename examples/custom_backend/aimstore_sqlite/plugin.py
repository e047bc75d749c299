"""Registers the SQLite backend."""

from aimstore.plugins import BackendSpec, hookimpl


@hookimpl
def aimstore_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="sqlite",
            summary="one SQLite database per container; an example of a third-party engine",
            factory="aimstore_sqlite.backend:SQLiteBackend",
        )
    ]
