"""Plug-ins: how a package extends aimstore, and how aimstore finds the package.

A package has an entry point in the group `aimstore` that names a module; the module implements hooks:

    from aimstore.plugins import BackendSpec, hookimpl

    @hookimpl
    def aimstore_backends() -> list[BackendSpec]:
        return [BackendSpec(name="lmdb", summary="…", extra="lmdb", factory="aimstore_lmdb.backend:LmdbBackend")]

Importing this package does not scan for plug-ins; the first call of `plugins()` does.
"""

from aimstore.plugins.hookspecs import hookimpl
from aimstore.plugins.manager import BrokenPlugin, PluginManager, plugins
from aimstore.plugins.specs import (
    BackendSpec,
    CommandSpec,
    IndexerSpec,
    ObjectTypeSpec,
    QueryEngineSpec,
    Spec,
    WorkloadSpec,
)

__all__ = [
    "BackendSpec",
    "BrokenPlugin",
    "CommandSpec",
    "IndexerSpec",
    "ObjectTypeSpec",
    "PluginManager",
    "QueryEngineSpec",
    "Spec",
    "WorkloadSpec",
    "hookimpl",
    "plugins",
]
