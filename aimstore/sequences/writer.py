"""The write side of a run's sequences: `track` appends to memory, and a drain passes points to the store."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from contextlib import suppress
from threading import RLock
from time import sleep, time
from typing import Any, Final, NamedTuple

from aimstore.abc import OPEN, Container, State
from aimstore.errors import AimstoreError, EncodingError, SequenceTypeError
from aimstore.process.lifecycle import shield
from aimstore.sequences.contexts import check_context, context_key, is_simple, types_of
from aimstore.sequences.limits import WRITER_LIMITS, WriterLimits
from aimstore.sequences.pending import ENTRIES_PER_POINT
from aimstore.sequences.series import Series
from aimstore.sequences.store import SeriesStore
from aimstore.sequences.values import (
    HIGH_STEP,
    STEP_MAX,
    STEP_MIN,
    UNDECIDED,
    VALUE,
    check_epoch,
    check_name,
    check_step,
    pending_bytes,
    prepare_for,
    prepare_value,
    surprise_of,
)
from aimstore.storage.layout import encode_definition

logger = logging.getLogger("aimstore")

REOPEN: Final = "open it again with Run(run_hash=…) to go on"


class Offer(NamedTuple):
    """A value to be tracked, the kind of its sequence, and its stored form there; see `prepare_value`."""

    value: Any
    kind: str
    stored: Any


class SequenceWriter:
    """Accepts tracked values of one run from any thread, and writes them when it is drained.

    `track` normally takes no lock, so a signal may arrive anywhere inside it. An error of the engine is kept and raised
    by the next `track`, `flush` or `close`; the points stay in memory, and every drain tries again. A writer does not
    drain itself: the code that opens a writer starts the draining (see `aimstore.sequences.drainer`).
    """

    def __init__(
        self, run_hash: str, meta: Container, seqs: Container, *, recover: bool, limits: WriterLimits = WRITER_LIMITS
    ) -> None:
        """
        Args:
            run_hash: the run hash, shown in errors.
            meta, seqs: the run's containers, open for writing.
            recover: the run did not end cleanly; recompute its summaries in the meta container from its points.
            limits: limits of memory and waits.
        """
        self.run = run_hash
        self._limits = limits
        self._store = SeriesStore(meta, seqs, limits)
        # by name, or by name and context as given; with the required types of the context's values
        self._series: dict[Any, tuple[Series, list[type] | None]] = {}
        self._by_context: dict[Any, Series] = {}
        self._object_bytes_taken = 0
        self._lock = RLock()  # held during a whole drain
        self._gate = RLock()  # held while a value is appended; never take the other lock while holding this one
        self._state = OPEN
        self._error: Exception | None = None  # raised by the next call; always set if the state is not OPEN
        for series in self._store.load(recover=recover):
            self._by_context[series.name, context_key(series.context)] = series

    # Tracking: in any thread

    def track(self, value: Any, name: str | None, step: int | None, epoch: int | None, context: Any) -> None:
        """See `Run.track`."""
        now = time()
        series: Series | None
        try:
            series, types = self._series[name if context is None else (name, *context.items())]
            if types is not None and types != [*map(type, context.values())]:
                series = None  # the contexts are equal but not the same, like {"fold": 1} and {"fold": True}
        except (KeyError, TypeError, AttributeError):
            series = None
        if (
            series is not None
            and type(value) is float
            and series.is_quick
            and (step is None or (type(step) is int and STEP_MIN <= step < HIGH_STEP))
            and (epoch is None or (type(epoch) is int and STEP_MIN < epoch <= STEP_MAX))
            and self._error is None
        ):
            pending = series.pending
            pending.extend((value, step, epoch, now))
            if len(pending) > series.check_at:
                self._throttle([series])
        else:
            self._track_checked(series, value, name, step, epoch, context, now)

    def _track_checked(
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
                f"to track the dict itself as one point, write track({{{name!r:.60}: value}})"
            )
        prepared = [(check_name(key), Offer(value, *prepare_value(value, key))) for key, value in values.items()]
        step, epoch = check_step(step, next(iter(values), "")), check_epoch(epoch, next(iter(values), ""))
        taking = []
        with shield, self._gate:  # check all values before taking the first: either all are taken, or none
            for key, offer in prepared:
                series = self._series_for(key, context, offer, make=False)
                self._fitting(series, offer)
                series.check_step(step)
            self._raise_error()
            for key, offer in prepared:
                series = self._series_for(key, context, offer)
                self._append(series, offer, step, epoch, now)
                taking.append(series)
        self._check_limits(taking)

    def _track_one(
        self, series: Series | None, value: Any, name: str, step: Any, epoch: Any, context: Any, now: float
    ) -> None:
        offer = Offer(value, *prepare_value(value, name))
        step, epoch = check_step(step, name), check_epoch(epoch, name)
        if series is None:
            series = self._series_for(name, context, offer)
        self._append(series, offer, step, epoch, now)
        self._check_limits([series])

    def _append(self, series: Series, offer: Offer, step: int | None, epoch: int | None, now: float) -> None:
        stored = offer.stored
        if series.kind != offer.kind or series.only_nones or series.high_step is not None or (step or 0) >= HIGH_STEP:
            self._append_carefully(series, offer, step, epoch, now)
            return
        if series.is_numeric:
            if series.only_floats and type(stored) is not float:
                series.only_floats = False
        else:
            with shield, self._gate:
                self._object_bytes_taken += pending_bytes(stored)
        # no call between this check and the append, so that no other thread and no signal can intervene
        if self._state is not OPEN:
            self._raise_error()
        series.pending.extend((stored, step, epoch, now))

    def _append_carefully(self, series: Series, offer: Offer, step: int | None, epoch: int | None, now: float) -> None:
        """Append to a sequence whose kind or next step no other thread may settle meanwhile."""
        with shield, self._gate:
            stored = self._fitting(series, offer)
            series.check_step(step)
            if self._state is not OPEN:
                self._raise_error()
            if series.only_nones and offer.kind != UNDECIDED:
                series.settle(offer.kind)
                self._warn_of_surprise(series, offer)
            step = series.next_step(step)
            if series.is_numeric:
                series.only_floats = series.only_floats and type(stored) is float
            else:
                self._object_bytes_taken += pending_bytes(stored)
            series.pending.extend((stored, step, epoch, now))

    def _warn_of_surprise(self, series: Series, offer: Offer) -> None:
        surprise = surprise_of(series.kind, offer.value)
        if surprise:
            logger.warning("run %s, sequence %r: %s", self.run, series.name, surprise)

    def _fitting(self, series: Series, offer: Offer) -> Any:
        """The stored form of an offer in a sequence. Raises `SequenceTypeError` if the offer does not belong there."""
        if series.kind == offer.kind or series.only_nones:
            return offer.stored
        stored = prepare_for(series.kind, offer.value, series.name)
        if stored is None:
            raise SequenceTypeError(
                f"sequence {series.name!r} {series.context} holds values of kind {series.kind!r}; {offer.value!r:.60} "
                f"({type(offer.value).__name__}) is of kind {offer.kind!r}: track it under another name or context"
            )
        return stored

    def _series_for(self, name: str, context: Any, offer: Offer, *, make: bool = True) -> Series:
        own = check_context(context, name)
        key = name, context_key(own)
        with shield, self._gate:
            series = self._by_context.get(key)
            if series is None:
                kind = VALUE if offer.kind == UNDECIDED else offer.kind
                encode_definition(name, own, kind)  # raises for a context that cannot be stored
                series = Series(len(self._by_context), name, own, kind, self._limits)
                series.only_nones = offer.kind == UNDECIDED
                if make:
                    self._by_context[key] = series
                    self._warn_of_surprise(series, offer)
            if make and is_simple(context):
                with suppress(TypeError):  # a context that cannot be hashed is looked up slowly each time
                    self._series[name if context is None else (name, *context.items())] = series, types_of(context)
            return series

    def _check_limits(self, taking: Collection[Series]) -> None:
        full = self._object_bytes > self._limits.throttle_from * self._limits.pending_bytes
        if full or any(len(series.pending) > series.check_at for series in taking):
            self._throttle(taking)

    def _throttle(self, taking: Collection[Series]) -> None:
        """If much is pending, give way to the writing thread or write a share; above a limit, until less is pending."""
        for series in taking:
            series.watch_growth()
        while (fill := self._fill()) > self._limits.throttle_from:
            # an error is raised by the next call: these values are already taken
            if self.drain(share_of=None if fill > 1 else taking, wait=False):
                return
            sleep(self._limits.throttle_wait_seconds)
            if fill <= 1:
                return

    def _fill(self) -> float:
        """The pending points or bytes, as a fraction of their limit."""
        waiting = sum(len(each.pending) for each in self._all_series())
        limit = self._limits.pending_points * ENTRIES_PER_POINT
        return max(waiting / limit, self._object_bytes / self._limits.pending_bytes)

    @property
    def _object_bytes(self) -> int:
        """Bytes of pending objects."""
        return self._object_bytes_taken - self._store.object_bytes

    def _all_series(self) -> list[Series]:
        return list(self._by_context.values())

    def _raise_error(self) -> None:
        if self._state is not OPEN:
            raise self._refusal()
        error = self._error
        if error is None:
            return
        with shield, self._gate:  # raised once; the drain sets it again if the cause persists
            if self._error is error and self._state is OPEN:
                self._error = None
        raise error

    def _refusal(self) -> AimstoreError:
        return self._state.error(f"run {self.run}", REOPEN if self._state is State.CLOSED else "")

    def _become(self, state: State) -> None:
        with self._gate:
            self._state = state
            self._error = None if state is OPEN else self._refusal()

    # Draining: in the writer thread, or in a thread that flushes

    def drain(
        self,
        *,
        only: Iterable[Series] | None = None,
        share_of: Iterable[Series] | None = None,
        seal: bool = False,
        wait: bool = True,
    ) -> bool:
        """Write the pending points, and some of the summaries. An error is kept for the user's next call.

        Args:
            only: the series to write; None for all.
            share_of: write only a share of these series, and no summaries.
            seal: leave no points in fresh chunks.
            wait: wait for another thread that is writing.

        Returns:
            False if another thread is writing and `wait` is false.
        """
        with shield:
            if not self._lock.acquire(blocking=wait):
                return False
            try:
                if self._state is OPEN:
                    if share_of is None:
                        self._write(self._all_series() if only is None else only, seal=seal)
                    else:
                        self._store.write_share(share_of, seal=seal)
                    self._error = None
            except Exception as error:  # in the writer thread, only the user's next call can raise it
                if self._error is None:
                    logger.warning("run %s: writing failed, and will be tried again: %s", self.run, error)
                self._error = error
            finally:
                self._lock.release()
        return True

    def _write(self, chosen: Iterable[Series], *, seal: bool = False, all_summaries: bool = False) -> None:
        """Write the points of `chosen` that are pending now, and summaries of any series."""
        chosen = list(chosen)
        limits = self._limits
        longest = max((len(series.pending) for series in chosen), default=0)
        rounds = longest // (limits.stage_points * ENTRIES_PER_POINT) + self._object_bytes // limits.stage_bytes + 1
        for _ in range(rounds):
            self._store.write_share(chosen, seal=seal)
        self._store.write_summaries(None if all_summaries else limits.summaries_per_drain)

    def flush(self, *, sync: bool = False) -> None:
        """Return when all tracked points are in the engine's log, or with `sync` on the disk. Raises write errors."""
        with shield, self._lock:
            if self._state is not OPEN:
                raise self._refusal()
            self._error = None
            self._write(self._all_series(), all_summaries=True)
            self._store.flush(sync=sync)

    @property
    def unsealed_bytes(self) -> int:
        """Bytes kept in memory for sealing."""
        return sum(series.tail.nbytes for series in self._all_series())

    def seal_largest(self, nbytes: int) -> None:
        """Seal the largest tails early, until `nbytes` less are kept."""
        with shield, self._lock:
            if self._error is not None:
                return
            chosen = []
            for series in sorted(self._all_series(), key=lambda each: -each.tail.nbytes):
                if nbytes <= 0:
                    break
                chosen.append(series)
                nbytes -= series.tail.nbytes
            self.drain(only=chosen, seal=True)

    def close(self) -> None:
        """Write and seal everything. After an error it can be called again: no points are lost."""
        with shield, self._lock:
            if self._state is not OPEN:
                return
            self._error = None
            self._write(self._all_series(), seal=True)
            self._store.finish(self._all_series())
            self._become(State.CLOSED)
            try:
                self._write(self._all_series(), seal=True, all_summaries=True)  # tracked meanwhile
            except (AimstoreError, OSError):
                self._become(OPEN)
                raise

    def abandon(self) -> None:
        """Refuse all further calls: this is a forked child, and everything held belongs to the parent."""
        self._lock, self._gate = RLock(), RLock()  # another thread of the parent may have held them
        self._become(State.FORKED)
