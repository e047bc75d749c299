"""How deeply values may be nested: one limit for all that is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

MAX_DEPTH: Final = 200
"""Levels of nesting: the parts of the path at which a value is stored, and the dicts, lists and tuples in it."""

WRAPPED_DEPTH: Final = MAX_DEPTH + 8
"""Levels of a value that is made of stored values, such as the packed value of a run; and of all that is read."""

MAX_TUPLE_DEPTH: Final = 32
"""Tuples within tuples: reading each costs 40 kB of the thread's stack."""

_CONTAINERS: Final = frozenset({dict, list, tuple})


def too_deep(deepest: int = MAX_DEPTH) -> str:
    """What is said of a value that is nested more than `deepest` levels deep."""
    return f"nested more than {deepest} deep, or contains itself"


def levels(value: Any) -> Iterator[list[Any]]:
    """The dicts, lists and tuples of each level, of exactly these types."""
    level = [value] if type(value) in _CONTAINERS else []
    while level:
        yield level
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) in _CONTAINERS
        ]


def is_deeper(value: Any, most: int) -> bool:
    """Whether there are more than `most` levels."""
    return most < 0 or any(depth > most for depth, _ in enumerate(levels(value), 1))
