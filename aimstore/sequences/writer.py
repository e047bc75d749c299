"""The write side of a run's sequences: `track` appends to memory, the drain writes batches.

Order of a drain: definitions (meta container), records (seqs container), summaries (meta container), so that whatever a crash
leaves behind, nothing refers to what is not there. Records leave memory only when their batch is accepted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from threading import RLock
from time import sleep, time
from typing import Any

from aimstore.abc import Container, WriteBatch
from aimstore.errors import AimstoreError, ClosedError, EncodingError, SequenceTypeError
from aimstore.lifecycle import shield
from aimstore.sequences import drainer
from aimstore.sequences.columns import plain
from aimstore.sequences.reader import read_records
from aimstore.sequences.series import CHECK_EVERY, HIGH_STEP, MOST, MOST_BYTES, WIDTH, Series, Staged
from aimstore.sequences.summary import summarize
from aimstore.sequences.values import (
    NONE,
    RECORD,
    STEP_MAX,
    STEP_MIN,
    UNDECIDED,
    admit,
    admit_as,
    check_context,
    check_epoch,
    check_name,
    check_step,
    context_key,
    is_surprise,
    types_of,
)
from aimstore.storage.layout import (
    Summary,
    definition_key,
    encode_definition,
    encode_summary,
    read_sequences,
    summary_key,
)

logger = logging.getLogger("aimstore")

MAX_PENDING = 256 * 1024 * WIDTH
"""Pending entries of one run past which `track` waits: about 30 MB of numbers."""

MAX_PENDING_BYTES = 32 * 1024 * 1024
"""Bytes of pending objects past which `track` waits."""

SLOW_FROM = 0.25
"""Part of either bound from which `track` slows down: many short waits, so that there is no long one at the bound."""

GIVE_WAY = 0.001
"""Seconds of a short wait."""

MAX_BATCH = 2 * 1024 * 1024
"""Bytes at which a batch is written and another begun; a sequence's records are never split between two."""

MAX_NONES = 256
"""Values None of a sequence that a resumed run reads to learn whether it holds anything else."""

SUMMARIES_PER_DRAIN = 64
"""Summaries that a background drain writes at most, the oldest first; a flush writes all."""


def size_of(stored: bytes) -> int:
    """Bytes of an object that count as pending. None counts nothing: its sequence may turn out to be one of numbers."""
    return 0 if stored == NONE else len(stored)


