"""Statistics of a few samples: median, quartiles, ratios, and whether two sets of samples differ."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from aimstore.bench.workload import Better

ENOUGH_SAMPLES: Final = 3
"""Samples from which quartiles tell a difference from noise."""

Verdict: TypeAlias = Literal["better", "worse", "within noise", "too few samples"]
"""What two spreads say of one another: noise is where the ranges between their quartiles overlap."""


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
    """How many times better `other` is than `first`: the median over pairs of neighbouring samples, so that a machine that grows
    slower affects both alike. None where a sample is not above zero, or there are none."""
    ratios = []
    for a, b in zip(first, other, strict=False):  # an interruption may leave one sample more of the first
        above, below = (b, a) if better is Better.MORE else (a, b)
        if above <= 0 or below <= 0:
            return None
        ratios.append(above / below)
    return statistics.median(ratios) if ratios else None


def verdict(better: Better, base: Spread, other: Spread) -> Verdict:
    """Whether `other` is better or worse than `base`."""
    if min(base.count, other.count) < ENOUGH_SAMPLES:
        return "too few samples"
    if base.overlaps(other):
        return "within noise"
    return "better" if (other.median > base.median) is (better is Better.MORE) else "worse"
