"""Limits on the nesting of values: the same for all stored data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

MAX_DEPTH: Final = 200
"""Maximum levels of nesting: the parts of the path of a value, plus the dicts, lists and tuples in the value."""

WRAPPED_DEPTH: Final = MAX_DEPTH + 8
"""Maximum levels of a value that contains stored values, such as the packed entry of a run, and of all data read."""

MAX_TUPLE_DEPTH: Final = 32
"""Maximum levels of tuples within tuples: reading each level takes 40 kB of the thread's stack."""

_CONTAINERS: Final = frozenset({dict, list, tuple})


def too_deep(deepest: int = MAX_DEPTH) -> str:
    """The error text for a value that is nested more than `deepest` levels deep."""
    return f"nested more than {deepest} deep, or contains itself"


def levels(value: Any) -> Iterator[list[Any]]:
    """The dicts, lists and tuples of each level; subclasses are not included."""
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
    """Whether `value` has more than `most` levels."""
    return most < 0 or any(depth > most for depth, _ in enumerate(levels(value), 1))
