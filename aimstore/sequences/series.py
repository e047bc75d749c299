"""One sequence being written: what waits in memory, and what of it becomes which chunk."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np

from aimstore.abc import WriteBatch
from aimstore.encoding.chunks import NO_EPOCH, Columns, encode_chunk, encode_scalars
from aimstore.encoding.keys import encode_path
from aimstore.errors import EncodingError
from aimstore.sequences import outline
from aimstore.sequences.columns import as_arrays, concatenate, cut, exact_code, plain
from aimstore.sequences.summary import extend
from aimstore.sequences.values import STEP_MAX
from aimstore.storage.layout import NUMBER, OBJECT, Summary
from aimstore.types import Context

SEAL = 4096
"""Records at which the fresh chunks of a sequence are replaced by a sealed one."""

SEAL_BYTES = 256 * 1024
"""Bytes of objects that do the same."""

LARGE_OBJECT = 16 * 1024
"""Bytes from which an object is stored under a key of its own."""

VECTOR = 128
"""Records from which NumPy is faster than lists."""

HIGH_STEP = 2**62
"""Step from which on the steps of a sequence may come to an end; no sequence gets there by counting."""

WIDTH = 4
"""Entries per record in `Series.pending`: value, step, epoch, time."""

CHECK_EVERY = 256 * WIDTH
"""Growth of one sequence's pending entries after which `track` looks at the bound of all."""

MOST = 2 * SEAL * WIDTH
"""Entries that are staged at once: no call of NumPy on them is long enough to be felt by the threads that track."""

MOST_BYTES = 1024 * 1024
"""Bytes of objects for which the same holds."""


@dataclass(slots=True)
class Tail:
    """Records that are stored in fresh chunks and kept here, so that sealing them reads nothing.

    Attributes:
        starts: ordinals of the fresh chunks.
        steps, times, epochs: int64 columns; `epochs` is None while there is none.
        values: `array("d")`, `array("q")`, or a list of mixed numbers or of objects.
        nbytes: memory they take, about.
    """

    starts: list[int]
    steps: array[int]
    times: array[int]
    epochs: array[int] | None
    values: array[Any] | list[Any]
    nbytes: int = 0

    @classmethod
    def empty(cls) -> Tail:
        return cls([], array("q"), array("q"), None, array("d"))

    def append(self, start: int, columns: Columns, nbytes: int) -> None:
        """Add the records of a fresh chunk, whose first has the ordinal `start`."""
        count = len(self.steps)
        self.starts.append(start)
        _extend(self.steps, columns.steps)
        _extend(self.times, columns.times)
        if columns.epochs is not None and self.epochs is None:
            self.epochs = array("q", [NO_EPOCH]) * count
        if self.epochs is not None:
            _extend(self.epochs, [NO_EPOCH] * len(columns.steps) if columns.epochs is None else columns.epochs)
        code = exact_code(columns.values)
        if not count:
            self.values = [] if code == "list" else array(code)
        if isinstance(self.values, array) and self.values.typecode == code:
            _extend(self.values, columns.values)
        else:
            self.values = [*self.values, *plain(columns.values)]
        self.nbytes += nbytes

    def merged(self, columns: Columns | None) -> Columns:
        """These records and then those of `columns`, as NumPy columns."""
        more = [] if columns is None else [as_arrays(columns)]
        if not self.starts:
            return more[0]
        values = self.values if isinstance(self.values, list) else np.array(self.values)
        epochs = None if self.epochs is None else np.array(self.epochs)
        return concatenate([Columns(np.array(self.steps), np.array(self.times), epochs, values), *more])


@dataclass(slots=True)
class Staged:
    """A change of one sequence whose chunks are in a batch, to be made once the batch is written.

    Attributes:
        taken: entries of `pending` that the chunks hold.
        ordinal: of the first record among them.
        fresh: columns of the fresh chunk; None where everything was sealed.
        nbytes: memory of these columns, about.
        levels: outlines that are not stored then.
    """

    series: Series
    taken: int
    ordinal: int
    fresh: Columns | None
    nbytes: int
    summary: Summary
    levels: outline.Levels

    def commit(self) -> None:
        series = self.series
        del series.pending[: self.taken]
        series.check_at = len(series.pending) + CHECK_EVERY
        if self.fresh is None:
            series.tail = Tail.empty()
        else:
            series.tail.append(self.ordinal, self.fresh, self.nbytes)
        series.dirty = series.dirty or series.summary is not self.summary
        series.summary = self.summary
        series.levels = self.levels


