"""One sequence being written: its pending points in memory, and how they become chunks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aimstore.abc import WriteBatch
from aimstore.encoding.chunks import encode_chunk, type_code
from aimstore.encoding.keys import encode_path
from aimstore.errors import EncodingError
from aimstore.sequences import outline
from aimstore.sequences.columns import cut
from aimstore.sequences.limits import WriterLimits
from aimstore.sequences.pending import ENTRIES_PER_POINT, Points, columns_of, encode_points, lists_of
from aimstore.sequences.summary import extend
from aimstore.sequences.tail import Tail
from aimstore.sequences.values import HIGH_STEP, STEP_MAX, pending_bytes
from aimstore.storage.layout import NUMBER, OBJECT, SequenceInfo, Summary, definition_key, encode_definition
from aimstore.types import Context


@dataclass(slots=True)
class Staging:
    """The writes of one round of a drain, in this order, and the changes in memory after all is written.

    Attributes:
        definitions: definitions of new sequences, for the meta container.
        large_objects: one batch for each large object; this and the next are for the sequence container.
        chunks: chunks and outlines.
        changes: one change for each sequence.
    """

    definitions: WriteBatch = field(default_factory=WriteBatch)
    large_objects: list[WriteBatch] = field(default_factory=list)
    chunks: WriteBatch = field(default_factory=WriteBatch)
    changes: list[Change] = field(default_factory=list)


@dataclass(slots=True)
class Change:
    """The change in one sequence after its chunks are written.

    Attributes:
        entries: number of items of `pending` that the chunks hold.
        object_bytes: bytes of the objects among them.
        ordinal: ordinal of the first point among them.
        fresh: the points of the fresh chunk; None if everything was sealed.
        fresh_bytes: approximate memory of these points.
        levels: outlines that are not stored yet.
        kind: the kind of the sequence in the meta container after the change.
    """

    series: Series
    entries: int
    object_bytes: int
    ordinal: int
    fresh: Points | None
    fresh_bytes: int
    summary: Summary
    levels: outline.Levels
    kind: str

    def commit(self) -> None:
        """Apply the change."""
        series = self.series
        del series.pending[: self.entries]
        series.watch_growth()
        if self.fresh is None:
            series.tail = Tail.empty()
        else:
            series.tail.append(self.ordinal, self.fresh, self.fresh_bytes)
        series.summary = self.summary
        series.levels = self.levels
        series.defined_kind = self.kind


class Series:
    """State of one sequence in its writer.

    Any thread appends to `pending`. The thread that holds the writer's gate changes the fields on the kind and on high
    steps. All other fields belong to the drain.

    Attributes:
        kind: the kind of the values; not settled while `only_nones`.
        is_numeric: the values are numbers.
        is_quick: a float is accepted without further checks.
        only_floats: all values so far were floats.
        only_nones: all values so far were None.
        high_step: the greatest step if it is `HIGH_STEP` or more, from where on each step is checked; else None.
        pending: `ENTRIES_PER_POINT` items for each point. Appending the items of one point, and cutting off a prefix,
            are each one operation of a list, so no lock is needed.
        check_at: length of `pending` from which `track` compares the pending points with the limits.
        defined_kind: the kind in the definition in the meta container; None if there is no definition.
        summary: summary of all points in chunks; None if there are none.
        tail: points in fresh chunks.
        levels: outlines of sealed chunks that are not stored yet.
    """

    __slots__ = (
        "_limits", "check_at", "context", "defined_kind", "high_step", "id", "is_numeric", "is_quick", "kind", "levels",
        "name", "only_floats", "only_nones", "pending", "summary", "tail",
    )  # fmt: skip

    def __init__(self, sequence_id: int, name: str, context: Context, kind: str, limits: WriterLimits) -> None:
        self.id = sequence_id
        self.name = name
        self.context = context
        self.high_step: int | None = None
        self.only_nones = False
        self.settle(kind)
        self.pending: list[Any] = []
        self.check_at = 0
        self.defined_kind: str | None = None
        self.summary: Summary | None = None
        self.tail = Tail.empty()
        self.levels: outline.Levels = ()
        self._limits = limits
        self.watch_growth()

    @classmethod
    def resumed(cls, info: SequenceInfo, limits: WriterLimits) -> Series:
        """A sequence that the meta container defines."""
        series = cls(info.id, info.name, info.context, info.kind, limits)
        series.defined_kind = info.kind
        series.only_floats = False
        series.summary = info.summary
        return series

    def settle(self, kind: str) -> None:
        """Settle the kind. Each None, stored or pending, stays as it is; a sequence of numbers reads it as NaN."""
        self.only_floats = kind == NUMBER and not self.only_nones
        self.is_numeric = kind == NUMBER
        self.kind = kind
        self.is_quick = self.is_numeric and self.high_step is None
        self.only_nones = False

    def check_step(self, step: int | None) -> None:
        """Raise `EncodingError` if `step` is None and there is no next step."""
        if step is None and self.high_step == STEP_MAX:
            raise EncodingError(
                f"sequence {self.name!r} has a value at step {STEP_MAX}, after which there is none; give a step"
            )

    def next_step(self, step: int | None) -> int | None:
        """Return the step to append for `step`: `step` itself, or the next step if high steps may come to an end.

        Raises:
            EncodingError: there is no next step.
        """
        if self.high_step is None:
            if step is None or step < HIGH_STEP:
                return step
            self.is_quick = False
            self.high_step = step
            return step
        self.check_step(step)
        step = self.high_step + 1 if step is None else step
        self.high_step = max(self.high_step, step)
        return step

    def watch_growth(self) -> None:
        """Make `track` check the limits again after `check_points` more pending points."""
        self.check_at = len(self.pending) + self._limits.check_points * ENTRIES_PER_POINT

    def stage(self, into: Staging, *, seal: bool) -> None:
        """Put a share of the pending points into `into`: at most `stage_points`, and about `stage_bytes`.

        Args:
            seal: leave no points in fresh chunks.
        """
        entries, object_bytes = self._share()
        if not entries and not (seal and self.tail.starts):
            return
        ordinal = 0 if self.summary is None else self.summary.points
        points, nbytes, summary, levels = None, 0, self.summary, self.levels
        if entries:
            points, nbytes = self._take(entries, ordinal, into)
            summary = extend(self.summary, points, is_numeric=self.is_numeric)
        assert summary is not None  # a sequence with a tail has a summary
        if seal or self._fills_a_chunk(entries // ENTRIES_PER_POINT, nbytes):
            levels = self._seal(into.chunks, points, ordinal, self.tail.nbytes + nbytes, summary)
            points = None
        else:
            assert points is not None
            into.chunks.put(encode_path((self.id, ordinal)), encode_points(points))
        kind = self.kind  # `track` may settle it meanwhile, but this share has no value of another kind
        if self.defined_kind != kind:
            into.definitions.put(definition_key(self.id), encode_definition(self.name, self.context, kind))
        into.changes.append(Change(self, entries, object_bytes, ordinal, points, nbytes, summary, levels, kind))

    def finish(self, batch: WriteBatch) -> None:
        """Add the outlines that wait for more points to `batch`."""
        if self.summary is not None and self.summary.ordered:
            outline.finish(batch, self.id, self.levels)

    def _fills_a_chunk(self, points: int, nbytes: int) -> bool:
        if len(self.tail.steps) + points >= self._limits.seal_points:
            return True
        return not self.is_numeric and self.tail.nbytes + nbytes >= self._limits.seal_bytes

    def _share(self) -> tuple[int, int]:
        """Number of items of `pending` to stage at once, and the bytes of the objects among them."""
        most = min(len(self.pending), self._limits.stage_points * ENTRIES_PER_POINT)
        object_bytes = 0
        if not self.is_numeric:
            for at in range(0, most, ENTRIES_PER_POINT):
                object_bytes += pending_bytes(self.pending[at])
                if object_bytes >= self._limits.stage_bytes:
                    return at + ENTRIES_PER_POINT, object_bytes
        return most, object_bytes

    def _take(self, count: int, ordinal: int, into: Staging) -> tuple[Points, int]:
        """The points of the first `count` items, and their approximate memory."""
        entries = self.pending[:count]
        values = entries[::ENTRIES_PER_POINT]
        nbytes = len(values) * 3 * 8
        if not self.is_numeric:
            values = [self._store_large(value, ordinal + i, into) for i, value in enumerate(values)]
            nbytes += sum(len(value) for value in values if isinstance(value, bytes))
        last_step = None if self.summary is None else self.summary.last_step
        if len(values) <= self._limits.list_points:
            return lists_of(values, entries, last_step), nbytes
        code = "d" if self.only_floats else type_code(values) if self.is_numeric else ""
        return columns_of(values, entries, last_step, code=code), nbytes

    def _store_large(self, value: bytes, ordinal: int, into: Staging) -> bytes | int:
        """The chunk's content for an object: its bytes, or its size if it is stored under its own key."""
        if len(value) < self._limits.large_object_bytes:
            return value
        alone = WriteBatch()
        alone.put(encode_path((self.id, OBJECT, ordinal)), value)
        into.large_objects.append(alone)
        return len(value)

    def _seal(
        self, batch: WriteBatch, points: Points | None, ordinal: int, nbytes: int, summary: Summary
    ) -> outline.Levels:
        """Replace the fresh chunks, and `points`, with sealed chunks; return the outlines that are not stored then."""
        limits = self._limits
        start = self.tail.starts[0] if self.tail.starts else ordinal
        merged = self.tail.merged(points)
        count = len(merged.steps)
        pieces = max(1, count // limits.seal_points, 0 if self.is_numeric else nbytes // limits.seal_bytes)
        size = -(-count // pieces)
        kept = range(start, start + count, size)
        for fresh in self.tail.starts:
            if fresh not in kept:
                batch.delete(encode_path((self.id, fresh)))
        outlined = self.is_numeric and summary.ordered
        levels = self.levels
        for first in kept:
            piece = cut(merged, slice(first - start, first - start + size))
            batch.put(encode_path((self.id, first)), encode_chunk(piece))
            # a single short chunk serves as its own outline
            if outlined and (first or count >= limits.outlines.stretch_points):
                levels = outline.grow(batch, self.id, levels, first, piece, limits.outlines)
        return levels
