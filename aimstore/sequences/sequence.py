"""The public view of one sequence: its summary, its points, and for metrics their columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np

from aimstore.abc import Container
from aimstore.encoding.chunks import COLUMNS, NO_EPOCH, Columns
from aimstore.encoding.columns import Floats, Ints
from aimstore.errors import UnsupportedError
from aimstore.sequences.columns import cut, floats, increasing, last_of_each_step, numbers, plain, take
from aimstore.sequences.limits import OUTLINE_SIZES, OutlineSizes
from aimstore.sequences.outline import in_fewer, outline_of, points
from aimstore.sequences.reader import is_still_ordered, load_object, read_last, read_outline, read_points, read_range
from aimstore.storage.layout import SequenceInfo
from aimstore.types import Context

if TYPE_CHECKING:
    import pandas as pd

STORED_PER_SAMPLED: Final = 2
"""Minimum number of stored stretches for each stretch of a sample, so that the sample's are of about equal length."""

Ordinals: TypeAlias = range | Ints
"""Ordinals of points: a range, or int64[n]."""

Reading: TypeAlias = Callable[[], AbstractContextManager[Container]]
"""Lends the run's sequence container during a `with` block."""


class Point(NamedTuple):
    """One tracked value. `time` is seconds since the epoch, UTC, to the microsecond; `epoch` is None if not given."""

    step: int
    value: Any
    epoch: int | None
    time: float


class Sequence:
    """The points that one run tracked under one name and context, as of the moment when this object was obtained.

    Points come in increasing order of their steps; if several have the same step, the last one tracked counts.
    Iteration yields a `Point` for each step and decodes objects as it proceeds.

    Attributes:
        run: the run that tracked the sequence.
        name: the name of the sequence.
        context: the context; `{}` if there is none.
        kind: "number", "text", "bytes", "array", "value", or the name of a registered type.
    """

    def __init__(
        self, run: Any, info: SequenceInfo, reading: Reading, outline_sizes: OutlineSizes = OUTLINE_SIZES
    ) -> None:
        self.run = run
        self.name = info.name
        self.context: Context = info.context
        self.kind = info.kind
        self._info = info
        self._reading = reading
        self._outline_sizes = outline_sizes

    @property
    def count(self) -> int:
        """Number of steps with a value; an upper bound while a sequence with repeated steps is being written."""
        return self._info.count

    @property
    def first_step(self) -> int | None:
        """Least step; None if there are no points."""
        return self._info.first_step

    @property
    def last_step(self) -> int | None:
        """Greatest step; None if there are no points."""
        return self._info.last_step

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Point]:
        return self.points()

    def points(self, start_step: int | None = None, stop_step: int | None = None) -> Iterator[Point]:
        """The points with `start_step <= step < stop_step`. If steps are in order, only their chunks are read."""
        with self._reading() as seqs:
            positions, columns = self._select(seqs, start_step, stop_step)
            steps, times = columns.steps.tolist(), columns.times.tolist()
            epochs = [NO_EPOCH] * len(steps) if columns.epochs is None else columns.epochs.tolist()
            values = plain(columns.values)
            if self.kind == "number":
                values = numbers(values)
            for i, value in enumerate(values):
                if self.kind != "number":
                    value = load_object(seqs, self._info.id, int(positions[i]), value)
                yield Point(steps[i], value, None if epochs[i] == NO_EPOCH else epochs[i], times[i] / 1e6)

    def _select(
        self, seqs: Container, start: int | None, stop: int | None, wanted: Collection[str] = COLUMNS
    ) -> tuple[Ordinals, Columns]:
        """Ordinals (a range or int64[n]) and columns of the points in a range of steps, in step order."""
        if start is not None or stop is not None:
            found = self._select_ordered(seqs, start, stop, wanted)
            if found is not None:
                return found
        return self._select_from_all(seqs, start, stop, wanted)

    def _select_ordered(
        self, seqs: Container, start: int | None, stop: int | None, wanted: Collection[str]
    ) -> tuple[Ordinals, Columns] | None:
        """`_select` that reads only the chunks of the range; None if the steps are not, or no longer, in order."""
        summary = self._info.summary
        if summary is None or not summary.ordered or not is_still_ordered(seqs, self._info.id, summary):
            return None
        found = read_range(seqs, self._info.id, summary.points, start, stop, wanted)
        if found is None:
            return _NOTHING
        first, columns = found
        if not increasing(columns.steps):  # a writer has broken the order since the check above
            return None
        return range(first, first + len(columns.steps)), columns

    def _select_from_all(
        self, seqs: Container, start: int | None, stop: int | None, wanted: Collection[str]
    ) -> tuple[Ordinals, Columns]:
        """`_select` for steps in any order; reads every chunk."""
        summary = self._info.summary
        points = read_points(seqs, self._info.id, wanted, points=0 if summary is None else summary.points)
        if points is None:
            return _NOTHING
        steps = points.steps
        ordered = increasing(steps)
        if ordered and start is None and stop is None:
            return range(len(steps)), points
        positions = np.arange(len(steps)) if ordered else last_of_each_step(steps)
        inside = np.ones(len(positions), bool)
        if start is not None:
            inside &= steps[positions] >= start
        if stop is not None:
            inside &= steps[positions] < stop
        return positions[inside], take(points, positions[inside])

    def __repr__(self) -> str:
        context = f" {self.context}" if self.context else ""
        return f"<{type(self).__name__} {self.name!r}{context} of run {self.run.hash}: {self.count} steps>"


