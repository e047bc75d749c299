"""What the loops of aimstore and of Aim share: the values, the clocks, and how a result leaves the process.

The loops run as scripts, each in a fresh process and Aim's in another environment, so that this imports nothing but the
standard library.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARAMETERS = {"lr": 0.001, "batch_size": 64, "optimizer": {"name": "adam", "betas": [0.9, 0.999]}}
"""What each run of the lifecycle row has as its hyperparameters."""


def losses(count: int) -> list[float]:
    """Floats[count] that look like a loss: a decay with noise, no two alike, all 52 bits of them used."""
    numbers = random.Random(20240229)
    return [0.1 + 2.3 * math.exp(-3 * i / count) * (1 + 0.1 * numbers.gauss(0, 1)) for i in range(count)]


def latencies(track: Callable[[float], None], values: list[float]) -> list[int]:
    """Nanoseconds of each call, one after the other; the two readings of the clock are in them."""
    clock = time.perf_counter_ns
    taken = []
    for value in values:
        begun = clock()
        track(value)
        taken.append(clock() - begun)
    return taken


def paced_latencies(track: Callable[[float], None], values: list[float], interval: float) -> list[int]:
    """Nanoseconds of each call, one in `interval` seconds; the process sleeps in between, as a loop that waits for its GPU."""
    clock = time.perf_counter_ns
    taken = []
    due = time.perf_counter()
    for value in values:
        due += interval
        time.sleep(max(0.0, due - time.perf_counter()))
        begun = clock()
        track(value)
        taken.append(clock() - begun)
    return taken


def percentiles(taken: list[int]) -> dict[str, float]:
    """p50_us, p99_us, p999_us and max_ms of nanoseconds."""
    ordered = sorted(taken)

    def at(part: float) -> float:
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] / 1e3

    return {"p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_ms": ordered[-1] / 1e6}


def resident() -> tuple[float, float]:
    """Resident memory of this process, MB: now, and at most since it began. From `/proc`: `ru_maxrss` begins with what the
    process had before exec."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024 / 1e6, int(fields["VmHWM"].split()[0]) * 1024 / 1e6


def main(workloads: dict[str, Callable[..., dict[str, Any]]]) -> None:
    """Run the workload named by the first argument, with the second, a JSON object, as its arguments. The last line of the
    output is its result, a JSON object."""
    result = workloads[sys.argv[1]](**json.loads(sys.argv[2]))
    print(json.dumps(result), flush=True)
