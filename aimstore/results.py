"""What a query gives: runs, metrics or sequences, found while one iterates, in an order where one is asked for."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeAlias, TypeVar

from aimstore.abc import CompiledQuery, Order, View
from aimstore.errors import QueryRuntimeError
from aimstore.frames import metric_frame, run_frame
from aimstore.index.record import LazyLeaf
from aimstore.query import STORED_PROPERTIES, Loadable, MetricView, RunView, SequenceView, describe
from aimstore.run import Run
from aimstore.selection import Question, RunSource, Selection
from aimstore.storage.layout import NUMBER, SequenceInfo
from aimstore.types import TreePath

if TYPE_CHECKING:
    import pandas as pd

    from aimstore.repo import Repo
    from aimstore.sequences.sequence import Metric, Sequence

logger = logging.getLogger("aimstore")

Loadable.register(LazyLeaf)

OnError: TypeAlias = Literal["count", "raise"]
"""What happens where a predicate raises for a run, metric or sequence: it is counted and reported at the end, or raised."""

ARCHIVED: Final = ("run", "archived")
_LEFT_OUT: Final = "left out; a query that mentions run.archived decides itself"

_R = TypeVar("_R")


_Found: TypeAlias = tuple[RunSource, SequenceInfo | None]
_Ranked: TypeAlias = tuple[tuple[Any, ...], str, int, RunSource | None, SequenceInfo | None]
"""Rank, run hash, number of the sequence, the source where it is not to be read again, and the sequence."""


@dataclass(frozen=True)
class Window:
    """Which results are wanted, and in which order.

    Attributes:
        order: compiled; None is no particular order.
        offset: so many of the first are left out.
        limit: at most so many are given, None is all.
    """

    order: Order | None = None
    offset: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        _check_whole("offset", self.offset)
        if self.limit is not None:
            _check_whole("limit", self.limit)

    @property
    def stop(self) -> int | None:
        """So many are found before the search ends."""
        return None if self.limit is None else self.offset + self.limit

    def __str__(self) -> str:
        parts = [self.order.text] if self.order is not None else []
        parts += [f"the first {self.offset} left out"] if self.offset else []
        parts += [f"{self.limit} at most"] if self.limit is not None else []
        return ", ".join(parts)


@dataclass
class Progress:
    """How far an iteration is, and at its end the whole of it.

    Attributes:
        candidates: indexed runs that the hints left; None where they left none out.
        unfinished: runs that are looked at whatever the index says of them.
        runs: runs given by the index or looked at.
        evaluated: times that the predicate was asked.
        matched: matches found, with those that `offset` and an order leave out.
        errors: times that the predicate raised, which counts as no match.
        unordered: matches for which `order_by` raised; they come last.
        first_error: the first of either, in words.
    """

    candidates: int | None = None
    unfinished: int = 0
    runs: int = 0
    evaluated: int = 0
    matched: int = 0
    errors: int = 0
    unordered: int = 0
    first_error: str = ""


class Results(ABC, Generic[_R]):
    """The results of one query, found anew in each iteration. Nothing is read before.

    Attributes:
        progress: of the present iteration, or the last one.
    """

    def __init__(self, repo: Repo, query: CompiledQuery, on_error: OnError, window: Window) -> None:
        if on_error not in ("count", "raise"):
            raise ValueError(f'on_error is "count" or "raise", not {on_error!r}')
        self._repo = repo
        self._query = query
        self._on_error = on_error
        self._window = window
        self._question = _question(query, window.order, pushdown=on_error != "raise")
        self.progress = Progress()

    def __iter__(self) -> Iterator[_R]:
        for found in self._found():
            yield self._result(found)

    def sources(self) -> Iterator[RunSource]:
        """The run of each result, as the query sees it."""
        return (source for source, _ in self._found())

    def count(self) -> int:
        """The number of results, `offset` and `limit` considered; none of them is built, nor put in order."""
        window = self._window
        total = self._total(self._select())
        self._report()
        return max(0, total - window.offset)

    def _total(self, selection: Selection) -> int:
        """The number of matches; where there are more than the window's end, that."""
        return sum(1 for _ in islice(self._matching(selection), self._window.stop))

    def explain(self) -> str:
        """How the query is answered, and after an iteration its counts."""
        query, progress = self._query, self.progress
        if self._question.hints is None:
            pushdown = "none: every run is looked at"
        elif not query.expression.strip():
            pushdown = "none is needed: every run matches"
        else:
            pushdown = describe(self._question.hints) + ("; they decide" if self._question.exact else "")
        lines = [
            f"query      {query.expression or '(everything)'}",
            f"pushdown   {pushdown}",
            f"archived   {'as the query says' if self._question.archived else _LEFT_OUT}",
        ]
        if given := str(self._window):
            lines.append(f"order      {given}")
        if progress.unfinished or progress.candidates is not None or progress.runs:
            index = "all that is indexed" if progress.candidates is None else f"{progress.candidates} by the index"
            lines.append(f"candidates {index}, {progress.unfinished} unfinished")
            lines.append(f"runs       {progress.runs} looked at, predicate evaluated {progress.evaluated} times")
            lines.append(f"matched    {progress.matched}")
        if progress.errors or progress.unordered:
            lines.append(f"errors     {progress.errors + progress.unordered}, the first: {progress.first_error}")
        return "\n".join(lines)

    def _select(self) -> Selection:
        selection = self._repo.select(self._question)
        found = selection.candidates
        self.progress = Progress(
            candidates=None if found is None else len(found.runs), unfinished=len(selection.unfinished)
        )
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

    def _matching(self, sources: Iterable[RunSource]) -> Iterator[_Found]:
        progress = self.progress
        for source in sources:
            progress.runs += 1
            yield from self._within(source)

    def _in_order(self, order: Order, selection: Selection) -> Iterator[_Found]:
        window = self._window
        ranked = (self._ranked(order, *found) for found in self._matching(selection))
        chosen = sorted(ranked) if window.stop is None else nsmallest(window.stop, ranked)
        del chosen[: window.offset]
        again = selection.again(run for _, run, _, source, _ in chosen if source is None)
        for _, _, _, source, info in chosen:
            yield next(again) if source is None else source, info

    def _ranked(self, order: Order, source: RunSource, info: SequenceInfo | None) -> _Ranked:
        """A match with its rank. What the index says of its run is not kept: there may be many."""
        try:
            rank = order.rank(self._view(source, info))
        except QueryRuntimeError as error:
            if self._on_error == "raise":
                raise
            self.progress.unordered += 1
            self.progress.first_error = self.progress.first_error or f"{_place(source, info)}: {error}"
            rank = order.last
        return rank, source.hash, -1 if info is None else info.id, None if source.final else source, info

    def _report(self) -> None:
        """Say how often the predicate or the order raised."""
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

    def _view(self, source: RunSource, info: SequenceInfo | None) -> View:
        return RunView(source)

    @abstractmethod
    def _within(self, source: RunSource) -> Iterator[_Found]:
        """What matches within one run."""

    @abstractmethod
    def _result(self, found: _Found) -> _R:
        """What the user gets for it."""

    def _matches(self, view: View, source: RunSource, info: SequenceInfo | None) -> bool:
        progress = self.progress
        progress.evaluated += 1
        try:
            matched = self._query.matches(view)
        except QueryRuntimeError as error:
            if self._on_error == "raise":
                raise
            progress.errors += 1
            progress.first_error = progress.first_error or f"{_place(source, info)}: {error}"
            return False
        progress.matched += matched
        return matched


