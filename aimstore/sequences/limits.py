"""What bounds the writing of sequences: sizes, memory and waits. Importing this module does not load NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class OutlineSizes:
    """How finely the outlines of a metric are cut; see `aimstore.sequences.outline`.

    Attributes:
        stretch_points: points of one stretch at level 0.
        chunk_stretches: stretches of level 0 in one stretch of level 1: about as many as a sealed chunk has.
        min_stretches: stretches from which an outline of level 0 is stored. A smaller chunk is read as quickly itself.
        fan_out: stretches of one stored outline at the levels above, and so the ratio between these levels.
    """

    stretch_points: int = 512
    chunk_stretches: int = 8
    min_stretches: int = 4
    fan_out: int = 16


OUTLINE_SIZES: Final = OutlineSizes()


@dataclass(frozen=True)
class WriterLimits:
    """What bounds the writer of one run.

    Attributes:
        pending_points: points that may wait in memory; past this limit `track` waits. They take about 30 MB.
        pending_bytes: bytes of encoded objects that may wait in memory; past this limit `track` waits.
        throttle_from: fraction of either limit above which `track` throttles, in many short waits.
        throttle_wait_seconds: seconds of one such wait.
        check_points: points that one sequence gains before `track` compares what waits with the limits again.
        stage_points: points of one sequence that are written at once. No call of NumPy on so many is long enough for the
            threads that track to notice.
        stage_bytes: bytes of one sequence's objects that are written at once.
        batch_bytes: bytes at which a batch is written and the next one begins. A batch holds whole shares of sequences, so
            it may be larger.
        list_points: points up to which a share of a sequence is encoded from lists; NumPy is faster for more.
        seal_points: points at which the fresh chunks of a sequence are replaced by a sealed one.
        seal_bytes: bytes of objects that do the same.
        large_object_bytes: bytes from which an object is stored under its own key.
        read_nones: values of a sequence that are read when its run is resumed, to learn whether all are None.
        summaries_per_drain: summaries that one background drain writes, the oldest first. A flush writes all.
        outlines: how finely the outlines are cut.
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
    """What bounds the writer thread of a process.

    Attributes:
        interval_seconds: seconds between two drains. A killed process loses what it tracked since the last drain.
        max_interval_seconds: seconds between two drains if the drains themselves take long.
        unsealed_bytes: bytes that all writers of the process keep for sealing; past this limit the largest sequences are
            sealed early.
    """

    interval_seconds: float = 0.025
    max_interval_seconds: float = 0.05
    unsealed_bytes: int = 24 * 1024 * 1024


DRAIN_LIMITS: Final = DrainLimits()
