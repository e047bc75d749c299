"""The read side of one sequence: finds chunks by ordinal or step, decodes them by column, and reads outlines."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import closing
from typing import Any, Final

from aimstore.abc import Container, KeyRange
from aimstore.encoding.chunks import COLUMNS, Columns, Header, read_header
from aimstore.encoding.keys import decode_path, encode_path
from aimstore.encoding.outlines import Outline, decode_outline
from aimstore.encoding.values import decode_value
from aimstore.errors import CorruptionError
from aimstore.plugins.objects import from_object
from aimstore.sequences.columns import cut, decode_all, increasing
from aimstore.sequences.limits import OUTLINE_SIZES, OutlineSizes
from aimstore.sequences.outline import joined, level_with, outline_of_points
from aimstore.storage.layout import OBJECT, OUTLINE, Summary

OUTLINED_AT_ONCE: Final = 65_536
"""Number of points that are decoded together to compute their outline."""


def read_points(
    seqs: Container, sequence: int, wanted: Collection[str] = COLUMNS, *, points: int = 0
) -> Columns | None:
    """All points of a sequence in the order in which they were tracked, so that their positions are their ordinals;
    None if there are no points. The values of a sequence of objects are arguments for `load_object`.

    Args:
        wanted: the columns to decode; "steps" must be among them.
        points: approximate number of points; if it is known, reading is faster.

    Raises:
        CorruptionError: a chunk is damaged or missing.
    """
    with closing(_chunks(seqs, sequence, 0)) as found:
        return decode_all((data for _, _, data in found), points, wanted)


def read_range(
    seqs: Container,
    sequence: int,
    points: int,
    start: int | None,
    stop: int | None,
    wanted: Collection[str] = COLUMNS,
) -> tuple[int, Columns] | None:
    """Points of an ordered sequence (see `Summary.ordered`) with `start <= step < stop`, and the ordinal of the first;
    None if there are none. Only the chunks of the range are decoded.

    Args:
        points: minimum number of points in the sequence; the chunk that holds `start` is found by bisecting over
            ordinals.
        wanted: the columns to decode; "steps" must be among them.
    """
    ordinal = 0 if start is None else _chunk_with(seqs, sequence, points, start)
    chunks: list[bytes] = []
    count = 0
    with closing(_chunks(seqs, sequence, ordinal)) as found:
        for _, header, data in found:
            if stop is not None and header.min_step >= stop:
                break
            chunks.append(data)
            count += header.count
    columns = decode_all(chunks, count, wanted)
    if columns is None:
        return None
    low = 0 if start is None else int(columns.steps.searchsorted(start))
    high = count if stop is None else int(columns.steps.searchsorted(stop))
    return (ordinal + low, cut(columns, slice(low, high))) if low < high else None


def _chunks(seqs: Container, sequence: int, ordinal: int) -> Generator[tuple[int, Header, bytes], None, None]:
    """The chunks from the one at `ordinal` on, each with its ordinal and header."""
    with closing(seqs.scan(_chunks_from(sequence, ordinal))) as scan:
        for key, data in scan:
            if _ordinal(key) != ordinal:
                raise _missing(seqs, sequence, ordinal)
            header = read_header(data)
            yield ordinal, header, data
            ordinal += header.count


def _missing(seqs: Container, sequence: int, ordinal: int) -> CorruptionError:
    return CorruptionError(f"{seqs.path}: the chunk of sequence {sequence} at point {ordinal} is missing")


def read_last(
    seqs: Container, sequence: int, summary: Summary, count: int, wanted: Collection[str] = COLUMNS
) -> Columns | None:
    """The last `count` points, or all if there are fewer, of a sequence that was ordered when it had this summary; None
    if it is no longer ordered. Only the last chunks are read, and those added since the summary.

    Args:
        wanted: the columns to decode; "steps" must be among them.

    Raises:
        CorruptionError: a chunk is damaged or missing.
    """
    chunks = _last_chunks(seqs, sequence, summary, count)
    columns = decode_all(chunks or (), count, wanted)
    return None if columns is None else cut(columns, slice(max(0, len(columns.steps) - count), None))


def is_still_ordered(seqs: Container, sequence: int, summary: Summary) -> bool:
    """Whether a sequence that was ordered when it had this summary still is. Reads only the chunks added since."""
    return _last_chunks(seqs, sequence, summary, 0) is not None


def _last_chunks(seqs: Container, sequence: int, summary: Summary, count: int) -> list[bytes] | None:
    """The chunks with the last `count` points, at least one; None if they, or later ones, are not in step order."""
    chunks: list[bytes] = []
    found, next_step, next_ordinal = 0, None, None
    with closing(seqs.scan(_chunks_from(sequence, 0), reverse=True)) as scan:
        for key, data in scan:
            ordinal = _ordinal(key)
            header = read_header(data)
            if next_ordinal is not None and ordinal + header.count != next_ordinal:
                raise _missing(seqs, sequence, ordinal + header.count)
            if not header.ordered or (next_step is not None and header.max_step >= next_step):
                return None
            if found < count or not chunks:
                chunks.append(data)
                found += header.count
            if found >= count and ordinal < summary.points:
                break
            next_step, next_ordinal = header.min_step, ordinal
    return chunks[::-1]


def read_outline(
    seqs: Container, sequence: int, points: int, least: int, sizes: OutlineSizes = OUTLINE_SIZES
) -> Outline | None:
    """The outline of a whole sequence of numbers, from the coarsest level that has about `least` stretches; None if no
    level has that many, or the steps are not strictly increasing.

    Args:
        points: approximate number of points in the sequence.
        sizes: approximately the sizes that the sequence was written with: they decide which level is read.
    """
    level = level_with(least, points, sizes)
    if level < 0:
        return None
    parts = []
    for part in _outlines(seqs, sequence, level, 0, None, sizes):
        if part is None:
            return None
        parts.append(part)
    return joined(parts)


def _outlines(
    seqs: Container, sequence: int, level: int, start: int, stop: int | None, sizes: OutlineSizes
) -> Iterator[Outline | None]:
    """Outlines of the ordinals from `start` to `stop`: those of a level, where it has gaps those of the levels below,
    and at the lowest level outlines of the chunks themselves. None stands for steps that are not strictly
    increasing."""
    if level < 0:
        yield from _outlines_of_chunks(seqs, sequence, start, stop, sizes.stretch_points)
        return
    prefix = encode_path((sequence, OUTLINE, level))
    stop_key = encode_path((sequence, OUTLINE, level + 1)) if stop is None else prefix + encode_path((stop,))
    for key, data in list(seqs.scan(KeyRange(prefix + encode_path((start,)), stop_key))):
        if key != prefix + encode_path((start,)):
            ordinal = decode_path(key)[3]
            assert isinstance(ordinal, int)
            yield from _outlines(seqs, sequence, level - 1, start, ordinal, sizes)
            start = ordinal
        outline = decode_outline(data)
        yield outline
        start += outline.count
    if stop is None or start < stop:
        yield from _outlines(seqs, sequence, level - 1, start, stop, sizes)


def _outlines_of_chunks(
    seqs: Container, sequence: int, start: int, stop: int | None, stretch: int
) -> Iterator[Outline | None]:
    chunks: list[bytes] = []
    count = 0
    with closing(_chunks(seqs, sequence, start)) as found:
        for ordinal, header, data in found:
            if stop is not None and ordinal >= stop:
                break
            chunks.append(data)
            count += header.count
            if count >= OUTLINED_AT_ONCE:
                yield _outline_of(chunks, count, stretch)
                chunks, count = [], 0
    if chunks:
        yield _outline_of(chunks, count, stretch)


def _outline_of(chunks: list[bytes], count: int, stretch: int) -> Outline | None:
    columns = decode_all(chunks, count, ("steps", "values"))
    assert columns is not None
    return outline_of_points(columns, stretch) if increasing(columns.steps) else None


def _chunk_with(seqs: Container, sequence: int, points: int, step: int) -> int:
    """Ordinal of the last chunk that begins at or below `step`; 0 if there is none."""
    low, high = 0, points
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
            return _ordinal(key), read_header(data).min_step
        return None
    finally:
        scan.close()


def _ordinal(key: bytes) -> int:
    ordinal = decode_path(key)[1]
    assert isinstance(ordinal, int)
    return ordinal


def _chunks_from(sequence: int, ordinal: int) -> KeyRange:
    """The chunks from an ordinal on; strings sort after ints, so large objects come after the chunks."""
    return KeyRange(encode_path((sequence, ordinal)), encode_path((sequence, "")))


def load_object(seqs: Container, sequence: int, ordinal: int, stored: bytes | int) -> Any:
    """One object: decoded from the bytes in its chunk, or read from its own key if the chunk has only its size."""
    if isinstance(stored, bytes):
        return decode_value(stored, from_object)
    data = seqs.get(encode_path((sequence, OBJECT, ordinal)))
    if data is None or len(data) != stored:
        raise CorruptionError(
            f"{seqs.path}: point {ordinal} of sequence {sequence} should have {stored} bytes "
            f"and has {'none' if data is None else len(data)}"
        )
    return decode_value(data, from_object)
