"""The built-in plug-in: everything that aimstore itself offers. It is loaded like any other plug-in."""

from __future__ import annotations

from typing import Final

from aimstore.plugins.hookspecs import hookimpl
from aimstore.plugins.specs import (
    BackendSpec,
    CommandSpec,
    IndexerSpec,
    ObjectTypeSpec,
    QueryEngineSpec,
    WorkloadSpec,
)

DEFAULT_BACKEND: Final = "rocksdb"
"""The storage engine of a new repository if none is named. It comes from a plug-in, like every engine with files."""


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
            summary="Packed values and postings in a container of the repository's own backend",
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
            summary="Run the conformance tests for a storage engine.",
            extra="testing",
            factory="aimstore.testing.command:conformance",
        )
    ]


@hookimpl
def aimstore_bench_workloads() -> list[WorkloadSpec]:
    return [
        WorkloadSpec(name=name, summary=summary, factory=f"aimstore.bench.workloads.{name}:{name.title()}")
        for name, summary in (
            ("track", "Tracking in a hot loop: one sequence, many, objects, and each call alone"),
            ("read", "Reading a metric: whole, a range of steps, a sample"),
            ("lifecycle", "Many short runs: create, track, finalize"),
            ("query", "Queries that match few runs, all, or are only counted, by size of the repository"),
            ("index", "Indexing finished runs again"),
            ("mixed", "Several processes that write beside one that reads"),
            ("scale", "Writing, reading, querying, disk and memory from small to large"),
            ("stalls", "Latency of a call while all else goes on: threads, processes, indexing, a reader"),
        )
    ]


@hookimpl
def aimstore_object_types() -> list[ObjectTypeSpec]:
    return [
        ObjectTypeSpec(
            name="text",
            summary="A text",
            type="aimstore.objects.text:Text",
            factory="aimstore.objects.text:codec",
        ),
        ObjectTypeSpec(
            name="image",
            summary="A picture, encoded as PNG, JPEG, …",
            type="aimstore.objects.image:Image",
            factory="aimstore.objects.image:codec",
            extra="images",
        ),
        ObjectTypeSpec(
            name="audio",
            summary="A sound, encoded as WAV, MP3, …",
            type="aimstore.objects.audio:Audio",
            factory="aimstore.objects.audio:codec",
        ),
        ObjectTypeSpec(
            name="distribution",
            summary="A histogram: counts and edges",
            type="aimstore.objects.distribution:Distribution",
            factory="aimstore.objects.distribution:codec",
        ),
        ObjectTypeSpec(
            name="figure",
            summary="A chart of Plotly as JSON, or of Matplotlib as SVG or PNG",
            type="aimstore.objects.figure:Figure",
            factory="aimstore.objects.figure:codec",
            extra="figures",
        ),
    ]