class SequenceWriter:
    """Takes tracked values of one run from any thread.

    `track` takes no lock on its usual way, so a signal may arrive anywhere inside it. An error of the engine is kept and
    raised by the next `track`, `flush` or `close`; the records stay, and every drain tries again.
    """

    def __init__(self, run: str, meta: Container, seqs: Container, *, recover: bool) -> None:
        """
        Args:
            run: the run's hash, shown in errors.
            meta, seqs: its containers, open for writing.
            recover: the run did not end cleanly; recompute from its records what the meta container says of them.
        """
        self.run = run
        self._meta = meta
        self._seqs = seqs
        self._series: dict[Any, Series] = {}
        self._by_context: dict[Any, Series] = {}
        self._dirty: dict[int, Series] = {}
        self._object_bytes = 0
        self._lock = RLock()  # held for a whole drain
        self._gate = RLock()  # held for as long as it takes to append; the other is not taken under it
        self._error: Exception | None = None
        for info in list(read_sequences(meta)):
            series = Series(info.id, info.name, info.context, info.kind)
            series.defined = info.kind
            series.plain = False
            series.summary = self._recomputed(series) if recover else info.summary
            if series.summary != info.summary:
                self._set_dirty(series)
            if series.summary is not None:
                series.next_step(series.summary.last_step)
            series.only_none = self._holds_only_none(series)
            self._by_context[info.name, context_key(info.context)] = series
        drainer.add(self)

    def _recomputed(self, series: Series) -> Summary | None:
        columns = read_records(self._seqs, series.id)
        return None if columns is None else summarize(columns, number=series.number)

    # Tracking: any thread

    def track(self, value: Any, name: str | None, step: int | None, epoch: int | None, context: Any) -> None:
        """See `Run.track`."""
        now = time()
        try:
            series = self._series[name if context is None else (name, *context.items())]
        except (KeyError, TypeError, AttributeError):
            series = None
        if series is not None and series.types is not None and series.types != [*map(type, context.values())]:
            series = None  # one that is equal, such as {"fold": 1} and {"fold": True}
        if (
            series is not None
            and type(value) is float
            and series.quick
            and (step is None or (type(step) is int and STEP_MIN <= step < HIGH_STEP))
            and (epoch is None or (type(epoch) is int and STEP_MIN < epoch <= STEP_MAX))
            and self._error is None
        ):
            pending = series.pending
            pending.extend((value, step, epoch, now))
            if len(pending) > series.check_at:
                self._slow_down([series])
        else:
            self._track_carefully(series, value, name, step, epoch, context, now)

    def _track_carefully(
        self, series: Series | None, value: Any, name: Any, step: Any, epoch: Any, context: Any, now: float
    ) -> None:
        self._raise_error()
        if isinstance(value, dict):
            self._track_each(value, name, step, epoch, context, now)
            return
        self._track_one(series, value, check_name(name), step, epoch, context, now)

    def _track_each(self, values: dict[Any, Any], name: Any, step: Any, epoch: Any, context: Any, now: float) -> None:
        if name is not None:
            raise EncodingError(
                f"track got a dict and the name {name!r:.60}. A dict gives a value for each of its names: leave `name` out; "
                f"to track the dict itself as one record, write track({{{name!r:.60}: value}})"
            )
        # all are checked before the first is taken, so that a bad one leaves nothing half tracked
        checked = [(check_name(key), value, *admit(value, key)) for key, value in values.items()]
        step, epoch = check_step(step, next(iter(values), "")), check_epoch(epoch, next(iter(values), ""))
        for key, value, kind, stored in checked:
            series = self._series_for(key, context, kind, value, make=False)
            self._fitting(series, kind, value, stored)
            series.check_step(step)
        taking = []
        with shield, self._gate:  # all are taken, or none
            self._raise_error()
            for key, value, kind, stored in checked:
                series = self._series_for(key, context, kind, value)
                self._append(series, kind, value, stored, step, epoch, now)
                taking.append(series)
        self._check_bound(taking)

    def _track_one(
        self, series: Series | None, value: Any, name: str, step: Any, epoch: Any, context: Any, now: float
    ) -> None:
        kind, stored = admit(value, name)
        step, epoch = check_step(step, name), check_epoch(epoch, name)
        if series is None:
            series = self._series_for(name, context, kind, value)
        self._append(series, kind, value, stored, step, epoch, now)
        self._check_bound([series])

    def _append(
        self, series: Series, kind: str, value: Any, stored: Any, step: int | None, epoch: int | None, now: float
    ) -> None:
        if series.kind != kind or series.only_none or series.high is not None or (step or 0) >= HIGH_STEP:
            self._append_carefully(series, kind, value, stored, step, epoch, now)
            return
        if series.number:
            if series.plain and type(stored) is not float:
                series.plain = False
        else:
            with shield, self._gate:
                self._object_bytes += size_of(stored)
        # nothing is called between this look and the append, so that no other thread and no signal comes between
        if self._error.__class__ is ClosedError:
            self._raise_error()
        series.pending.extend((stored, step, epoch, now))

    def _append_carefully(
        self, series: Series, kind: str, value: Any, stored: Any, step: int | None, epoch: int | None, now: float
    ) -> None:
        """Append to a sequence whose kind or next step nobody else may settle meanwhile."""
        with shield, self._gate:
            self._raise_error()
            series.check_step(step)
            if series.only_none and kind != UNDECIDED:
                series.become(kind)
                self._say_surprise(series, value)
            stored = self._fitting(series, kind, value, stored)
            step = series.next_step(step)
            if series.number:
                series.plain = series.plain and type(stored) is float
            else:
                self._object_bytes += size_of(stored)
            series.pending.extend((stored, step, epoch, now))

    def _say_surprise(self, series: Series, value: Any) -> None:
        surprise = is_surprise(series.kind, value)
        if surprise:
            logger.warning("run %s, sequence %r: %s", self.run, series.name, surprise)

    def _fitting(self, series: Series, kind: str, value: Any, stored: Any) -> Any:
        """What is stored of a value of this kind in the sequence. Raises `SequenceTypeError` where it does not belong there."""
        if series.kind == kind or series.only_none:
            return stored
        fitting = admit_as(series.kind, value, series.name)
        if fitting is None:
            raise SequenceTypeError(
                f"sequence {series.name!r} {series.context} holds values of kind {series.kind!r}; "
                f"{value!r:.60} ({type(value).__name__}) is of kind {kind!r}: track it under another name or context"
            )
        return fitting

    def _series_for(self, name: str, context: Any, kind: str, value: Any, *, make: bool = True) -> Series:
        own = check_context(context, name)
        key = name, context_key(own)
        with shield, self._gate:
            series = self._by_context.get(key)
            if series is None:
                settled = kind if kind != UNDECIDED else RECORD
                encode_definition(name, own, settled)  # raises for a context that cannot be stored
                series = Series(len(self._by_context), name, own, settled)
                series.only_none = kind == UNDECIDED
                series.types = types_of(context)
                if make:
                    self._by_context[key] = series
                    self._say_surprise(series, value)
            if make and types_of(context) == series.types and all(value == value for value in own.values()):
                with suppress(TypeError):  # a context that cannot be hashed is looked up the long way each time
                    self._series[name if context is None else (name, *context.items())] = series
            return series

    def _holds_only_none(self, series: Series) -> bool:
        """Whether nothing but None is stored of a sequence that another process wrote, and not much of it."""
        if series.kind != RECORD or series.summary is None or series.summary.records > MAX_NONES:
            return False
        columns = read_records(self._seqs, series.id, ("steps", "values"))
        return columns is not None and all(value == NONE for value in plain(columns.values))

    def _check_bound(self, taking: Sequence[Series]) -> None:
        full = self._object_bytes > SLOW_FROM * MAX_PENDING_BYTES
        if full or any(len(series.pending) > series.check_at for series in taking):
            self._slow_down(taking)

    def _slow_down(self, taking: Sequence[Series]) -> None:
        """Where much waits, give way to whoever is writing, or write a share; past the bound, until it is no longer."""
        for series in taking:
            series.check_at = len(series.pending) + CHECK_EVERY
        while (fill := self._fill()) > SLOW_FROM:
            with shield:
                if self._lock.acquire(blocking=False):
                    try:  # what went wrong is said by the next call; these values are taken
                        self._attempt(self._drain if fill > 1 else lambda: self._write_records(taking, seal=False))
                    finally:
                        self._lock.release()
                    return
            sleep(GIVE_WAY)
            if fill <= 1:
                return

    def _fill(self) -> float:
        """What waits, as a part of what may wait."""
        waiting = sum(len(each.pending) for each in list(self._by_context.values()))
        return max(waiting / MAX_PENDING, self._object_bytes / MAX_PENDING_BYTES)

    def _raise_error(self) -> None:
        error = self._error
        if error is None:
            return
        with shield, self._gate:  # said once; the drain sets it again if the cause is still there
            if self._error is error and not isinstance(error, ClosedError):
                self._error = None
        raise error

    # Draining: the writer thread, or whoever flushes

    def drain(self) -> None:
        """Write what is pending, and some of the summaries; an error is kept for the next call of the user's."""
        with shield, self._lock:
            self._attempt(self._drain)

    def _attempt(self, write: Callable[[], None]) -> None:
        if isinstance(self._error, ClosedError):
            return
        try:
            write()
        except Exception as error:  # whatever it is, in the writer thread only the user's next call can show it
            if self._error is None:
                logger.warning("run %s: writing failed, and will be tried again: %s", self.run, error)
            self._error = error
        else:
            self._error = None

    def _drain(self, *, everything: bool = False, seal: bool = False, only: Iterable[Series] | None = None) -> None:
        """Write what is pending; with `everything` all summaries, with `seal` leaving no fresh chunks."""
        chosen = list(self._by_context.values() if only is None else only)
        longest = max((len(series.pending) for series in chosen), default=0)
        for _ in range(longest // MOST + self._object_bytes // MOST_BYTES + 1):
            self._write_records(chosen, seal=seal)
        self._write_summaries(None if everything else SUMMARIES_PER_DRAIN)

    def _write_records(self, chosen: Iterable[Series], *, seal: bool) -> None:
        waiting = [series for series in chosen if series.pending or (seal and series.tail.starts)]
        while waiting:
            batch = WriteBatch()
            large: list[WriteBatch] = []
            definitions = WriteBatch()
            staged: list[tuple[Staged, str]] = []
            while waiting and batch.nbytes < MAX_BATCH:
                series = waiting.pop()
                kind = series.kind  # which a thread that tracks may settle meanwhile
                change = series.stage(batch, large, seal=seal)
                if change is not None:
                    staged.append((change, kind))
                    if series.defined != kind:
                        value = encode_definition(series.name, series.context, kind)
                        definitions.put(definition_key(series.id), value)
            self._meta.write(definitions)
            for each in large:
                self._seqs.write(each)
            self._seqs.write(batch)
            for change, kind in staged:
                self._accept(change, kind)

    def _accept(self, change: Staged, kind: str) -> None:
        series = change.series
        if not series.number:
            nbytes = sum(map(size_of, series.pending[: change.taken : WIDTH]))
            with self._gate:
                self._object_bytes -= nbytes
        change.commit()
        series.defined = kind
        self._set_dirty(series)

    def _set_dirty(self, series: Series) -> None:
        self._dirty.setdefault(series.id, series)

    def _write_summaries(self, most: int | None) -> None:
        chosen = list(self._dirty.values())[:most]
        if not chosen:
            return
        batch = WriteBatch()
        for series in chosen:
            if series.summary is None:  # its records are gone
                batch.delete(summary_key(series.id))
            else:
                batch.put(summary_key(series.id), encode_summary(series.summary))
        self._meta.write(batch)
        for series in chosen:
            del self._dirty[series.id]

    def flush(self, *, sync: bool = False) -> None:
        """Return when all tracked so far is in the engine's log, with `sync` when it is on the disk. Raises what went wrong."""
        with shield, self._lock:
            if isinstance(self._error, ClosedError):
                raise self._error
            self._error = None
            self._drain(everything=True)
            self._seqs.flush(sync=sync)
            self._meta.flush(sync=sync)

    @property
    def held(self) -> int:
        """Bytes kept in memory for sealing."""
        return sum(series.tail.nbytes for series in list(self._by_context.values()))

    def release(self, nbytes: int) -> None:
        """Seal the largest tails early, until `nbytes` less are held."""
        with shield, self._lock:
            if self._error is not None:
                return
            chosen = []
            for series in sorted(self._by_context.values(), key=lambda each: -each.tail.nbytes):
                if nbytes <= 0:
                    break
                chosen.append(series)
                nbytes -= series.tail.nbytes
            try:
                self._drain(seal=True, only=chosen)
            except (AimstoreError, OSError) as error:
                self._error = error

    def close(self) -> None:
        """Write and seal everything. Raises what went wrong, and can then be called again: nothing is given up."""
        with shield, self._lock:
            if isinstance(self._error, ClosedError):
                return
            self._error = None
            self._drain(seal=True)
            batch = WriteBatch()
            known = list(self._by_context.values())
            for series in known:
                series.finish(batch)
            self._seqs.write(batch)
            for series in known:
                if series.summary is not None and not series.summary.ordered:
                    exact = self._recomputed(series)
                    if exact != series.summary:
                        series.summary = exact
                        self._set_dirty(series)
            with self._gate:
                self._error = ClosedError(f"run {self.run} is closed; open it again with Run(run_hash=…) to go on")
            try:
                self._drain(everything=True, seal=True)  # what other threads tracked meanwhile
            except (AimstoreError, OSError):
                self._error = None
                raise
            drainer.remove(self)

    def abandon(self, why: str) -> None:
        """Refuse everything from now on: this is a forked child, and what is held belongs to the parent."""
        self._lock, self._gate = RLock(), RLock()  # another thread of the parent may have held them
        self._error = ClosedError(f"run {self.run} {why}")
