"""Results of queries: runs, metrics and sequences that match, in an order, counted, and as data frames.

Owns the iteration over a `Selection` and what it gives. Imports the repository layer, the query views and `Run`; `Repo`
stands above it.
"""

from aimstore.results.results import MetricResults, Results, RunResults, SequenceResults
from aimstore.results.window import OnError, Progress, Window

__all__ = ["MetricResults", "OnError", "Progress", "Results", "RunResults", "SequenceResults", "Window"]