class Metric(Sequence):
    """A sequence of numbers."""

    @property
    def last(self) -> float | int | None:
        """Value at the greatest step."""
        return self._info.last

    @property
    def min(self) -> float | int | None:
        """Least value that is not NaN; NaN if all values are NaN."""
        return self._info.min

    @property
    def max(self) -> float | int | None:
        """Greatest value that is not NaN; NaN if all values are NaN."""
        return self._info.max

    def numpy(self) -> tuple[Ints, Floats]:
        """All steps int64[n], increasing, and values float64[n]; ints past 2**53 are rounded (iteration keeps them)."""
        return self.read(None, None)

    def read(self, start_step: int | None = None, stop_step: int | None = None) -> tuple[Ints, Floats]:
        """Steps int64[n] and values float64[n] with `start_step <= step < stop_step`."""
        with self._reading() as seqs:
            _, columns = self._select(seqs, start_step, stop_step, ("steps", "values"))
            return columns.steps, floats(columns.values)

    def tail(self, n: int) -> tuple[Ints, Floats]:
        """The last `n` points, or all if there are fewer: steps int64[m], increasing, and values float64[m]. If the
        steps were tracked in order, only the last chunks are read.

        Raises:
            ValueError: `n` is negative.
        """
        if n < 0:
            raise ValueError(f"a tail has 0 points or more, not {n}")
        summary = self._info.summary
        with self._reading() as seqs:
            columns = None
            if summary is not None and summary.ordered:
                columns = read_last(seqs, self._info.id, summary, n, ("steps", "values"))
            if columns is None:
                _, columns = self._select(seqs, None, None, ("steps", "values"))
                columns = cut(columns, slice(max(0, len(columns.steps) - n), None))
            return columns.steps, floats(columns.values)

    def sample(self, k: int) -> tuple[Ints, Floats]:
        """At most `k` points that keep the shape of the metric: steps int64[m], increasing, and values float64[m]. They
        are the first and the last point, and the least and the greatest value that is not NaN in each of k // 2 - 1
        stretches of about equal length.

        If the steps were tracked in order, the time depends on `k` and not on the length of the metric; otherwise all
        points are read.

        Raises:
            ValueError: `k` is below 4.
        """
        if k < 4:
            raise ValueError(f"a sample has at least 4 points, not {k}")
        summary, stretches, outline = self._info.summary, k // 2 - 1, None
        with self._reading() as seqs:
            if summary is not None and summary.ordered:
                least = STORED_PER_SAMPLED * stretches
                outline = read_outline(seqs, self._info.id, summary.points, least, self._outline_sizes)
        if outline is None:
            steps, values = self.numpy()
            if len(steps) <= k:
                return steps, values
            outline = outline_of(steps, values, np.linspace(0, len(steps), stretches, endpoint=False).astype(np.int64))
        return points(in_fewer(outline, stretches))

    def dataframe(self) -> pd.DataFrame:
        """A pandas DataFrame with the columns step, value, epoch and time (UTC), and one row for each step.

        Raises:
            UnsupportedError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UnsupportedError("dataframe() needs pandas: pip install 'aimstore[pandas]'") from error
        with self._reading() as seqs:
            _, columns = self._select(seqs, None, None)
        epochs = pd.array([None] * len(columns.steps), dtype="Int64")
        if columns.epochs is not None:
            epochs = pd.array(columns.epochs, dtype="Int64")
            epochs[columns.epochs == NO_EPOCH] = pd.NA
        times = pd.to_datetime(columns.times, unit="us", utc=True)
        return pd.DataFrame({"step": columns.steps, "value": floats(columns.values), "epoch": epochs, "time": times})


_NOTHING: tuple[Ordinals, Columns] = (
    np.empty(0, np.int64),
    Columns(np.empty(0, np.int64), np.empty(0, np.int64), None, np.empty(0, np.float64)),
)
