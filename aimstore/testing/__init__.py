"""The conformance kit: tests to inherit, which every storage engine, indexer and query language must pass.

    from aimstore.testing import BackendConformance

    class TestMine(BackendConformance):
        backend_name = "mine"

Needs `pip install 'aimstore[testing]'`.

This room owns the suites and their tools: other processes (`process`, `tasks`), waits with a limit (`waiting`), a
container that counts (`counting`), benchmarks, the report and the command. It may import `aimstore.abc`, `storage` and
the rooms below them. The names of `__all__` are public, and `benchmarks.run`, `benchmarks.measure` and `report.run`;
all other names are internal.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aimstore.testing.conformance import BackendConformance
    from aimstore.testing.harness import Harness, needs
    from aimstore.testing.indexers import IndexerConformance
    from aimstore.testing.queries import QueryConformance

_HOMES: Final = {
    "BackendConformance": "conformance",
    "Harness": "harness",
    "IndexerConformance": "indexers",
    "QueryConformance": "queries",
    "needs": "harness",
}


# The processes that tests start need neither pytest nor Hypothesis, so suites are loaded on first use.
if "pytest" in sys.modules:
    import_module("aimstore.testing.assertions")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"aimstore.testing.{_HOMES[name]}"), name)


__all__ = ["BackendConformance", "Harness", "IndexerConformance", "QueryConformance", "needs"]
