"""The options of the RocksDB backend, checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from aimstore.errors import ConfigError
from aimstore.suggestions import did_you_mean

_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_SIZE = re.compile(r"(\d+)\s*([A-Za-z]*)")


@dataclass(frozen=True)
class RocksDBOptions:
    """How the databases of one repository are written and read.

    Sizes are in bytes; `parse` also takes text with a unit, such as "4MiB".

    Attributes:
        compression: of data that has left the log: "zstd", "lz4" (faster, larger) or "none".
        write_buffer_size: data kept in memory, and in the log, before it is written out sorted and compressed. A reader
            replays the log each time it opens a container, at about 0.6 ms per MiB.
        block_size: data compressed and read as one piece. Larger ones compress better and make single reads slower.
        block_cache_size: decompressed blocks kept in memory, shared by all containers of the process.
        max_open_files: table files that a container open for writing keeps open; -1 for all. Readers keep all.
        log_recovery: what opening makes of a damaged log. "strict" raises `CorruptionError` unless only the end is
            missing, as after a crash; "salvage" drops the first damaged batch and all that follow it.
    """

    compression: Literal["zstd", "lz4", "none"] = "zstd"
    write_buffer_size: int = 4 << 20
    block_size: int = 16 << 10
    block_cache_size: int = 32 << 20
    max_open_files: int = 256
    log_recovery: Literal["strict", "salvage"] = "strict"

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """The options given by name, the rest at their defaults.

        Raises:
            ConfigError: an option that does not exist, or a value that it does not take.
        """
        for name in options:
            if name not in _CHECKS:
                raise ConfigError(
                    f"rocksdb has no option {name!r}{did_you_mean(str(name), _CHECKS)} (it has {', '.join(_CHECKS)})"
                )
        return cls(**{name: _CHECKS[name](name, value) for name, value in options.items()})


def _choice(*allowed: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise ConfigError(f"rocksdb option {name} is one of {', '.join(map(repr, allowed))}, not {value!r}")

    return check


def _size(least: int, most: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        size = _parse_size(value)
        if size is not None and least <= size <= most:
            return size
        raise ConfigError(
            f'rocksdb option {name} is a number of bytes or text such as "4MiB", from {least} to {most}, not {value!r}'
        )

    return check


def _parse_size(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())) and match[2].upper() in _UNITS:
        return int(match[1]) * _UNITS[match[2].upper()]
    return None


def _open_files(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and (value == -1 or value >= 16):
        return value
    raise ConfigError(f"rocksdb option {name} is a number of files from 16, or -1 for no bound, not {value!r}")


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "compression": _choice("zstd", "lz4", "none"),
    "write_buffer_size": _size(64 << 10, 1 << 30),
    "block_size": _size(1 << 10, 16 << 20),
    "block_cache_size": _size(1 << 20, 1 << 40),
    "max_open_files": _open_files,
    "log_recovery": _choice("strict", "salvage"),
}

assert list(_CHECKS) == [field.name for field in fields(RocksDBOptions)]
