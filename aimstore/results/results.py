"""The results of a query: runs, metrics or sequences, found during iteration, in order if an order is given."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias, TypeVar

from aimstore.abc import CompiledQuery, Order, View
from aimstore.errors import QueryRuntimeError
from aimstore.index.entry import LazyLeaf
from aimstore.query import STORED_PROPERTIES, Loadable, MetricView, RunView, SequenceView, describe
from aimstore.repository.catalog import Catalog
from aimstore.repository.queried import QueriedRun
from aimstore.repository.selection import Pushdown, Selection
from aimstore.results.frames import metric_frame, run_frame
from aimstore.results.window import OnError, Progress, Window
from aimstore.run import Run, queried_run
from aimstore.storage.layout import NUMBER, SequenceInfo
from aimstore.types import TreePath

if TYPE_CHECKING:
    import pandas as pd

    from aimstore.sequences.sequence import Metric, Sequence

logger = logging.getLogger("aimstore")

Loadable.register(LazyLeaf)

ARCHIVED: Final = ("run", "archived")
_LEFT_OUT: Final = "left out; a query that mentions run.archived decides itself"

_R = TypeVar("_R")

_Found: TypeAlias = tuple[QueriedRun, SequenceInfo | None]
_Ranked: TypeAlias = tuple[tuple[Any, ...], str, int, QueriedRun | None, SequenceInfo | None]
"""Rank, run hash, id of the sequence, the run unless it is to be read again, and the sequence."""


class Results(ABC, Generic[_R]):
    """The results of one query. Each iteration searches again; nothing is read before the first iteration.

    Attributes:
        progress: progress of the current or last iteration.
    """

    def __init__(self, catalog: Catalog, query: CompiledQuery, on_error: OnError, window: Window) -> None:
        if on_error not in ("count", "raise"):
            raise ValueError(f'on_error must be "count" or "raise", not {on_error!r}')
        self._catalog = catalog
        self._query = query
        self._on_error = on_error
        self._window = window
        self._pushdown = _pushdown(query, window.order, pushdown=on_error != "raise")
        self.progress = Progress()

    def __iter__(self) -> Iterator[_R]:
        for found in self._found():
            yield self._result(found)

    def queried_runs(self) -> Iterator[QueriedRun]:
        """The run of each result, as the query sees it."""
        return (run for run, _ in self._found())

    def count(self) -> int:
        """The number of results, after `offset` and `limit`. No result is built or ordered."""
        window = self._window
        total = self._total(self._select())
        self._report()
        return max(0, total - window.offset)

    def _total(self, selection: Selection) -> int:
        """The number of matches, up to the end of the window."""
        return sum(1 for _ in islice(self._matching(selection), self._window.stop))

    def explain(self) -> str:
        """Describe how the query is answered and, after an iteration, its counts."""
        query, progress = self._query, self.progress
        if self._pushdown.hints is None:
            pushdown = "none: every run is evaluated"
        elif not query.expression.strip():
            pushdown = "not needed: every run matches"
        else:
            pushdown = describe(self._pushdown.hints) + ("; exact" if self._pushdown.exact else "")
        lines = [
            f"query      {query.expression or '(everything)'}",
            f"pushdown   {pushdown}",
            f"archived   {'as the query says' if self._pushdown.archived else _LEFT_OUT}",
        ]
        if given := str(self._window):
            lines.append(f"order      {given}")
        if progress.pending or progress.candidates is not None or progress.runs:
            index = "all indexed runs" if progress.candidates is None else f"{progress.candidates} from the index"
            lines.append(f"candidates {index}, {progress.pending} pending")
            lines.append(f"runs       {progress.runs} examined, predicate evaluated {progress.evaluated} times")
            lines.append(f"matched    {progress.matched}")
        if progress.errors or progress.unordered:
            lines.append(f"errors     {progress.errors + progress.unordered}, the first: {progress.first_error}")
        return "\n".join(lines)

    def _select(self) -> Selection:
        selection = Selection(self._catalog, self._pushdown)
        found = selection.candidates
        self.progress = Progress(candidates=None if found is None else len(found.runs), pending=len(selection.pending))
        return selection

    def _found(self) -> Iterator[_Found]:
        window, selection = self._window, self._select()
        if window.order is not None:
            yield from self._in_order(window.order, selection)
        elif window.offset or window.limit is not None:
            yield from islice(self._matching(selection), window.offset, window.stop)
        else:
            yield from self._matching(selection)
        self._report()

    def _matching(self, runs: Iterable[QueriedRun]) -> Iterator[_Found]:
        progress = self.progress
        for run in runs:
            progress.runs += 1
            yield from self._within(run)

    def _in_order(self, order: Order, selection: Selection) -> Iterator[_Found]:
        window = self._window
        ranked = (self._ranked(order, *found) for found in self._matching(selection))
        chosen = sorted(ranked) if window.stop is None else nsmallest(window.stop, ranked)
        del chosen[: window.offset]
        reread = selection.reread(run_hash for _, run_hash, _, run, _ in chosen if run is None)
        for _, _, _, run, info in chosen:
            yield next(reread) if run is None else run, info

    def _ranked(self, order: Order, run: QueriedRun, info: SequenceInfo | None) -> _Ranked:
        """A match with its rank. The run's entry is not kept, because there may be many matches."""
        try:
            rank = order.rank(self._view(run, info))
        except QueryRuntimeError as error:
            if self._on_error == "raise":
                raise
            self.progress.unordered += 1
            self.progress.first_error = self.progress.first_error or f"{_describe(run, info)}: {error}"
            rank = order.last
        return rank, run.hash, -1 if info is None else info.id, None if run.is_final else run, info

    def _report(self) -> None:
        """Log how often the predicate or the order raised."""
        progress = self.progress
        if progress.errors:
            logger.warning(
                "query %r raised for %d of %d; these count as no match. The first: %s",
                self._query.expression,
                progress.errors,
                progress.evaluated,
                progress.first_error,
            )
        elif progress.unordered:
            logger.warning(
                "order_by raised for %d of %d; these come last. The first: %s",
                progress.unordered,
                progress.matched,
                progress.first_error,
            )

    def _view(self, run: QueriedRun, info: SequenceInfo | None) -> View:
        return RunView(run)

    @abstractmethod
    def _within(self, run: QueriedRun) -> Iterator[_Found]:
        """The matches within one run."""

    @abstractmethod
    def _result(self, found: _Found) -> _R:
        """The public object for a match."""

    def _matches(self, view: View, run: QueriedRun, info: SequenceInfo | None) -> bool:
        progress = self.progress
        progress.evaluated += 1
        try:
            matched = self._query.matches(view)
        except QueryRuntimeError as error:
            if self._on_error == "raise":
                raise
            progress.errors += 1
            progress.first_error = progress.first_error or f"{_describe(run, info)}: {error}"
            return False
        progress.matched += matched
        return matched


