"""The options of the RocksDB backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from aimstore.plugins.options import Options, choice, option, size


def _open_files(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and (value == -1 or value >= 16):
        return value
    raise ValueError


@dataclass(frozen=True)
class RocksDBOptions(Options, engine="rocksdb"):
    """How the databases of one repository are written and read.

    Sizes are in bytes; `parse` also takes text with a unit, such as "4MiB".

    Attributes:
        compression: how data that has left the log is compressed: "zstd", "lz4" (faster, larger) or "none".
        write_buffer_size: data kept in memory and in the log before it is written out, sorted and compressed. A reader
            replays the log each time it opens a container, at about 0.6 ms per MiB.
        block_size: data compressed and read as one piece. Larger blocks compress better and make single reads slower.
        block_cache_size: decompressed blocks kept in memory, shared by all containers of the process.
        max_open_files: table files that a container open for writing keeps open; -1 for all. Readers keep all.
        log_recovery: how opening treats a damaged log. "strict" raises `CorruptionError` unless only the end is missing, as
            after a crash; "salvage" drops the first damaged batch and everything after it.
    """

    compression: Literal["zstd", "lz4", "none"] = choice("zstd", "lz4", "none")
    write_buffer_size: int = size(4 << 20, least=64 << 10, most=1 << 30)
    block_size: int = size(16 << 10, least=1 << 10, most=16 << 20)
    block_cache_size: int = size(32 << 20, least=1 << 20, most=1 << 40)
    max_open_files: int = option(256, _open_files, "a number of files from 16, or -1 for no bound")
    log_recovery: Literal["strict", "salvage"] = choice("strict", "salvage")