class RunResults(Results[Run]):
    """Runs that match. Each has at hand what the query knew of it, and opens the rest when it is read."""

    def dataframe(self, *, params: bool = True) -> pd.DataFrame:
        """A pandas DataFrame with a row for each run: its hash and structured properties, and its parameters in columns such as
        `hparams.lr`, after what one writes behind `run.` or `run` in a query; without `params` not these.

        Raises:
            UnsupportedError: pandas is not installed.
        """
        return run_frame(self.sources(), params=params)

    def _total(self, selection: Selection) -> int:
        if not selection.exact:
            return super()._total(selection)
        decided = selection.count_exact()
        self.progress.runs = self.progress.matched = decided
        total = decided + sum(1 for _ in self._matching(selection.unfinished_sources()))
        return total if self._window.stop is None else min(total, self._window.stop)

    def _within(self, source: RunSource) -> Iterator[_Found]:
        if source.decided:
            self.progress.matched += 1
            yield source, None
        elif self._matches(RunView(source), source, None):
            yield source, None

    def _result(self, found: _Found) -> Run:
        source, _ = found
        return self._repo.run_of(source)


class _WithinRuns(Results[_R]):
    """Results of which a run may have several."""

    def dataframe(self, *, params: bool = False) -> pd.DataFrame:
        """A pandas DataFrame with a row for each: the hash of its `run`, `name`, `kind` where they are sequences, the keys of
        its context in columns such as `context.subset`, `count`, `first_step`, `last_step`, `last`, `min` and `max`; with
        `params` also the parameters of its run in columns such as `run.hparams.lr`.

        Raises:
            UnsupportedError: pandas is not installed.
        """
        pairs = ((source, info) for source, info in self._found() if info is not None)
        return metric_frame(pairs, kinds=not isinstance(self, MetricResults), params=params)