class RunResults(Results[Run]):
    """Matching runs. Each has the data that the query read, and opens the rest on access."""

    def dataframe(self, *, params: bool = True) -> pd.DataFrame:
        """A pandas DataFrame with one row for each run: its hash, its structured properties, and its parameters in
        columns such as `hparams.lr`, named as after `run.` or `run` in a query. Without `params`, the parameters are
        left out.

        Raises:
            UnsupportedError: pandas is not installed.
        """
        return run_frame(self.queried_runs(), params=params)

    def _total(self, selection: Selection) -> int:
        if not selection.exact:
            return super()._total(selection)
        decided = selection.count_exact()
        self.progress.runs = self.progress.matched = decided
        total = decided + sum(1 for _ in self._matching(selection.pending_runs()))
        return total if self._window.stop is None else min(total, self._window.stop)

    def _within(self, run: QueriedRun) -> Iterator[_Found]:
        if run.is_match:
            self.progress.matched += 1
            yield run, None
        elif self._matches(RunView(run), run, None):
            yield run, None

    def _result(self, found: _Found) -> Run:
        run, _ = found
        return queried_run(self._catalog, run)


class _WithinRuns(Results[_R]):
    """Results of a query in which one run may have several results."""

    def dataframe(self, *, params: bool = False) -> pd.DataFrame:
        """A pandas DataFrame with one row for each result: the hash of its `run`, `name`, `kind` (for sequences), the
        keys of its context in columns such as `context.subset`, `count`, `first_step`, `last_step`, `last`, `min` and
        `max`. With `params`, the parameters of its run follow in columns such as `run.hparams.lr`.

        Raises:
            UnsupportedError: pandas is not installed.
        """
        pairs = ((run, info) for run, info in self._found() if info is not None)
        return metric_frame(pairs, kinds=not isinstance(self, MetricResults), params=params)


class MetricResults(_WithinRuns["Metric"]):
    """Matching metrics; `metric.run` is the run of a metric."""

    def _within(self, run: QueriedRun) -> Iterator[_Found]:
        view = RunView(run)
        for info in run.metrics:
            if self._matches(MetricView(info, view), run, info):
                yield run, info

    def _view(self, run: QueriedRun, info: SequenceInfo | None) -> View:
        assert info is not None
        return MetricView(info, RunView(run))

    def _result(self, found: _Found) -> Metric:
        run, info = found
        assert info is not None
        return queried_run(self._catalog, run).metric_of(info)


class SequenceResults(_WithinRuns["Sequence"]):
    """Matching sequences, of one kind or of all; those of numbers are metrics. `sequence.run` is the run of a sequence."""

    def __init__(
        self, catalog: Catalog, query: CompiledQuery, on_error: OnError, window: Window, kind: str | None = None
    ) -> None:
        if kind is not None and not isinstance(kind, str):
            raise TypeError(f'kind is a str such as "image", or None for all kinds, not {kind!r:.60}')
        super().__init__(catalog, query, on_error, window)
        self._kind = kind

    def explain(self) -> str:
        return f"kind       {self._kind or 'all'}\n{super().explain()}"

    def _within(self, run: QueriedRun) -> Iterator[_Found]:
        view = RunView(run)
        for info in run.entry.sequences:
            if self._kind in (None, info.kind) and self._matches(SequenceView(info, view), run, info):
                yield run, info

    def _view(self, run: QueriedRun, info: SequenceInfo | None) -> View:
        assert info is not None
        return SequenceView(info, RunView(run))

    def _result(self, found: _Found) -> Sequence:
        run, info = found
        assert info is not None
        return queried_run(self._catalog, run).sequence_of(info)


def _pushdown(query: CompiledQuery, order: Order | None, *, pushdown: bool) -> Pushdown:
    read = query.attributes
    return Pushdown(
        hints=query.hints if pushdown else None,
        exact=query.exact and pushdown,
        archived=read is not None and ARCHIVED in read,
        properties=_reads_properties(read),
        all_properties=order is not None and _reads_properties(order.attributes),
    )


def _reads_properties(read: frozenset[TreePath] | None) -> bool:
    return read is None or any(path[0] == "run" and path[1:2] and path[1] in STORED_PROPERTIES for path in read)


def _describe(run: QueriedRun, info: SequenceInfo | None) -> str:
    if info is None:
        return f"run {run.hash}"
    what = "metric" if info.kind == NUMBER else f"{info.kind} sequence"
    return f"{what} {info.name!r} {info.context} of run {run.hash}"
