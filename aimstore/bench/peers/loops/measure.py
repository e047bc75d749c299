"""Shared by all loops: the values, the clocks, the usage of the process, and the output of the result.

Loops of other tools run in other environments, so that this imports nothing but the standard library.
"""

from __future__ import annotations

import json
import math
import os
import random
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Loop = Callable[..., dict[str, Any]]
"""Called with the arguments of its row, and mostly a folder; returns figures."""

PARAMETERS = {"lr": 0.001, "batch_size": 64, "optimizer": {"name": "adam", "betas": [0.9, 0.999]}}
"""What each short run has as its hyperparameters."""


def losses(count: int, seed: int = 20240229) -> list[float]:
    """Floats[count] that look like a loss: a decay with noise, no two alike, all 52 bits of them used."""
    numbers = random.Random(seed)
    return [0.1 + 2.3 * math.exp(-3 * i / count) * (1 + 0.1 * numbers.gauss(0, 1)) for i in range(count)]


def latencies(track: Callable[[float], object], values: list[float]) -> list[int]:
    """Nanoseconds of each call, one after the other; the two readings of the clock are in them."""
    clock = time.perf_counter_ns
    taken = []
    for value in values:
        begun = clock()
        track(value)
        taken.append(clock() - begun)
    return taken


def paced_latencies(track: Callable[[float], object], values: list[float], interval: float) -> list[int]:
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
    """p50_us, p99_us, p999_us and max_us of nanoseconds."""
    ordered = sorted(taken)

    def at(part: float) -> float:
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))] / 1e3

    return {"p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": ordered[-1] / 1e3}


def resident() -> tuple[float, float]:
    """Resident memory of this process, MB: now, and at most since it began or since `Usage` was made. From `/proc`: `ru_maxrss`
    begins with what the process had before exec."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024 / 1e6, int(fields["VmHWM"].split()[0]) * 1024 / 1e6


@dataclass
class Usage:
    """What a process and the children it waited for have used since this was made.

    Attributes:
        cpu: seconds, when it was made.
        written: bytes handed to the operating system, when it was made.
        memory: MB, when it was made.
        files: open, when it was made.
    """

    cpu: float
    written: int
    memory: float
    files: int

    @classmethod
    def begin(cls) -> Usage:
        """From now on; the greatest memory so far is forgotten."""
        with suppress(OSError):  # a kernel without it: the greatest of all is taken
            Path("/proc/self/clear_refs").write_text("5")
        return cls(_cpu(), _written(), resident()[0], open_files())

    def until_now(self) -> dict[str, float]:
        """cpu_s, peak_mb and written_bytes."""
        return {
            "cpu_s": _cpu() - self.cpu,
            "peak_mb": max(0.0, resident()[1] - self.memory),  # the kernel counts both roughly
            "written_bytes": _written() - self.written,
        }


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _written() -> int:
    """Bytes given to `write` by this process and by children that were waited for."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def open_files() -> int:
    """File descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a Path for each would only cost time


@dataclass
class Logging:
    """A run of a tool that is open for logging.

    Attributes:
        log: logs one value of the metric `loss`.
        settle: returns when all that was logged outlives the process; where `log` sees to that, nothing.
        close: ends the run; where `settle` does, nothing.
    """

    log: Callable[[float], object]
    settle: Callable[[], object] = lambda: None
    close: Callable[[], object] = lambda: None


def logging_loops(begin: Callable[[str], Logging]) -> dict[str, Loop]:
    """The loops `track`, `latency` and `paced` of a tool, whose runs `begin` opens in a folder."""

    def track(folder: str, calls: int) -> dict[str, Any]:
        values = losses(calls)
        run = begin(folder)
        log = run.log
        begun = time.perf_counter()
        for value in values:
            log(value)
        returned = time.perf_counter() - begun
        run.settle()
        settled = time.perf_counter() - begun
        run.close()
        return {"calls_per_s": calls / settled, "returned_per_s": calls / returned}

    def latency(folder: str, calls: int) -> dict[str, Any]:
        run = begin(folder)
        taken = latencies(run.log, losses(calls))
        run.settle()
        run.close()
        return percentiles(taken)

    def paced(folder: str, calls: int, interval: float) -> dict[str, Any]:
        run = begin(folder)
        taken = paced_latencies(run.log, losses(calls), interval)
        run.settle()
        run.close()
        return percentiles(taken)

    return {"track": track, "latency": latency, "paced": paced}


def main(loops: dict[str, Loop], *functions: Loop, import_seconds: float = 0.0) -> None:
    """Run the loop named by the first argument, with the second, a JSON object, as its arguments. The last line of the output is
    its result, a JSON object, with what the process used in the meantime.

    Args:
        loops: by name.
        functions: more loops, under their own names.
        import_seconds: that importing the tool took, for the loop `import`.
    """
    every: dict[str, Loop] = {
        "init": lambda folder: {},
        "import": lambda: {"ms": import_seconds * 1e3},
        **loops,
        **{function.__name__: function for function in functions},
    }
    arguments = json.loads(sys.argv[2])
    usage = Usage.begin()
    result = every[sys.argv[1]](**arguments)
    print(json.dumps({**usage.until_now(), **result}), flush=True)