class MetricResults(_WithinRuns["Metric"]):
    """Metrics that match; `metric.run` is the run of each."""

    def _within(self, source: RunSource) -> Iterator[_Found]:
        view = RunView(source)
        for info in source.metrics:
            if self._matches(MetricView(info, view), source, info):
                yield source, info

    def _view(self, source: RunSource, info: SequenceInfo | None) -> View:
        assert info is not None
        return MetricView(info, RunView(source))

    def _result(self, found: _Found) -> Metric:
        source, info = found
        assert info is not None
        return self._repo.run_of(source).metric_of(info)


class SequenceResults(_WithinRuns["Sequence"]):
    """Sequences that match, of one kind or of all; those of numbers are metrics. `sequence.run` is the run of each."""

    def __init__(
        self, repo: Repo, query: CompiledQuery, on_error: OnError, window: Window, kind: str | None = None
    ) -> None:
        if kind is not None and not isinstance(kind, str):
            raise TypeError(f'kind is a str such as "image", or None for all kinds, not {kind!r:.60}')
        super().__init__(repo, query, on_error, window)
        self._kind = kind

    def explain(self) -> str:
        return f"kind       {self._kind or 'all'}\n{super().explain()}"

    def _within(self, source: RunSource) -> Iterator[_Found]:
        view = RunView(source)
        for info in source.record.sequences:
            if self._kind in (None, info.kind) and self._matches(SequenceView(info, view), source, info):
                yield source, info

    def _view(self, source: RunSource, info: SequenceInfo | None) -> View:
        assert info is not None
        return SequenceView(info, RunView(source))

    def _result(self, found: _Found) -> Sequence:
        source, info = found
        assert info is not None
        return self._repo.run_of(source).sequence_of(info)


def _question(query: CompiledQuery, order: Order | None, *, pushdown: bool) -> Question:
    read = query.attributes
    return Question(
        hints=query.hints if pushdown else None,
        exact=query.exact and pushdown,
        archived=read is not None and ARCHIVED in read,
        properties=_reads_properties(read),
        all_properties=order is not None and _reads_properties(order.attributes),
    )


def _reads_properties(read: frozenset[TreePath] | None) -> bool:
    return read is None or any(path[0] == "run" and path[1:2] and path[1] in STORED_PROPERTIES for path in read)


def _place(source: RunSource, info: SequenceInfo | None) -> str:
    if info is None:
        return f"run {source.hash}"
    what = "metric" if info.kind == NUMBER else f"{info.kind} sequence"
    return f"{what} {info.name!r} {info.context} of run {source.hash}"


def _check_whole(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is an int, not {value!r:.60} ({type(value).__name__})")
    if value < 0:
        raise ValueError(f"{name} is 0 or more, not {value}")
