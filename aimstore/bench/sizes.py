"""Sizes: what files hold, and what `--size` says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aimstore.bench.workload import Size
from aimstore.errors import ConfigError


def size_of(folder: Path) -> int:
    """Bytes of the files under `folder`; a file counts with what it holds or what is allocated to it, whichever is less, so
    that neither the blocks of one file system nor space that was only reserved counts."""
    found = 0
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except FileNotFoundError:  # an engine clears up behind itself
            continue
        if path.is_file():
            found += min(status.st_size, status.st_blocks * 512)
    return found


def parse_size(name: str, text: str, default: Size) -> Size:
    """What `--size name=text` says, as a value of the default's type: `20000`, `20_000`, `20k`, `1000,10000`, `0.5`.

    Raises:
        ConfigError: it is not of that type, or less than nothing.
    """
    if isinstance(default, str):
        return text
    try:
        if isinstance(default, tuple):
            return tuple(_whole(part) for part in text.split(","))
        return _positive(float(text)) if isinstance(default, float) else _whole(text)
    except ValueError:
        kind = "whole numbers, such as 1000,10000" if isinstance(default, tuple) else "a number that is not negative"
        raise ConfigError(f"the size {name} is {kind}, not {text!r}") from None


def _whole(text: str) -> int:
    text = text.strip().lower()
    times = {"k": 1_000, "m": 1_000_000}.get(text[-1:], 1)
    value = float(text.rstrip("km") if times > 1 else text)
    if value * times != int(value * times):
        raise ValueError(text)
    return int(_positive(value * times))


def _positive(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(value)
    return value


def sizes_of(defaults: Mapping[str, Size], quick: Mapping[str, Size], given: Mapping[str, str]) -> dict[str, Any]:
    """The sizes of a workload: its defaults, those of `quick` over them, and those given by name."""
    return {
        **defaults,
        **quick,
        **{name: parse_size(name, text, defaults[name]) for name, text in given.items() if name in defaults},
    }
