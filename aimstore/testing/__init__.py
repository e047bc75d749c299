"""The conformance kit: the tests that every storage engine, indexer and query language has to pass, ready to inherit.

    from aimstore.testing import BackendConformance

    class TestMine(BackendConformance):
        backend_name = "mine"

Needs `pip install 'aimstore[testing]'`.
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


# What the tests start are processes that have no use for pytest and Hypothesis: they are loaded for those who ask for them.
if "pytest" in sys.modules:
    import_module("aimstore.testing.assertions")


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"aimstore.testing.{_HOMES[name]}"), name)


__all__ = ["BackendConformance", "Harness", "IndexerConformance", "QueryConformance", "needs"]
