"""Checksums of a run's containers. They show whether two copies of a run are identical."""

from __future__ import annotations

import struct
from contextlib import closing
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from aimstore.abc import Backend
from aimstore.errors import CorruptionError
from aimstore.storage.layout import DELETED_KEY
from aimstore.types import meta_path, seqs_path

_LENGTHS: Final = struct.Struct("<IQ")
_DIGEST_BYTES: Final = 16


@dataclass(frozen=True)
class Checksums:
    """Checksums that are equal if two copies of a run are byte-for-byte identical.

    BLAKE2b, 128 bits in hexadecimal, over all items of a container in key order: for each item the lengths of key and
    value (uint32 and uint64, little-endian), the key, the value. A missing container counts as empty.

    Attributes:
        meta, seqs: the checksums of the two containers.
    """

    meta: str
    seqs: str


class Checksum:
    """The checksum of one container; items are added in key order."""

    def __init__(self) -> None:
        self._hash = blake2b(digest_size=_DIGEST_BYTES)

    def add(self, key: bytes, value: bytes) -> None:
        """Add one item."""
        self._hash.update(_LENGTHS.pack(len(key), len(value)))
        self._hash.update(key)
        self._hash.update(value)

    def hexdigest(self) -> str:
        """The checksum of all items added so far."""
        return self._hash.hexdigest()


def verify(backend: Backend, run_hash: str, expected: Checksums) -> None:
    """Return if a copied run reads back as it was written.

    Raises:
        CorruptionError: the copy differs.
    """
    found = checksums(backend, run_hash)
    different = [name for name in ("meta", "seqs") if getattr(found, name) != getattr(expected, name)]
    if different:
        raise CorruptionError(
            f"run {run_hash}: the copy reads back differently from what was written, in {' and '.join(different)}; "
            f"check the disk and copy the run again"
        )


def checksums(backend: Backend, run_hash: str) -> Checksums:
    """The checksums of a run's containers, read from storage."""
    return Checksums(_checksum(backend, meta_path(run_hash)), _checksum(backend, seqs_path(run_hash)))


def _checksum(backend: Backend, path: str) -> str:
    checksum = Checksum()
    if backend.exists(path):
        with backend.open(path) as container, closing(container.items()) as items:
            for key, value in items:
                if key != DELETED_KEY:  # this key hides a copy until it is complete
                    checksum.add(key, value)
    return checksum.hexdigest()
