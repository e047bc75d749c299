"""What one input may cost."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

SECONDS = 0.5
SECONDS_PER_BYTE = 50e-6
"""Of the processor, for this thread. Far above what a decoder takes on any machine, far below what a quadratic one does."""

BYTES = 64 * 1024 * 1024
BYTES_PER_BYTE = 1000


class CostError(AssertionError):
    """An input that costs more than its size."""


def bounded(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """`check`, which raises `CostError` where an input takes too long, or makes the process grow too much."""

    def measured(data: bytes) -> None:
        grown, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.thread_time()
        check(data)
        seconds = time.thread_time() - begun
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown) * 1024
        if seconds > SECONDS + SECONDS_PER_BYTE * len(data):
            raise CostError(f"{len(data)} bytes take {seconds:.2f} s")
        if grown > BYTES + BYTES_PER_BYTE * len(data):
            raise CostError(f"{len(data)} bytes take {grown:,} bytes of memory")

    return measured
