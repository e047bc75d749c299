"""What an error offers for a name that is not known: the nearest one that is."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Up to `most` of `known` that look like `name`, the best first."""
    from difflib import get_close_matches  # 15 ms that only an error should cost

    return get_close_matches(name, list(known), n=most, cutoff=0.6)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'lmdb'?"` with the nearest of `known`, or "" where none is near."""
    near = nearest(name, known, 2)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
