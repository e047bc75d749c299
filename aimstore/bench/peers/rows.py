"""The rows of the table: the loop of each, its figures, and the targets of aimstore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aimstore.bench.peers.tools import AIMSTORE, PEERS
from aimstore.bench.runner import Plan
from aimstore.bench.workload import Better, Case, Figure
from aimstore.errors import ConfigError, did_you_mean

WORKLOAD: Final = "peers"


@dataclass(frozen=True)
class Row:
    """A loop, measured in fresh processes, of each contestant in turn.

    Attributes:
        name: for `--rows`.
        title: shown, with the arguments in it.
        loop: function of the contestants' scripts.
        figures: of its result; `bytes_per_unit` is measured from outside.
        arguments: of the loop.
        quick: arguments that replace others with `--quick`.
        repeat: repetitions of each contestant.
        filesystem: "disk", "tmpfs", or "" for a loop that needs no folder.
        prepare: loops that run before, outside the clock and once for all repetitions; each with its arguments, as names of
            arguments of the row.
        units: arguments whose product is the number of units that share the stored bytes.
    """

    name: str
    title: str
    loop: str
    figures: tuple[Figure, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    quick: dict[str, Any] = field(default_factory=dict)
    repeat: int = 5
    filesystem: str = "disk"
    prepare: tuple[tuple[str, dict[str, str]], ...] = ()
    units: tuple[str, ...] = ()


def _bytes(label: str, *, limit: float | None = None, times: float | None = None) -> Figure:
    return Figure("bytes_per_unit", f"stored per {label}", "B", limit=limit, times=times)


def _latency(p50: float | None, p999: float, longest: float | None) -> tuple[Figure, ...]:
    return (
        Figure("p50_us", "p50", "µs", panel="latency", limit=p50),
        Figure("p99_us", "p99", "µs", panel="latency"),
        Figure("p999_us", "p99.9", "µs", panel="latency", limit=p999),
        Figure("max_us", "longest", "µs", panel="latency", limit=longest),
    )


def _lifecycle(filesystem: str, times: float) -> Row:
    return Row(
        f"lifecycle-{filesystem}",
        "runs of {metrics} metrics × {steps} steps: create, track, finalize, on " + filesystem,
        "lifecycle",
        (Figure("runs_per_s", "runs", "1/s", Better.MORE, times=times), _bytes("run", times=6)),
        {"runs": 300, "metrics": 5, "steps": 20},
        {"runs": 10},
        repeat=3,
        filesystem=filesystem,
        units=("runs",),
    )


_SHORT: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("lifecycle", {"runs": "runs", "metrics": "metrics", "steps": "steps"}),
    ("index", {}),
)
_LARGE: Final = (("large", {"runs": "runs", "unfinished": "unfinished"}),)

ROWS: Final = (
    Row(
        "track",
        "track in a hot loop, until it outlives the process",
        "track",
        (
            Figure("calls_per_s", "calls", "1/s", Better.MORE, times=40),
            Figure("returned_per_s", "calls until they returned", "1/s", Better.MORE),
            _bytes("scalar", limit=9),
        ),
        {"calls": 100_000},
        {"calls": 10_000},
        units=("calls",),
    ),
    Row(
        "latency",
        "each call of the hot loop",
        "latency",
        _latency(1.5, 50, 20_000),
        {"calls": 100_000},
        {"calls": 10_000},
    ),
    Row(
        "paced",
        "each call at 1 kHz",
        "paced",
        _latency(None, 50, None),
        {"calls": 8_000, "interval": 0.001},
        {"calls": 1_000},
        repeat=3,
    ),
    Row(
        "slow",
        "one step a second (simulated)",
        "slow",
        (_bytes("scalar", limit=12), Figure("us_per_drain", "call and drain", "µs")),
        {"calls": 100_000, "jitter": 0.02},
        {"calls": 10_000},
        repeat=3,
        units=("calls",),
    ),
    Row(
        "read",
        "read {points:,} points of a metric as NumPy",
        "read",
        (
            Figure("points_ms", "with the metric at hand", "ms", times=200),
            Figure("quickest_ms", "beside the quickest call", "ms"),
            Figure("ms", "from opening the repository", "ms"),
        ),
        {"points": 100_000},
        {"points": 10_000},
        repeat=7,
        prepare=(("track", {"calls": "points"}), ("index", {})),
    ),
    Row(
        "memory",
        "{steps:,} steps of {sequences:,} sequences",
        "memory",
        (
            Figure("mb", "memory above its start", "MB", limit=200),
            Figure("calls_per_s", "calls", "1/s", Better.MORE),
            _bytes("scalar"),
        ),
        {"sequences": 1_000, "steps": 10_000},
        {"steps": 300},
        repeat=1,
        units=("sequences", "steps"),
    ),
    Row("import", "import what logs", "import", (Figure("ms", "import", "ms", limit=150),), repeat=9, filesystem=""),
    _lifecycle("tmpfs", 4),
    _lifecycle("disk", 2),
    Row(
        "reindex",
        "index finished runs again",
        "reindex",
        (Figure("runs_per_s", "runs", "1/s", Better.MORE, times=4),),
        {"runs": 300, "metrics": 5, "steps": 20},
        {"runs": 10},
        repeat=3,
        prepare=_SHORT,
    ),
    Row(
        "query",
        "a query that all of {runs:,} finished runs match",
        "query",
        (Figure("us_per_run", "repeated", "µs/run"), Figure("first_ms", "first", "ms")),
        {"runs": 300, "metrics": 5, "steps": 20},
        {"runs": 10},
        repeat=3,
        prepare=_SHORT,
    ),
    Row(
        "query-large",
        "queries over {runs:,} finished runs of 20 parameters",
        "queries",
        (
            Figure("first_ms", "query that 100 match, first", "ms", limit=20),
            Figure("repeated_ms", "query that 100 match, repeated", "ms", limit=5),
            Figure("exact_us_per_run", "query that all match, by the index", "µs/run", limit=10),
            Figure("evaluated_us_per_run", "query that all match, each evaluated", "µs/run", limit=20),
            Figure("count_ms", "count of all, by the index", "ms"),
        ),
        {"runs": 100_000, "unfinished": 0},
        {"runs": 1_000},
        repeat=3,
        prepare=_LARGE,
    ),
    Row(
        "query-unfinished",
        "queries over {runs:,} finished and {unfinished:,} unfinished runs",
        "queries",
        (
            Figure("repeated_ms", "query that 100 match, repeated", "ms", limit=50),
            Figure("open_files", "files open afterwards", "", limit=255),
            Figure("first_ms", "query that 100 match, first", "ms"),
        ),
        {"runs": 9_500, "unfinished": 500},
        {"runs": 95, "unfinished": 5},
        repeat=3,
        prepare=_LARGE,
    ),
)

NOTES: Final = (
    "– where a tool has nothing of the kind, or not without a server.",
    "All track the same values: floats that look like a loss, all bits used, no two alike, made before the clock starts.",
    "All run with their defaults, except that what aimstore has not is off: system metrics, terminal output, GPUs.",
    "Sizes are those of the files after the process has ended, less those of what was empty.",
    "MLflow makes a fiftieth of the calls, of which it makes some hundred in a second. Of Aim's ways to read a metric, "
    '"beside the quickest call" takes the quickest that gives steps and values in order.',
)


def facts(names: Sequence[str]) -> list[list[str]]:
    """The table of what each contestant has acknowledged and made durable, and when."""
    tools = [tool for tool in (AIMSTORE, *PEERS) if tool.name in names]
    return [["", "when a call returns", "when the clock stops"]] + [
        [tool.distribution.replace("==", " "), tool.acknowledged, tool.durable] for tool in tools
    ]


def peer_plans(names: Sequence[str], *, quick: bool, repeat: int | None = None) -> list[Plan]:
    """The rows of these names, or all.

    Raises:
        ConfigError: there is no such row.
    """
    known = {row.name: row for row in ROWS}
    for name in names:
        if name not in known:
            raise ConfigError(f"no row {name!r}{did_you_mean(name, known) or '.'} There are {', '.join(known)}")
    return [_plan(row, quick, repeat) for row in ROWS if row.name in names or not names]


def _plan(row: Row, quick: bool, repeat: int | None) -> Plan:
    arguments = row.arguments | (row.quick if quick else {})
    prepared = ""
    if row.prepare:
        prepared = "-".join([row.prepare[0][0], *(str(arguments[ours]) for ours in row.prepare[0][1].values())])
    return Plan(
        WORKLOAD,
        Case(row.name, row.title.format(**arguments)),
        row.figures,
        arguments,
        prepared,
        repeat or (1 if quick else row.repeat),
        row.filesystem,
        row,
    )
