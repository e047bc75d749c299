"""How damage to stored bytes is noticed: by a checksum behind each value, and by the order of the keys.

LMDB has no checksums and does not check what it reads. The checksum reveals a damaged value, and a damaged key that is read.
A damaged key on the way to another key leads a search astray. Then it mostly is a neighbour of where the search ended, or the
neighbours are not in order. So the neighbours are checked wherever a key was not found, and a scan begins or ends.
"""

from __future__ import annotations

import zlib
from typing import Final

from aimstore.errors import CorruptionError
from aimstore_lmdb import engine

WHOLE: Final = 0x2144DF1C
"""The CRC-32 of any bytes that end with their own CRC-32, least significant byte first."""


def seal(key: bytes, value: bytes) -> bytes:
    """The stored bytes of an item: the value, and the CRC-32 of key and value, least significant byte first."""
    return value + zlib.crc32(value, zlib.crc32(key)).to_bytes(4, "little")


def unseal(path: str, key: bytes, stored: bytes) -> bytes:
    """The value in stored bytes. Raises `CorruptionError` where they were not written for this key."""
    if zlib.crc32(stored, zlib.crc32(key)) != WHOLE:
        raise damage(path, key)
    return stored[:-4]


def damage(path: str, key: bytes) -> CorruptionError:
    return CorruptionError(f"{path}: the item with key {key!r:.80} is damaged")


def seek(path: str, cursor: engine.Cursor, bound: bytes) -> bool:
    """Move to the first item not below `bound`, and check its neighbours. Returns False where there is no such item.

    A bound that is longer than any key counts as its own beginning.
    """
    bound = bound[: engine.MAX_KEY_SIZE]
    at = cursor.item() if cursor.set_range(bound) else None
    before = cursor.item() if (cursor.last() if at is None else cursor.prev()) else None
    for item in (before, at):
        if item is not None:
            unseal(path, *item)
    if (at is not None and at[0] < bound) or (before is not None and before[0] >= bound):
        raise CorruptionError(f"{path}: the keys near {bound!r:.80} are not in order")
    return at is not None and cursor.set_range(bound)
