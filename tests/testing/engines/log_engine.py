"""A small engine that is right: a container is one file to which each batch is appended, with checksums.

It has no range deletes of its own and takes short keys only, unlike the engines that are shipped.
"""

from __future__ import annotations

import json
import os
import secrets
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from aimstore.abc import Capability, Container, Lock, Mode, Op, WriteBatch
from aimstore.errors import CorruptionError
from aimstore.storage.filesystem import FilesystemBackend
from aimstore.storage.memory import MemoryContainer

HEADER = struct.Struct(">II")  # length of the record, its checksum; followed by a checksum of both


def frame(record: bytes) -> bytes:
    header = HEADER.pack(len(record), zlib.crc32(record))
    return header + struct.pack(">I", zlib.crc32(header)) + record


class LogContainer(MemoryContainer):
    capability: ClassVar[Capability] = Capability(
        persistent=True, multi_process=True, durable_sync=True, max_key_size=100
    )

    def __init__(self, path: str, file: Path, mode: Mode, lock: Lock | None) -> None:
        super().__init__(path, Mode.WRITE, lock)
        self.mode = mode
        self._file = os.open(file, os.O_RDONLY if mode is Mode.READ else os.O_RDWR)
        self._end = 0
        self._replay()
        if mode is Mode.WRITE:
            os.ftruncate(self._file, self._end)  # what a crash left of the last batch

    def _replay(self) -> None:
        content = os.pread(self._file, os.fstat(self._file).st_size - self._end, self._end)
        at, start = 0, HEADER.size + 4
        while len(content) - at >= start:
            header = content[at : at + HEADER.size]
            length, checksum = HEADER.unpack(header)
            if zlib.crc32(header) != int.from_bytes(content[at + HEADER.size : at + start], "big"):
                self._corrupt()
                break
            record = content[at + start : at + start + length]
            if len(record) < length:
                break
            if zlib.crc32(record) != checksum:
                self._corrupt()
                break
            self._apply(record)
            at += start + length
        self._end += at

    def _corrupt(self) -> None:
        os.close(self._file)
        raise CorruptionError(f"{self.path}: a record is not what was written")

    def _apply(self, record: bytes) -> None:
        batch = WriteBatch()
        for op, key, value in json.loads(record):
            if op == Op.PUT:
                batch.put(bytes.fromhex(key), bytes.fromhex(value))
            else:
                batch.delete(bytes.fromhex(key))
        self._store.write(batch)

    def _write(self, batch: WriteBatch) -> None:
        self._append([[op, key.hex(), (value or b"").hex()] for op, key, value in batch.ops])
        super()._write(batch)

    def _append(self, ops: list[list[Any]]) -> None:
        data = frame(json.dumps(ops).encode())
        self._end += os.pwrite(self._file, data, self._end)

    def _flush(self, sync: bool) -> None:
        if sync:
            os.fsync(self._file)

    def _refresh(self) -> None:
        if self.mode is Mode.READ:
            with self._mutex:
                self._replay()

    def _close(self) -> None:
        os.close(self._file)


class LogBackend(FilesystemBackend):
    capability = LogContainer.capability
    Kind = LogContainer

    def __init__(self, root: Path, options: Mapping[str, Any]) -> None:
        super().__init__(root)

    def _open_container(self, path: str, directory: Path, mode: Mode, lock: Lock | None) -> Container:
        if not self._is_container(directory):
            if mode is Mode.READ:
                raise FileNotFoundError(f"no container {path}")
            directory.mkdir(exist_ok=True)
            (directory / f"log-{secrets.token_hex(8)}").touch()
        (file,) = directory.glob("log-*")
        return self.Kind(path, file, mode, lock)

    def _is_container(self, directory: Path) -> bool:
        return any(directory.glob("log-*"))
