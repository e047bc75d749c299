"""The tools that are measured beside aimstore: what they can do, and what of their work is durable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LOGGING: Final = ("import", "track", "latency", "paced", "lifecycle")
"""Loops of every tool."""


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes:
        name: for `--peers`, and of its module in `loops`.
        distribution: with its version, as pip takes it.
        loops: the loops of its module.
        acknowledged: what a logging call has done when it returns.
        durable: what is durable when the clock of `track` and `lifecycle` stops.
        python: the version of Python that it needs; None is any.
        also: more distributions whose versions are noted.
        share: fraction of the calls and runs of aimstore that it makes; below 1 for a tool that would take all day.
    """

    name: str
    distribution: str
    loops: frozenset[str]
    acknowledged: str
    durable: str
    python: str | None = None
    also: tuple[str, ...] = ()
    share: float = 1.0

    @property
    def package(self) -> str:
        """The distribution without its version."""
        return self.distribution.partition("==")[0]


AIMSTORE: Final = Tool(
    "aimstore",
    "aimstore",
    frozenset({*LOGGING, "slow", "read", "memory", "query", "reindex", "queries"}),
    acknowledged="the value is in memory; 25 to 50 ms later it is in RocksDB's log",
    durable="track: all in RocksDB's log, which outlives the process, not a loss of power. "
    "lifecycle: each run synced to the disk, and in the index",
    also=("rocksdict", "numpy"),
)

PEERS: Final = (
    Tool(
        "aim",
        "aim==3.29.1",
        frozenset({*LOGGING, "read", "query", "reindex"}),
        acknowledged="the value is in RocksDB's log",
        durable="track: as aimstore. lifecycle: in the log, not synced; its server indexes runs later, outside the clock",
        python="3.11",
        also=("aimrocks", "numpy"),
    ),
    Tool(
        "tensorboardx",
        "tensorboardX==2.6.5",
        frozenset(LOGGING),
        acknowledged="the value is in a queue, and with a thread that writes it",
        durable="all handed to the operating system by `flush` or `close`: outlives the process",
        also=("numpy",),
    ),
    Tool(
        "trackio",
        "trackio==0.43.0",
        frozenset(LOGGING),
        acknowledged="the value is in a queue, and with a thread that writes it",
        durable="all committed to SQLite (`finish` waits for the thread): outlives the process",
    ),
    Tool(
        "wandb",
        "wandb==0.31.0",
        frozenset(LOGGING),
        acknowledged="the value was sent to a service process, which writes it",
        durable="all in a file of records (`finish` waits for the service): outlives the process",
    ),
    Tool(
        "mlflow",
        "mlflow==3.17.2",
        frozenset({*LOGGING, "query"}),
        acknowledged="the value is committed to SQLite, synced",
        durable="all committed to SQLite, synced: outlives a loss of power",
        also=("sqlalchemy",),
        share=0.02,
    ),
)
