"""Sizes: the bytes of folders, and the values of `--size`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from aimstore.bench.workload import Size
from aimstore.errors import ConfigError


def size_of(folder: Path) -> int:
    """Bytes of the files under `folder`. A file counts with its length or its allocated blocks, whichever is less, so that
    neither the block size of the file system nor reserved space counts."""
    found = 0
    for path in folder.rglob("*"):
        try:
            status = path.lstat()
        except FileNotFoundError:  # the engine has just removed it
            continue
        if path.is_file():
            found += min(status.st_size, status.st_blocks * 512)
    return found


LARGEST_SIZE: Final = 1_000_000_000
"""Largest whole number that `--size` takes."""


def parse_size(name: str, text: str, default: Size) -> Size:
    """The value of `--size name=text`, of the default's type: `20000`, `20_000`, `20k`, `1000,10000`, `0.5`.

    Raises:
        ConfigError: it is not of that type; or a whole number below one, where the default is not 0, or above `LARGEST_SIZE`.
    """
    if isinstance(default, str):
        return text
    parse: Callable[[str], Size]
    if isinstance(default, float):
        kind, parse = "a number that is not negative", _positive
    else:
        least = 0 if default == 0 else 1
        between = f"from {least} to {LARGEST_SIZE:,}"
        several = isinstance(default, tuple)
        kind = f"whole numbers {between}, such as 1000,10k" if several else f"a whole number {between}"
        parse = partial(_wholes if several else _whole, least=least)
    try:
        return parse(text)
    except (ValueError, OverflowError):
        raise ConfigError(f"the size {name} is {kind}, not {text!r}") from None


def _wholes(text: str, least: int) -> tuple[int, ...]:
    return tuple(_whole(part, least) for part in text.split(","))


def _whole(text: str, least: int) -> int:
    text = text.strip().lower()
    times = {"k": 1_000, "m": 1_000_000}.get(text[-1:], 1)
    value = float(text.rstrip("km") if times > 1 else text) * times
    if value != int(value) or not least <= value <= LARGEST_SIZE:
        raise ValueError(text)
    return int(value)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def sizes_of(defaults: Mapping[str, Size], quick: Mapping[str, Size], given: Mapping[str, str]) -> dict[str, Any]:
    """The sizes of a workload: given by name, else those of `quick`, else the defaults."""
    return {
        **defaults,
        **quick,
        **{name: parse_size(name, text, defaults[name]) for name, text in given.items() if name in defaults},
    }
