"""The built-in query language: `PythonQuery`, and the views that it evaluates over.

This room owns the expression tree, its compilation to a predicate, its hints and its budget. It imports the contracts
and the rooms below them; it does not know storage, the index or repositories.
"""

from aimstore.query.descriptions import describe
from aimstore.query.engine import PythonQuery
from aimstore.query.limits import QueryLimitError, QueryLimits
from aimstore.query.values import MISSING, Loadable
from aimstore.query.views import (
    METRIC_PROPERTIES,
    RUN_PROPERTIES,
    SEQUENCE_PROPERTIES,
    STORED_PROPERTIES,
    MetricSource,
    MetricView,
    RunSource,
    RunView,
    SequenceSource,
    SequenceView,
)

__all__ = [
    "METRIC_PROPERTIES",
    "MISSING",
    "RUN_PROPERTIES",
    "SEQUENCE_PROPERTIES",
    "STORED_PROPERTIES",
    "Loadable",
    "MetricSource",
    "MetricView",
    "PythonQuery",
    "QueryLimitError",
    "QueryLimits",
    "RunSource",
    "RunView",
    "SequenceSource",
    "SequenceView",
    "describe",
]
