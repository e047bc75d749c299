"""What a few samples say: median, quartiles, ratios, and whether two sets of them differ."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aimstore.bench.workload import Better

ENOUGH: Final = 3
"""Samples below which quartiles say nothing about noise."""


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of samples; all three are the same number where there is one sample."""

    low: float
    median: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of one value or more."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(low, middle, high, len(values))

    def overlaps(self, other: Spread) -> bool:
        """Whether the ranges between the quartiles have a number in common."""
        return self.low <= other.high and other.low <= self.high


def times_better(better: Better, first: Sequence[float], other: Sequence[float]) -> float | None:
    """How many times better `other` is than `first`: the median over pairs of samples taken next to one another, so that a
    machine that grows slower meets both alike. None where nothing can be divided by."""
    ratios = []
    for a, b in zip(first, other, strict=False):  # an interruption leaves one sample more of the first
        above, below = (b, a) if better is Better.MORE else (a, b)
        if above <= 0 or below <= 0:
            return None
        ratios.append(above / below)
    return statistics.median(ratios) if ratios else None
