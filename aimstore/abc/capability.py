"""What an engine can do, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Capability:
    """What an engine declares. Everything is off by default. The kit tests what is declared; the rest raises or is emulated.

    Attributes:
        persistent: containers outlive the process that wrote them.
        multi_process: other processes can open a container for reading while one writes to it, and see its committed
            batches when they open it or call `refresh()`.
        durable_sync: `flush(sync=True)` returns only when everything written is on stable storage.
        native_range_delete: the engine's `_write` handles range deletes; otherwise the base class turns them into point
            deletes.
        max_key_size: length of the longest key, in bytes; None where the engine sets no limit below 64 KiB.
    """

    persistent: bool = False
    multi_process: bool = False
    durable_sync: bool = False
    native_range_delete: bool = False
    max_key_size: int | None = None
