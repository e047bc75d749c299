"""The plug-in of what aimstore itself brings; loaded like any other."""

from __future__ import annotations

from aimstore.plugins.hookspecs import hookimpl
from aimstore.plugins.specs import BackendSpec, CommandSpec, IndexerSpec, QueryEngineSpec, RecordTypeSpec


@hookimpl
def aimstore_backends() -> list[BackendSpec]:
    return [
        BackendSpec(
            name="memory",
            summary="the memory of one process, gone at its end; for tests and notebooks",
            factory="aimstore.storage.memory:open_shared",
            options="aimstore.storage.memory:MemoryOptions",
        )
    ]


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


@hookimpl
def aimstore_record_types() -> list[RecordTypeSpec]:
    return [
        RecordTypeSpec(
            name="text",
            summary="A text",
            type="aimstore.objects.text:Text",
            factory="aimstore.objects.text:codec",
        ),
        RecordTypeSpec(
            name="image",
            summary="A picture, encoded as PNG, JPEG, …",
            type="aimstore.objects.image:Image",
            factory="aimstore.objects.image:codec",
            extra="images",
        ),
        RecordTypeSpec(
            name="audio",
            summary="A sound, encoded as WAV, MP3, …",
            type="aimstore.objects.audio:Audio",
            factory="aimstore.objects.audio:codec",
        ),
        RecordTypeSpec(
            name="distribution",
            summary="A histogram: counts and edges",
            type="aimstore.objects.distribution:Distribution",
            factory="aimstore.objects.distribution:codec",
        ),
        RecordTypeSpec(
            name="figure",
            summary="A chart of Plotly as JSON, or of Matplotlib as SVG or PNG",
            type="aimstore.objects.figure:Figure",
            factory="aimstore.objects.figure:codec",
            extra="figures",
        ),
    ]
