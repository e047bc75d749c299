"""The write batch: plain data, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys `start <= key < stop`; `stop` None means to the end."""

    start: bytes = b""
    stop: bytes | None = None

    @classmethod
    def prefix(cls, prefix: bytes) -> KeyRange:
        """All keys that begin with `prefix`."""
        stripped = prefix.rstrip(b"\xff")
        return cls(prefix, stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else None)

    def __contains__(self, key: bytes) -> bool:
        return self.start <= key and (self.stop is None or key < self.stop)

    @property
    def empty(self) -> bool:
        return self.start == self.stop

    def check(self) -> KeyRange:
        """This range. Raises `ValueError` where it is reversed, `TypeError` where a bound is not bytes."""
        if type(self.start) is not bytes or (self.stop is not None and type(self.stop) is not bytes):
            raise TypeError(f"the bounds of a key range must be bytes, not {self.start!r:.40} and {self.stop!r:.40}")
        if self.stop is not None and self.start > self.stop:
            raise ValueError(f"reversed key range: start {self.start!r:.80} is above stop {self.stop!r:.80}")
        return self


class Op(IntEnum):
    """Kind of one operation of a batch."""

    PUT = 0
    DELETE = 1
    DELETE_RANGE = 2


class WriteBatch:
    """Operations to apply atomically and in order: of several on one key, the last decides.

    Plain data without an engine: build a batch anywhere, keep it, inspect it, apply it again. `ops` holds
    `(Op.PUT, key, value)`, `(Op.DELETE, key, b"")` and `(Op.DELETE_RANGE, start, stop or None)`.
    Not for use by several threads at once.
    """

    __slots__ = ("nbytes", "ops")

    def __init__(self) -> None:
        self.ops: list[tuple[Op, bytes, bytes | None]] = []
        self.nbytes = 0
        """Bytes of all keys and values, to bound the size of a batch."""

    def put(self, key: bytes, value: bytes) -> None:
        """Store `value` under `key`. Raises `TypeError` unless both are bytes, `ValueError` for an empty key."""
        _check_key(key)
        if type(value) is not bytes:
            raise TypeError(f"a value must be bytes, not {type(value).__name__} (key {key!r:.80})")
        self.ops.append((Op.PUT, key, value))
        self.nbytes += len(key) + len(value)

    def delete(self, key: bytes) -> None:
        """Remove `key`; a missing key is no error."""
        _check_key(key)
        self.ops.append((Op.DELETE, key, b""))
        self.nbytes += len(key)

    def delete_range(self, keys: KeyRange) -> None:
        """Remove every key of the range, those put earlier in this batch included. Raises `ValueError` for a reversed range."""
        keys.check()
        if not keys.empty:
            self.ops.append((Op.DELETE_RANGE, keys.start, keys.stop))
            self.nbytes += len(keys.start) + len(keys.stop or b"")

    def __len__(self) -> int:
        return len(self.ops)

    def final(self, existing: Callable[[KeyRange], Iterator[bytes]]) -> dict[bytes, bytes | None]:
        """The final value of each key, or None for a deletion. Range deletes become point deletes.

        Args:
            existing: returns the keys that the container holds in a range.
        """
        last: dict[bytes, bytes | None] = {}
        for op, key, value in self.ops:
            if op is Op.DELETE_RANGE:
                keys = KeyRange(key, value)
                last.update((k, None) for k in last if k in keys)
                last.update((k, None) for k in existing(keys))
            else:
                last[key] = value if op is Op.PUT else None
        return last


def _check_key(key: bytes) -> None:
    if type(key) is not bytes:
        raise TypeError(f"a key must be bytes, not {type(key).__name__}")
    if not key:
        raise ValueError("a key needs at least one byte")
