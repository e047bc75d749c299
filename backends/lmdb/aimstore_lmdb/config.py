"""The options of the LMDB backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aimstore.plugins.options import Options, choice, size


@dataclass(frozen=True)
class LMDBOptions(Options, engine="lmdb"):
    """How the environments of one repository are written and read.

    Attributes:
        map_size: initial address space for each open container, in bytes; `parse` also accepts text with a unit, such as
            "4GiB". It uses neither memory nor disk, may be larger than the disk, and grows with the data. Growing reads
            the rest of each open scan into memory.
        sync: when data is put on the disk. "batch": before each batch becomes visible, so that after a crash of the
            machine a container holds whole batches and lacks at most the last one. "flush": at `flush(sync=True)` and
            when the container is closed. That is faster on a disk, and as safe where only the process is killed; but a
            crash of the machine in between can damage the container.
    """

    map_size: int = size(1 << 30, least=64 << 10, most=1 << 45)
    sync: Literal["batch", "flush"] = choice("batch", "flush")
