"""The rows: which workload each runs, what is taken of it, and what aimstore is to reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Better(Enum):
    """Which of two numbers is the better one."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True)
class Figure:
    """One number of a workload's result.

    Attributes:
        key: its name in the result. `bytes` is measured from outside: what the workload added to the repository, divided by
            the row's `units`.
        label, unit: shown.
        better: more or less.
        times: how many times better than Aim it should be.
        limit: what aimstore itself should reach.
    """

    key: str
    label: str
    unit: str
    better: Better = Better.LESS
    times: float | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Row:
    """A workload, measured in fresh processes, of aimstore and of Aim in turn.

    Attributes:
        name: for `--rows`.
        workload: function of the loops.
        arguments: of the workload; `quick` replaces some of them.
        repetitions: of each contestant.
        place: "disk", "tmpfs", or "" for a workload that needs no repository.
        prepare: workloads that come before, outside the clock, once for all repetitions; with which argument of theirs is which
            argument of the row.
        units: arguments whose product `bytes` is divided by.
        aim: Aim does it too.
    """

    name: str
    title: str
    workload: str
    figures: tuple[Figure, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)
    repetitions: int = 5
    place: str = "disk"
    prepare: tuple[tuple[str, dict[str, str]], ...] = ()
    units: tuple[str, ...] = ()
    aim: bool = True


def _latency(p50: float | None, p999: float, longest: float | None) -> tuple[Figure, ...]:
    return (
        Figure("p50_us", "p50", "µs", limit=p50),
        Figure("p99_us", "p99", "µs"),
        Figure("p999_us", "p99.9", "µs", limit=p999),
        Figure("max_ms", "longest", "ms", limit=longest),
    )


def _lifecycle(place: str, times: float) -> Row:
    return Row(
        f"lifecycle-{place}",
        f"create, track 5 × 20, finalize: runs on {place}",
        "lifecycle",
        (
            Figure("runs_per_s", "runs", "1/s", Better.MORE, times=times),
            Figure("bytes", "stored per run", "B", times=6),
        ),
        {"runs": 300, "metrics": 5, "steps": 20},
        {"runs": 20},
        repetitions=3,
        place=place,
        units=("runs",),
    )


ROWS = (
    Row(
        "track",
        "track in a hot loop, until in the engine's log",
        "track",
        (
            Figure("calls_per_s", "calls", "1/s", Better.MORE, times=40),
            Figure("bytes", "stored per scalar", "B", limit=9),
        ),
        {"calls": 100_000},
        {"calls": 20_000},
        units=("calls",),
    ),
    Row(
        "latency", "each call of the hot loop", "latency", _latency(1.5, 50, 20), {"calls": 100_000}, {"calls": 20_000}
    ),
    Row(
        "paced",
        "each call at 1 kHz",
        "paced",
        _latency(None, 50, None),
        {"calls": 8_000, "interval": 0.001},
        {"calls": 2_000},
        repetitions=3,
    ),
    Row(
        "slow",
        "one step a second (simulated)",
        "slow",
        (Figure("bytes", "stored per scalar", "B", limit=12), Figure("us_per_drain", "call and drain", "µs")),
        {"calls": 100_000, "jitter": 0.02},
        {"calls": 20_000},
        repetitions=3,
        units=("calls",),
        aim=False,
    ),
    Row(
        "read",
        "read the points of a metric as NumPy",
        "read",
        (
            Figure("points_ms", "with the metric at hand", "ms", times=200),
            Figure("quickest_ms", "beside Aim's quickest call", "ms"),
            Figure("ms", "from opening the repository", "ms"),
        ),
        {"points": 100_000},
        {"points": 20_000},
        repetitions=7,
        prepare=(("track", {"calls": "points"}), ("index", {})),
    ),
    Row(
        "memory",
        "10M points in 1,000 sequences",
        "memory",
        (
            Figure("mb", "memory above its start", "MB", limit=200),
            Figure("calls_per_s", "calls", "1/s", Better.MORE),
            Figure("bytes", "stored per scalar", "B"),
        ),
        {"sequences": 1_000, "steps": 10_000},
        {"steps": 1_000},
        repetitions=1,
        units=("sequences", "steps"),
        aim=False,
    ),
    Row(
        "import",
        "from aimstore import Repo, Run",
        "import",
        (Figure("ms", "time", "ms", limit=150),),
        repetitions=9,
        place="",
    ),
    _lifecycle("tmpfs", 4),
    _lifecycle("disk", 2),
)
