"""One opened repository: the foundation of `Repo`, `Run`, queries, the command line and the benchmarks.

This room owns the order of steps that makes crashes and concurrency harmless. Its modules are strict layers, lowest
first:

    limits, location     limits and waits; where a repository is, and its settings
    context              the opened parts: backend, indexer, query engine, metadata database
    properties, runs     structured properties and their mirror; runs as containers, locks and markers
    deletion, recovery, checksums, catalog
    session, queried, reindex, opening
    selection, transfer, background
    conversion

It may import every room below; it does not know `Repo`, `Run` and results.
"""

from aimstore.repository.catalog import Catalog
from aimstore.repository.context import RepositoryContext
from aimstore.repository.limits import LockWaits, ReadLimits, ReindexLimits, RepositoryLimits
from aimstore.repository.opening import catalog_of, context_of, init_repository, open_repository, shared_repository

__all__ = [
    "Catalog",
    "LockWaits",
    "ReadLimits",
    "ReindexLimits",
    "RepositoryContext",
    "RepositoryLimits",
    "catalog_of",
    "context_of",
    "init_repository",
    "open_repository",
    "shared_repository",
]
