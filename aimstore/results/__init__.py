"""Results of queries: matching runs, metrics and sequences, ordered, counted, and as data frames.

This room owns the iteration over a `Selection` and its results. It imports the repository layer, the query views and
`Run`; `Repo` stands above it.
"""

from aimstore.results.results import MetricResults, Results, RunResults, SequenceResults
from aimstore.results.window import OnError, Progress, Window

__all__ = ["MetricResults", "OnError", "Progress", "Results", "RunResults", "SequenceResults", "Window"]
