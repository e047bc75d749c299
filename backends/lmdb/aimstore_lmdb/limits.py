"""The waiting times and sizes of the LMDB backend that are not options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LMDBLimits:
    """How long and how much an environment waits, trusts and keeps.

    Attributes:
        detached_scan_bytes: bytes that one scan may take into memory when the memory map is replaced. The writer waits for
            scans that have more left.
        detached_scan_seconds: how long the writer waits for them.
        catch_up_seconds: how long a refresh waits for a transaction that is in the file but not visible yet.
        length_check_seconds: how long single reads trust that the file is as long as it was.
        reader_check_transactions: transactions after which a writer looks for readers that were killed; these keep pages
            from being reused.
        compacted_bytes: data up to which closing writes a dense copy.
    """

    detached_scan_bytes: int = 64 << 20
    detached_scan_seconds: float = 10.0
    catch_up_seconds: float = 0.05
    length_check_seconds: float = 0.01
    reader_check_transactions: int = 1024
    compacted_bytes: int = 64 << 20
