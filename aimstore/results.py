"""What a query gives: runs, metrics or sequences, found while one iterates."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeAlias, TypeVar

from aimstore.abc import CompiledQuery, View
from aimstore.errors import QueryRuntimeError
from aimstore.index.record import LazyLeaf
from aimstore.query import STORED_PROPERTIES, Loadable, MetricView, RunView, SequenceView, describe
from aimstore.run import Run
from aimstore.selection import Question, RunSource, Selection
from aimstore.storage.layout import NUMBER, SequenceInfo

if TYPE_CHECKING:
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


@dataclass
class Progress:
    """How far an iteration is, and at its end the whole of it.

    Attributes:
        candidates: indexed runs that the hints left; None where they left none out.
        unfinished: runs that are looked at whatever the index says of them.
        runs: runs given by the index or looked at.
        evaluated: times that the predicate was asked.
        matched: results given.
        errors: times that the predicate raised, which counts as no match.
        first_error: the first of these, in words.
    """

    candidates: int | None = None
    unfinished: int = 0
    runs: int = 0
    evaluated: int = 0
    matched: int = 0
    errors: int = 0
    first_error: str = ""


class Results(ABC, Generic[_R]):
    """The results of one query, found anew in each iteration. Nothing is read before.

    Attributes:
        progress: of the present iteration, or the last one.
    """

    def __init__(self, repo: Repo, query: CompiledQuery, on_error: OnError) -> None:
        if on_error not in ("count", "raise"):
            raise ValueError(f'on_error is "count" or "raise", not {on_error!r}')
        self._repo = repo
        self._query = query
        self._on_error = on_error
        self._question = _question(query, pushdown=on_error != "raise")
        self.progress = Progress()

    def __iter__(self) -> Iterator[_R]:
        for found in self._matching(self._select()):
            yield self._result(found)

    def count(self) -> int:
        """The number of results; none of them is built."""
        return sum(1 for _ in self._matching(self._select()))

    def explain(self) -> str:
        """How the query is answered, and after an iteration its counts."""
        query, progress = self._query, self.progress
        decides = "; they decide" if query.exact and self._question.exact else ""
        hints = (
            "none: every run is looked at" if self._question.hints is None else describe(self._question.hints) + decides
        )
        lines = [
            f"query      {query.expression or '(everything)'}",
            f"pushdown   {hints}",
            f"archived   {'as the query says' if self._question.archived else _LEFT_OUT}",
        ]
        if progress.unfinished or progress.candidates is not None or progress.runs:
            index = "all that is indexed" if progress.candidates is None else f"{progress.candidates} by the index"
            lines.append(f"candidates {index}, {progress.unfinished} unfinished")
            lines.append(f"runs       {progress.runs} looked at, predicate evaluated {progress.evaluated} times")
            lines.append(f"matched    {progress.matched}")
        if progress.errors:
            lines.append(f"errors     {progress.errors}, the first: {progress.first_error}")
        return "\n".join(lines)

    def _select(self) -> Selection:
        selection = self._repo.select(self._question)
        found = selection.candidates
        self.progress = Progress(
            candidates=None if found is None else len(found.runs), unfinished=len(selection.unfinished)
        )
        return selection

    def _matching(self, sources: Iterable[RunSource]) -> Iterator[_Found]:
        progress = self.progress
        for source in sources:
            progress.runs += 1
            yield from self._within(source)
        if progress.errors:
            logger.warning(
                "query %r raised for %d of %d; these count as no match. The first: %s",
                self._query.expression,
                progress.errors,
                progress.evaluated,
                progress.first_error,
            )

    @abstractmethod
    def _within(self, source: RunSource) -> Iterator[_Found]:
        """What matches within one run."""

    @abstractmethod
    def _result(self, found: _Found) -> _R:
        """What the user gets for it."""

    def _matches(self, view: View, what: str) -> bool:
        progress = self.progress
        progress.evaluated += 1
        try:
            matched = self._query.matches(view)
        except QueryRuntimeError as error:
            if self._on_error == "raise":
                raise
            progress.errors += 1
            progress.first_error = progress.first_error or f"{what}: {error}"
            return False
        progress.matched += matched
        return matched


class RunResults(Results[Run]):
    """Runs that match. Each has at hand what the query knew of it, and opens the rest when it is read."""

    def count(self) -> int:
        selection = self._select()
        if not selection.exact:
            return sum(1 for _ in self._matching(selection))
        decided = selection.count_exact()
        self.progress.runs = self.progress.matched = decided
        return decided + sum(1 for _ in self._matching(selection.unfinished_sources()))

    def _within(self, source: RunSource) -> Iterator[_Found]:
        if source.decided:
            self.progress.matched += 1
            yield source, None
        elif self._matches(RunView(source), f"run {source.hash}"):
            yield source, None

    def _result(self, found: _Found) -> Run:
        source, _ = found
        return self._repo.run_of(source)


class MetricResults(Results["Metric"]):
    """Metrics that match; `metric.run` is the run of each."""

    def _within(self, source: RunSource) -> Iterator[_Found]:
        view = RunView(source)
        for info in source.metrics:
            if self._matches(MetricView(info, view), _place(source, info)):
                yield source, info

    def _result(self, found: _Found) -> Metric:
        source, info = found
        assert info is not None
        return self._repo.run_of(source).metric_of(info)


class SequenceResults(Results["Sequence"]):
    """Sequences that match, of one kind or of all; those of numbers are metrics. `sequence.run` is the run of each."""

    def __init__(self, repo: Repo, query: CompiledQuery, on_error: OnError, kind: str | None) -> None:
        if kind is not None and not isinstance(kind, str):
            raise TypeError(f'kind is a str such as "image", or None for all kinds, not {kind!r:.60}')
        super().__init__(repo, query, on_error)
        self._kind = kind

    def explain(self) -> str:
        return f"kind       {self._kind or 'all'}\n{super().explain()}"

    def _within(self, source: RunSource) -> Iterator[_Found]:
        view = RunView(source)
        for info in source.record.sequences:
            if self._kind in (None, info.kind) and self._matches(SequenceView(info, view), _place(source, info)):
                yield source, info

    def _result(self, found: _Found) -> Sequence:
        source, info = found
        assert info is not None
        return self._repo.run_of(source).sequence_of(info)


def _question(query: CompiledQuery, *, pushdown: bool) -> Question:
    read = query.attributes
    return Question(
        hints=query.hints if pushdown else None,
        exact=query.exact and pushdown,
        archived=read is not None and ARCHIVED in read,
        properties=read is None
        or any(path[0] == "run" and path[1:2] and path[1] in STORED_PROPERTIES for path in read),
    )


def _place(source: RunSource, info: SequenceInfo) -> str:
    what = "metric" if info.kind == NUMBER else f"{info.kind} sequence"
    return f"{what} {info.name!r} {info.context} of run {source.hash}"
