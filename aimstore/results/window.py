"""The window of a query (order, offset and limit), and the progress of an iteration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from aimstore.abc import Order

OnError: TypeAlias = Literal["count", "raise"]
"""What happens if a predicate raises for a run, metric or sequence: "count" and report at the end, or "raise"."""


@dataclass(frozen=True)
class Window:
    """The order and range of the results to return.

    Attributes:
        order: the compiled order; None for no particular order.
        offset: number of results to skip.
        limit: maximum number of results; None for all.

    Raises:
        TypeError, ValueError: `offset` or `limit` is not an int of 0 or more.
    """

    order: Order | None = None
    offset: int = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        _check_count("offset", self.offset)
        if self.limit is not None:
            _check_count("limit", self.limit)

    @property
    def stop(self) -> int | None:
        """Number of results after which the search ends; None searches to the end."""
        return None if self.limit is None else self.offset + self.limit

    def __str__(self) -> str:
        parts = [self.order.text] if self.order is not None else []
        parts += [f"skip the first {self.offset}"] if self.offset else []
        parts += [f"at most {self.limit}"] if self.limit is not None else []
        return ", ".join(parts)


@dataclass
class Progress:
    """The progress of an iteration, and its totals at the end.

    Attributes:
        candidates: number of indexed runs that the hints left; None if the hints excluded no run.
        pending: number of runs read from their own containers, bypassing the index.
        runs: number of runs that the index returned or that were evaluated.
        evaluated: number of times the predicate was evaluated.
        matched: number of matches, including those that `offset` and an order skip.
        errors: number of times the predicate raised, which counts as no match.
        unordered: number of matches for which `order_by` raised; they come last.
        first_error: the first error of either kind, in words.
    """

    candidates: int | None = None
    pending: int = 0
    runs: int = 0
    evaluated: int = 0
    matched: int = 0
    errors: int = 0
    unordered: int = 0
    first_error: str = ""


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r:.60} ({type(value).__name__})")
    if value < 0:
        raise ValueError(f"{name} must be 0 or more, not {value}")
