"""The options of the LMDB backend, checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from aimstore.errors import ConfigError
from aimstore.suggestions import did_you_mean

_UNITS = {"": 1, "B": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_UNITS |= {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE = re.compile(r"(\d+)\s*([A-Za-z]*)")


@dataclass(frozen=True)
class LMDBOptions:
    """How the environments of one repository are written and read.

    Attributes:
        map_size: bytes of address space to begin with, for each open container; `parse` also takes text with a unit,
            such as "4GiB". It takes neither memory nor disk, may be larger than the disk, and grows as the data does,
            at the cost of reading what open scans have yet to give into memory.
        sync: when data is put on the disk. "batch": before each batch becomes visible, so that after a crash of the
            machine a container holds whole batches and lacks the last one at most. "flush": at `flush(sync=True)` and
            when the container is closed. Faster on a disk, and as safe when only the process is killed; but a crash of
            the machine in between can damage the container.
    """

    map_size: int = 1 << 30
    sync: Literal["batch", "flush"] = "batch"

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """The options given by name, the rest at their defaults.

        Raises:
            ConfigError: an option that does not exist, or a value that it does not take.
        """
        for name in options:
            if name not in _CHECKS:
                raise ConfigError(
                    f"lmdb has no option {name!r}{did_you_mean(str(name), _CHECKS)} (it has {', '.join(_CHECKS)})"
                )
        return cls(**{name: _CHECKS[name](name, value) for name, value in options.items()})


def _choice(*allowed: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise ConfigError(f"lmdb option {name} is one of {', '.join(map(repr, allowed))}, not {value!r}")

    return check


def _size(least: int, most: int) -> Callable[[str, Any], int]:
    def check(name: str, value: Any) -> int:
        size = _parse_size(value)
        if size is not None and least <= size <= most:
            return size
        raise ConfigError(
            f'lmdb option {name} is a number of bytes or text such as "4GiB", from {least} to {most}, not {value!r}'
        )

    return check


def _parse_size(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())) and match[2].upper() in _UNITS:
        return int(match[1]) * _UNITS[match[2].upper()]
    return None


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "map_size": _size(64 << 10, 1 << 45),
    "sync": _choice("batch", "flush"),
}

assert list(_CHECKS) == [field.name for field in fields(LMDBOptions)]
