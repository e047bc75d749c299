"""Writes series into the two containers of a run, in an order that makes crashes harmless.

Definitions are written first (meta container), then points (sequence container), then summaries (meta container). After
a crash, no reference points to missing data, and no summary claims more than the points. Points leave memory only when
their batch is accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aimstore.abc import Container, WriteBatch
from aimstore.sequences.columns import plain
from aimstore.sequences.limits import WriterLimits
from aimstore.sequences.reader import read_points
from aimstore.sequences.series import Series, Staging
from aimstore.sequences.summary import recompute_summary
from aimstore.sequences.values import NONE, VALUE
from aimstore.storage.layout import encode_summary, read_sequences, summary_key


class SeriesStore:
    """Writes series into the containers of their run. Its owner calls one method at a time.

    Attributes:
        object_bytes: bytes of all objects written so far.
    """

    def __init__(self, meta: Container, seqs: Container, limits: WriterLimits) -> None:
        self.object_bytes = 0
        self._meta = meta
        self._seqs = seqs
        self._limits = limits
        self._unsaved: dict[int, Series] = {}  # series with an outdated summary in the meta container; oldest first

    def load(self, *, recover: bool) -> Iterator[Series]:
        """The sequences of the run. `recover`: recompute their summaries."""
        for info in list(read_sequences(self._meta)):
            series = Series.resumed(info, self._limits)
            if recover:
                self.correct_summary(series)
            if series.summary is not None:
                series.next_step(series.summary.last_step)
            series.only_nones = self._has_only_nones(series)
            yield series

    def _has_only_nones(self, series: Series) -> bool:
        """Whether all stored values are None; False if there are many values."""
        summary = series.summary
        if series.kind != VALUE or summary is None or summary.points > self._limits.read_nones:
            return False
        columns = read_points(self._seqs, series.id, ("steps", "values"))
        return columns is not None and all(value == NONE for value in plain(columns.values))

    def correct_summary(self, series: Series) -> None:
        """Recompute the summary from the stored points."""
        exact = recompute_summary(self._seqs, series.id, is_numeric=series.is_numeric)
        if exact != series.summary:
            series.summary = exact
            self._unsaved.setdefault(series.id, series)

    def write_share(self, chosen: Iterable[Series], *, seal: bool) -> None:
        """Write a share of each series' pending points, see `Series.stage`. `seal`: leave no points in fresh chunks."""
        waiting = [series for series in chosen if series.pending or (seal and series.tail.starts)]
        while waiting:
            staging = Staging()
            while waiting and staging.chunks.nbytes < self._limits.batch_bytes:
                waiting.pop().stage(staging, seal=seal)
            self._meta.write(staging.definitions)
            for batch in staging.large_objects:
                self._seqs.write(batch)
            self._seqs.write(staging.chunks)
            for change in staging.changes:
                change.commit()
                self.object_bytes += change.object_bytes
                self._unsaved.setdefault(change.series.id, change.series)

    def write_summaries(self, limit: int | None) -> None:
        """Write outdated summaries; at most `limit` of them, the oldest first."""
        chosen = list(self._unsaved.values())[:limit]
        if not chosen:
            return
        batch = WriteBatch()
        for series in chosen:
            if series.summary is None:  # its points are gone
                batch.delete(summary_key(series.id))
            else:
                batch.put(summary_key(series.id), encode_summary(series.summary))
        self._meta.write(batch)
        for series in chosen:
            del self._unsaved[series.id]

    def finish(self, series: Iterable[Series]) -> None:
        """Write the outlines that wait for more points, and make the summaries exact; everything is sealed."""
        batch = WriteBatch()
        known = list(series)
        for each in known:
            each.finish(batch)
        self._seqs.write(batch)
        for each in known:
            if each.summary is not None and not each.summary.ordered:
                self.correct_summary(each)

    def flush(self, *, sync: bool) -> None:
        """Return when everything written is in the engine's log, or with `sync` on the disk."""
        self._seqs.flush(sync=sync)
        self._meta.flush(sync=sync)
