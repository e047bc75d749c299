"""The plug-in of what aimstore itself brings; loaded like any other."""

from __future__ import annotations

from aimstore.plugins.hookspecs import hookimpl
from aimstore.plugins.specs import CommandSpec, IndexerSpec, QueryEngineSpec


@hookimpl
def aimstore_indexers() -> list[IndexerSpec]:
    return [
        IndexerSpec(
            name="container",
            summary="Packed records and postings in a container of the repository's own backend",
            factory="aimstore.index.indexer:ContainerIndexer",
        )
    ]


@hookimpl
def aimstore_query_engines() -> list[QueryEngineSpec]:
    return [
        QueryEngineSpec(
            name="python",
            summary="Python expressions over run and metric, restricted to what is safe",
            factory="aimstore.query.engine:PythonQuery",
        )
    ]


@hookimpl
def aimstore_cli_commands() -> list[CommandSpec]:
    return [
        CommandSpec(
            name="conformance",
            summary="Test whether a storage engine is right.",
            extra="testing",
            factory="aimstore.testing.command:conformance",
        )
    ]
