"""Typed options of engines: a frozen dataclass whose fields declare the values that they accept.

@dataclass(frozen=True)
class LMDBOptions(Options, engine="lmdb"):
    map_size: int = size(1 << 30, least=64 << 10, most=1 << 45)
    sync: Literal["batch", "flush"] = choice("batch", "flush")
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Final, Self

from aimstore.errors import ConfigError, did_you_mean

_BINARY: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DECIMAL: Final = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS: Final = {unit.upper(): factor for unit, factor in (_BINARY | _DECIMAL).items()}
_SIZE: Final = re.compile(r"(\d+)\s*([A-Za-z]*)")

Check = Callable[[Any], Any]
"""Converts a given value to the option's value, or raises `ValueError`."""


@dataclass(frozen=True)
class OptionDescription:
    """The name of an option, its default, and a text that describes the accepted values."""

    name: str
    default: Any
    takes: str


@dataclass(frozen=True)
class Options:
    """Base of the options of one engine; `parse` makes an instance from the table `[storage.options]`."""

    engine: ClassVar[str]

    def __init_subclass__(cls, *, engine: str) -> None:
        cls.engine = engine

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Make the options from the given values and the defaults.

        Raises:
            ConfigError: an option does not exist or does not accept its value.
        """
        checks: dict[str, Check] = {each.name: each.metadata["check"] for each in fields(cls)}
        takes = {each.name: each.takes for each in cls.describe()}
        values = {}
        for name, value in options.items():
            if name not in checks:
                known = f"it has {', '.join(checks)}" if checks else "it has none"
                raise ConfigError(f"{cls.engine} has no option {name!r}{did_you_mean(str(name), checks)} ({known})")
            try:
                values[name] = checks[name](value)
            except ValueError:
                raise ConfigError(f"{cls.engine} option {name} is {takes[name]}, not {value!r:.80}") from None
        return cls(**values)

    @classmethod
    def describe(cls) -> list[OptionDescription]:
        """Describe all options. Sizes are shown as text with a unit."""
        return [OptionDescription(each.name, each.metadata["shown"], each.metadata["takes"]) for each in fields(cls)]


def option(default: Any, check: Check, takes: str, shown: Any = None) -> Any:
    """A field with a default and a check.

    Args:
        default: the value if none is given.
        check: checks a given value.
        takes: describes the accepted values, for listings and errors.
        shown: the default as a user would write it; None shows `default`.
    """
    shown = default if shown is None else shown
    return field(default=default, metadata={"check": check, "takes": takes, "shown": shown})


def choice(default: str, *others: str) -> Any:
    """A field that accepts one of several words."""
    allowed = (default, *others)

    def check(value: Any) -> str:
        if isinstance(value, str) and value in allowed:
            return value
        raise ValueError

    return option(default, check, f"one of {', '.join(map(repr, allowed))}")


def size(default: int, *, least: int, most: int) -> Any:
    """A field that accepts a number of bytes, or text with a unit, such as "4MiB"."""

    def check(value: Any) -> int:
        found = _bytes(value)
        if found is not None and least <= found <= most:
            return found
        raise ValueError

    takes = f'a number of bytes or text such as "4MiB", from {_text(least)} to {_text(most)}'
    return option(default, check, takes, _text(default))


def _text(nbytes: int) -> str:
    unit, factor = [each for each in _BINARY.items() if nbytes % each[1] == 0][-1]
    return f"{nbytes // factor}{unit}"


def _bytes(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())) and match[2].upper() in _UNITS:
        return int(match[1]) * _UNITS[match[2].upper()]
    return None
