"""Limits of the writing of sequences: sizes, memory and waits. Importing this module does not load NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class OutlineSizes:
    """The resolution of a metric's outlines; see `aimstore.sequences.outline`.

    Attributes:
        stretch_points: points of one stretch at level 0.
        chunk_stretches: stretches of level 0 in one stretch of level 1: about as many as a sealed chunk has.
        min_stretches: stretches from which an outline of level 0 is stored. A smaller chunk is itself read as quickly.
        fan_out: stretches of one stored outline at the levels above, and so the ratio between these levels.
    """

    stretch_points: int = 512
    chunk_stretches: int = 8
    min_stretches: int = 4
    fan_out: int = 16


OUTLINE_SIZES: Final = OutlineSizes()


@dataclass(frozen=True)
class WriterLimits:
    """Limits of the writer of one run.

    Attributes:
        pending_points: maximum number of points in memory; above it, `track` waits. They take about 30 MB.
        pending_bytes: maximum bytes of encoded objects in memory; above it, `track` waits.
        throttle_from: fraction of either limit above which `track` throttles, in many short waits.
        throttle_wait_seconds: seconds of one such wait.
        check_points: points that one sequence gains before `track` compares the pending points with the limits again.
        stage_points: points of one sequence that are written at once. No NumPy call on this many points is long enough
            to delay the threads that track noticeably.
        stage_bytes: bytes of one sequence's objects that are written at once.
        batch_bytes: bytes at which a batch is written and the next one begins. A batch holds whole shares of sequences,
            so it may be larger.
        list_points: points up to which a share of a sequence is encoded from lists; NumPy is faster for more.
        seal_points: points at which the fresh chunks of a sequence are replaced by a sealed chunk.
        seal_bytes: bytes of objects at which the fresh chunks are replaced likewise.
        large_object_bytes: bytes from which an object is stored under its own key.
        read_nones: maximum number of values read when a run is resumed, to learn whether all values of a sequence are
            None.
        summaries_per_drain: maximum number of summaries that one background drain writes, the oldest first. A flush
            writes all.
        outlines: the resolution of the outlines.
    """

    pending_points: int = 256 * 1024
    pending_bytes: int = 32 * 1024 * 1024
    throttle_from: float = 0.25
    throttle_wait_seconds: float = 0.001
    check_points: int = 256
    stage_points: int = 8192
    stage_bytes: int = 1024 * 1024
    batch_bytes: int = 2 * 1024 * 1024
    list_points: int = 128
    seal_points: int = 4096
    seal_bytes: int = 256 * 1024
    large_object_bytes: int = 16 * 1024
    read_nones: int = 256
    summaries_per_drain: int = 64
    outlines: OutlineSizes = field(default=OUTLINE_SIZES)


WRITER_LIMITS: Final = WriterLimits()


@dataclass(frozen=True)
class DrainLimits:
    """Limits of the writer thread of a process.

    Attributes:
        interval_seconds: seconds between two drains. A killed process loses the points tracked since the last drain.
        max_interval_seconds: seconds between two drains if the drains themselves take long.
        unsealed_bytes: maximum bytes that all writers of the process keep for sealing; above it, the largest sequences
            are sealed early.
    """

    interval_seconds: float = 0.025
    max_interval_seconds: float = 0.05
    unsealed_bytes: int = 24 * 1024 * 1024


DRAIN_LIMITS: Final = DrainLimits()
