"""The read side of one sequence: chunks found by ordinal or step, decoded by column."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from aimstore.abc import Container, KeyRange
from aimstore.encoding.chunks import COLUMNS, Columns, read_header
from aimstore.encoding.keys import decode_path, encode_path
from aimstore.encoding.records import decode_record
from aimstore.errors import CorruptionError
from aimstore.plugins.objects import from_object
from aimstore.sequences.columns import cut, decode_all
from aimstore.storage.layout import OBJECT


def read_records(seqs: Container, sequence: int, wanted: Collection[str] = COLUMNS) -> Columns | None:
    """All records of a sequence in the order in which they were tracked, so that their positions are their ordinals; None
    where there are none. Values of a sequence of objects are what `load_object` takes.

    Args:
        wanted: the columns to decode, "steps" among them.

    Raises:
        CorruptionError: a chunk is damaged or missing.
    """
    found = _read(seqs, sequence, 0, None, wanted)
    return None if found is None else found[1]


def read_range(
    seqs: Container,
    sequence: int,
    records: int,
    start: int | None,
    stop: int | None,
    wanted: Collection[str] = COLUMNS,
) -> tuple[int, Columns] | None:
    """Records of an ordered sequence (see `Summary.ordered`) with `start <= step < stop`, and the ordinal of the first; None
    where there are none. Only the chunks of the range are decoded.

    Args:
        records: how many the sequence has at least; the chunk that holds `start` is found by bisecting over ordinals.
        wanted: the columns to decode, "steps" among them.
    """
    ordinal = 0 if start is None else _chunk_with(seqs, sequence, records, start)
    found = _read(seqs, sequence, ordinal, stop, wanted)
    if found is None:
        return None
    first, columns = found
    low = 0 if start is None else int(columns.steps.searchsorted(start))
    high = len(columns.steps) if stop is None else int(columns.steps.searchsorted(stop))
    return (first + low, cut(columns, slice(low, high))) if low < high else None


def _read(
    seqs: Container, sequence: int, ordinal: int, stop: int | None, wanted: Collection[str]
) -> tuple[int, Columns] | None:
    """The chunks from the one at `ordinal` up to the first that begins at or above the step `stop`."""
    chunks: list[bytes] = []
    expected = ordinal
    scan = seqs.scan(_chunks_from(sequence, ordinal))
    try:
        for key, data in scan:
            if decode_path(key)[1] != expected:
                raise CorruptionError(f"{seqs.path}: the chunk of sequence {sequence} at record {expected} is missing")
            header = read_header(data)
            if stop is not None and header.min_step >= stop:
                break
            chunks.append(data)
            expected += header.count
    finally:
        scan.close()
    return (ordinal, decode_all(chunks, wanted)) if chunks else None


def _chunk_with(seqs: Container, sequence: int, records: int, step: int) -> int:
    """Ordinal of the last chunk that begins at or below `step`; 0 where none does."""
    low, high = 0, records
    while low < high:
        middle = (low + high + 1) // 2
        found = _first_chunk(seqs, sequence, middle)
        if found is not None and found[1] <= step:
            low = found[0]
        else:
            high = middle - 1
    return low


def _first_chunk(seqs: Container, sequence: int, ordinal: int) -> tuple[int, int] | None:
    """Ordinal and least step of the first chunk at or after `ordinal`."""
    scan = seqs.scan(_chunks_from(sequence, ordinal))
    try:
        for key, data in scan:
            at = decode_path(key)[1]
            assert isinstance(at, int)
            return at, read_header(data).min_step
        return None
    finally:
        scan.close()


def _chunks_from(sequence: int, ordinal: int) -> KeyRange:
    """The chunks from an ordinal on; strings sort after ints, so large objects lie behind them."""
    return KeyRange(encode_path((sequence, ordinal)), encode_path((sequence, "")))


def load_object(seqs: Container, sequence: int, ordinal: int, stored: bytes | int) -> Any:
    """One object: decoded from the bytes in its chunk, or read from its own key where the chunk has only its size."""
    if isinstance(stored, bytes):
        return decode_record(stored, from_object)
    data = seqs.get(encode_path((sequence, OBJECT, ordinal)))
    if data is None or len(data) != stored:
        raise CorruptionError(
            f"{seqs.path}: record {ordinal} of sequence {sequence} should have {stored} bytes "
            f"and has {'none' if data is None else len(data)}"
        )
    return decode_record(data, from_object)