class Series:
    """State of one sequence in its writer. `pending` is appended to by any thread; all else belongs to the drain.

    Attributes:
        pending: flat: value, step or None, epoch or None, time in seconds since the epoch, for each record. Appending four
            entries at once and cutting off a prefix are each one operation of a list, so that no lock is needed.
        plain: all values so far were floats.
        check_at: length of `pending` from which `track` looks at the bound.
        defined: the kind that the definition in the meta container names; "" while there is none.
        dirty: the summary in the meta container is not the present one.
        levels: outlines of sealed chunks that are not stored yet.
        only_none: nothing but None was tracked so far, so that the kind is not settled.
        high: the greatest step, where it is `HIGH_STEP` or above, from where on each is checked by itself; else None.
        types: of the values of the context, where some are no text, in the order in which they were given first.
        quick: a float is taken without a further look.
    """

    __slots__ = (
        "check_at", "context", "defined", "dirty", "high", "id", "kind", "levels", "name", "number", "only_none", "pending",
        "plain", "quick", "summary", "tail", "types",
    )  # fmt: skip

    def __init__(self, number: int, name: str, context: Context, kind: str) -> None:
        self.id = number
        self.name = name
        self.context = context
        self.types: list[type] | None = None
        self.high: int | None = None
        self.only_none = False
        self.pending: list[Any] = []
        self.become(kind)
        self.check_at = CHECK_EVERY
        self.defined = ""
        self.dirty = False
        self.summary: Summary | None = None
        self.tail = Tail.empty()
        self.levels: outline.Levels = ()

    def become(self, kind: str) -> None:
        """Settle the kind. What is stored and waits of None stays as it is; in a sequence of numbers it is read as NaN."""
        self.kind = kind
        self.plain = kind == NUMBER and not self.only_none
        self.number = kind == NUMBER
        self.quick = self.number and self.high is None
        self.only_none = False

    def check_step(self, step: int | None) -> None:
        """Raise `EncodingError` where `step` is None and there is no next one."""
        if step is None and self.high == STEP_MAX:
            raise EncodingError(
                f"sequence {self.name!r} has a value at step {STEP_MAX}, after which there is none; give a step"
            )

    def next_step(self, step: int | None) -> int | None:
        """`step`, which is to be tracked; the next one in its place where steps are so high that they may come to an end.

        Raises:
            EncodingError: there is no next one.
        """
        if self.high is None and (step is None or step < HIGH_STEP):
            return step
        self.check_step(step)
        if step is None:
            assert self.high is not None
            step = self.high + 1
        self.quick = False
        self.high = step if self.high is None else max(self.high, step)
        return step

    def stage(self, batch: WriteBatch, large: list[WriteBatch], *, seal: bool) -> Staged | None:
        """Put what is pending into `batch`; None where there is nothing to write.

        Args:
            batch: takes the chunks, of a share of what is pending (`MOST`, `MOST_BYTES`); the rest waits for the next call.
            large: takes a batch for each large object, to be written before.
            seal: leave nothing in fresh chunks.
        """
        taken = self._share()
        if not taken and not (seal and self.tail.starts):
            return None
        ordinal = self.summary.records if self.summary is not None else 0
        columns, nbytes, summary, levels = None, 0, self.summary, self.levels
        if taken:
            columns, nbytes = self._take(taken, ordinal, large)
            summary = extend(self.summary, columns, number=self.number)
        assert summary is not None  # whatever has a tail has a summary
        count = len(self.tail.steps) + taken // WIDTH
        if seal or count >= SEAL or (not self.number and self.tail.nbytes + nbytes >= SEAL_BYTES):
            outlined = self.number and summary.ordered
            levels = self._seal(batch, columns, ordinal, self.tail.nbytes + nbytes, outlined=outlined)
            columns = None
        else:
            assert columns is not None
            batch.put(encode_path((self.id, ordinal)), encode_columns(columns))
        return Staged(self, taken, ordinal, columns, nbytes, summary, levels)

    def finish(self, batch: WriteBatch) -> None:
        """Put the outlines into `batch` that wait for more to come."""
        if self.summary is not None and self.summary.ordered:
            outline.finish(batch, self.id, self.levels)

    def _share(self) -> int:
        """Entries of `pending` to be staged at once."""
        most = min(len(self.pending), MOST)
        if not self.number:
            nbytes = 0
            for place in range(0, most, WIDTH):
                nbytes += len(self.pending[place])
                if nbytes >= MOST_BYTES:
                    return place + WIDTH
        return most

    def _take(self, taken: int, ordinal: int, large: list[WriteBatch]) -> tuple[Columns, int]:
        flat = self.pending[:taken]
        values: Any = flat[0::WIDTH]
        steps = self._steps(flat[1::WIDTH])
        epochs: Any = flat[2::WIDTH]
        times: Any = flat[3::WIDTH]
        count = len(values)
        nbytes = count * 3 * 8
        given = epochs.count(None) < count
        epochs = [NO_EPOCH if epoch is None else epoch for epoch in epochs] if given else None
        if not self.number:
            values = [self._place(value, ordinal + i, large) for i, value in enumerate(values)]
            nbytes += sum(len(value) for value in values if isinstance(value, bytes))
        if count < VECTOR:
            times = [int(time * 1e6) for time in times]
        else:
            times = (np.array(times) * 1e6).astype(np.int64)
            steps = np.array(steps, np.int64)
            epochs = None if epochs is None else np.array(epochs, np.int64)
            if self.number:
                values = self._vector(values)
        return Columns(steps, times, epochs, values), nbytes

    def _steps(self, steps: list[int | None]) -> Any:
        greatest = -1 if self.summary is None else self.summary.last_step
        missing = steps.count(None)
        if missing == len(steps) and greatest < STEP_MAX - missing:
            return range(greatest + 1, greatest + 1 + missing)
        if not missing:
            return steps
        given: list[int] = []
        for step in steps:
            given.append(greatest + 1 if step is None else step)
            first = self.summary is None and len(given) == 1
            greatest = given[-1] if first else max(greatest, given[-1])
        return given

    def _vector(self, values: list[Any]) -> Any:
        if self.plain:
            return np.array(values, np.float64)
        kinds = set(map(type, values))
        if kinds == {float}:
            return np.array(values, np.float64)
        if kinds == {int}:
            try:
                return np.array(values, np.int64)
            except OverflowError:
                return values
        return values

    def _place(self, value: bytes, ordinal: int, large: list[WriteBatch]) -> bytes | int:
        if len(value) < LARGE_OBJECT:
            return value
        alone = WriteBatch()
        alone.put(encode_path((self.id, OBJECT, ordinal)), value)
        large.append(alone)
        return len(value)

    def _seal(
        self, batch: WriteBatch, columns: Columns | None, ordinal: int, nbytes: int, *, outlined: bool
    ) -> outline.Levels:
        start = self.tail.starts[0] if self.tail.starts else ordinal
        merged = self.tail.merged(columns)
        count = len(merged.steps)
        pieces = max(1, count // SEAL, 0 if self.number else nbytes // SEAL_BYTES)
        size = -(-count // pieces)
        kept = range(start, start + count, size)
        for fresh in self.tail.starts:
            if fresh not in kept:
                batch.delete(encode_path((self.id, fresh)))
        levels = self.levels
        for first in kept:
            piece = cut(merged, slice(first - start, first - start + size))
            batch.put(encode_path((self.id, first)), encode_chunk(piece))
            if outlined and (first or count >= outline.PIECE):  # one short chunk is its own outline
                levels = outline.grow(batch, self.id, levels, first, piece)
        return levels


def encode_columns(columns: Columns) -> bytes:
    """A chunk in the form that is fastest to make for its size."""
    if isinstance(columns.steps, np.ndarray):
        return encode_chunk(columns)
    return encode_scalars(columns.steps, columns.times, columns.epochs, columns.values)


def _extend(column: array[Any], values: Any) -> None:
    if isinstance(values, np.ndarray):
        column.frombytes(values.tobytes())
    else:
        column.extend(values)
