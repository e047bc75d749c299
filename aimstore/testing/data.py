"""The data that the kit's tests write, and the comparison of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from aimstore.abc import Container, Item, KeyRange, WriteBatch

RUN: Final = "0123456789abcdef01234567"
OTHER_RUN: Final = "89abcdef0123456789abcdef"
PATH: Final = f"meta/chunks/{RUN}"
OTHER_PATH: Final = f"seqs/chunks/{OTHER_RUN}"
INDEX: Final = "meta/index"

TRICKY_KEYS: Final[tuple[bytes, ...]] = (
    b"\x00",
    b"\x00\x00",
    b"\x01",
    b"a",
    b"a\x00",
    b"a\x00\x00",
    b"a\xff",
    b"a\xff\xff",
    b"aa",
    b"b",
    b"\x7f",
    b"\x80",
    b"\xfe\xff",
    b"\xff",
    b"\xff\x00",
    b"\xff\xff",
    b"\xff\xff\xff",
)
"""Keys that an engine gets wrong if it compares text, has signed bytes, pads keys, or stops at a zero byte."""

TRICKY_ITEMS: Final = {key: b"value of " + key for key in TRICKY_KEYS}

RANGES: Final = (
    KeyRange(),
    KeyRange(b"a"),
    KeyRange(b"", b"a"),
    KeyRange(b"a", b"b"),
    KeyRange(b"a\x00", b"a\xff\xff"),
    KeyRange(b"aaa", b"aaaa"),
    KeyRange(b"c", b"d"),
    KeyRange(b"a", b"a"),
    KeyRange(b"", b""),
    KeyRange(b"\x80", b"\xff"),
    KeyRange(b"\xff"),
    KeyRange(b"\xff\xff\xff\xff"),
    KeyRange.prefix(b"a"),
    KeyRange.prefix(b"\xff"),
    KeyRange.prefix(b"a\xff"),
)
"""Ranges with bounds at keys, between keys, below the first and above the last."""

PREFIXES: Final = (b"", b"a", b"a\x00", b"a\xff", b"\xff", b"\xff\xff", b"c", b"\x00")


def batch_of(items: Mapping[bytes, bytes | None] | Iterable[tuple[bytes, bytes | None]]) -> WriteBatch:
    """A batch that puts these values; None deletes."""
    batch = WriteBatch()
    for key, value in items.items() if isinstance(items, Mapping) else items:
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    return batch


def fill(container: Container, items: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Write `items` in one batch, and return them."""
    container.write(batch_of(items))
    return dict(items)


def numbered(count: int, size: int = 8, name: bytes = b"key") -> dict[bytes, bytes]:
    """`count` items in order of their numbers, with values of `size` bytes that hardly compress."""
    return {b"%s%08d" % (name, n): (b"%08d" % (n * 7919 % 10**8)) * (size // 8) for n in range(count)}


def within(items: Mapping[bytes, bytes], keys: KeyRange, *, reverse: bool = False) -> list[Item]:
    """The expected result of a scan of `keys`."""
    return sorted(((key, value) for key, value in items.items() if key in keys), reverse=reverse)


def holds(container: Container, items: Mapping[bytes, bytes]) -> None:
    """Assert that the container holds exactly `items`, however it is read."""
    expected = sorted(items.items())
    assert list(container.items()) == expected
    assert list(container.items(reverse=True)) == expected[::-1]
    assert container.get_many([key for key, _ in expected]) == [value for _, value in expected]
