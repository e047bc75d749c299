"""The hooks that a plug-in can implement, with their signatures.

A plug-in implements any of them, marked with `@hookimpl`, and may leave out arguments that it does not use. The first
group is asked once, on first use, and returns data. The second group is told of events, in the process where they
happen; what it raises is logged and changes nothing for the run.
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
    """The storage engines of this plug-in."""
    return []


@hookspec
def aimstore_indexers() -> list[IndexerSpec]:
    """The indexers of this plug-in."""
    return []


@hookspec
def aimstore_query_engines() -> list[QueryEngineSpec]:
    """The query languages of this plug-in."""
    return []


@hookspec
def aimstore_object_types() -> list[ObjectTypeSpec]:
    """The types of objects that this plug-in can store."""
    return []


@hookspec
def aimstore_cli_commands() -> list[CommandSpec]:
    """The commands that this plug-in adds to the `aimstore` program."""
    return []


@hookspec
def aimstore_bench_workloads() -> list[WorkloadSpec]:
    """The workloads that this plug-in adds to `aimstore bench`."""
    return []


@hookspec
def aimstore_run_opened(run_hash: str, repo: str, resumed: bool) -> None:
    """A run was opened for writing: it is locked, marked as in progress, and about to take data.

    Args:
        run_hash: the run's hash.
        repo: path of the repository's `.aim` directory.
        resumed: the run existed before.
    """


@hookspec
def aimstore_run_finalized(run_hash: str, repo: str) -> None:
    """A run has ended and is in the index; its progress markers and locks are gone.

    Args:
        run_hash: the run's hash.
        repo: path of the repository's `.aim` directory.
    """


@hookspec
def aimstore_run_indexed(run_hash: str, repo: str) -> None:
    """The index took in a run: at its end, or by a reindex, which also takes in runs whose process died.

    Args:
        run_hash: the run's hash.
        repo: path of the repository's `.aim` directory.
    """
