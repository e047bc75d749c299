"""The hooks that a plug-in can implement, with their signatures.

A plug-in implements any of these hooks, marks them with `@hookimpl`, and may leave out arguments that it does not use.
Hooks of the first group are called once, on first use, and return data. Hooks of the second group are called on events,
in the process where the event happens; errors that they raise are logged and do not affect the run.
"""

from __future__ import annotations

import pluggy

from aimstore.plugins.specs import BackendSpec, CommandSpec, IndexerSpec, ObjectTypeSpec, QueryEngineSpec, WorkloadSpec

PROJECT = "aimstore"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plug-in as the implementation of the hook of the same name."""


@hookspec
def aimstore_backends() -> list[BackendSpec]:
    """Return the storage engines of this plug-in."""
    return []


@hookspec
def aimstore_indexers() -> list[IndexerSpec]:
    """Return the indexers of this plug-in."""
    return []


@hookspec
def aimstore_query_engines() -> list[QueryEngineSpec]:
    """Return the query languages of this plug-in."""
    return []


@hookspec
def aimstore_object_types() -> list[ObjectTypeSpec]:
    """Return the object types of this plug-in."""
    return []


@hookspec
def aimstore_cli_commands() -> list[CommandSpec]:
    """Return the commands that this plug-in adds to the `aimstore` program."""
    return []


@hookspec
def aimstore_bench_workloads() -> list[WorkloadSpec]:
    """Return the workloads that this plug-in adds to `aimstore bench`."""
    return []


@hookspec
def aimstore_run_opened(run_hash: str, repo: str, resumed: bool) -> None:
    """A run was opened for writing: it is locked, has its progress markers, and is about to receive data.

    Args:
        run_hash: the hash of the run.
        repo: the path of the repository's `.aim` directory.
        resumed: whether the run existed before.
    """


@hookspec
def aimstore_run_finalized(run_hash: str, repo: str) -> None:
    """A run was finalized and is in the index; its progress markers are removed and its lock is released.

    Args:
        run_hash: the hash of the run.
        repo: the path of the repository's `.aim` directory.
    """


@hookspec
def aimstore_run_indexed(run_hash: str, repo: str) -> None:
    """A run was indexed, either when it was finalized or by a reindex, which also indexes runs whose process died.

    Args:
        run_hash: the hash of the run.
        repo: the path of the repository's `.aim` directory.
    """
