"""`Distribution`: how often values occur, as a histogram."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from aimstore.objects.stored import FieldsCodec, StoredObject, checked_array

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Distribution(StoredObject):
    """A histogram: counts between edges.

        Distribution(layer.weight, bins=100)                 # from samples, which are not stored; counts NaN and
        infinity Distribution.from_histogram(*np.histogram(samples))  # from an existing histogram

    Attributes:
        counts: array of n numbers, read-only.
        edges: array of n + 1 numbers, increasing, read-only. A value belongs to bin i if edges[i] <= value < edges[i +
            1]; the last bin includes its right edge.
        nan: number of samples that are NaN; they are in no bin.
        inf: number of samples that are infinite; they are in no bin.
    """

    counts: npt.NDArray[Any]
    edges: npt.NDArray[Any]
    nan: int
    inf: int

    def __init__(self, samples: Any, bins: int = 64) -> None:
        """
        Args:
            samples: numbers, in an array or tensor of any shape or a list; anything that `numpy.asarray` accepts.
            bins: number of bins of equal width, from the least finite sample to the greatest. The range is widened a
                little if there are too few numbers between the two. If no sample is finite, the range is 0 to 1.

        Raises:
            TypeError: the samples are not real numbers, some are masked, or `bins` is not an int.
            ValueError: there are no samples, or `bins` is below 1.
        """
        import numpy as np

        if isinstance(bins, bool) or not hasattr(bins, "__index__"):
            raise TypeError(f"bins is how many there are, an int, not {bins!r:.60}; edges of your own: from_histogram")
        if bins.__index__() < 1:
            raise ValueError(f"a distribution has 1 bin or more, not {bins}")
        values = _numbers(samples, "samples").reshape(-1)
        if not len(values):
            raise ValueError("there are no samples")
        if values.dtype.kind in "bf":
            values = values.astype(np.float64)
        nan, finite = int(np.count_nonzero(np.isnan(values))), values[np.isfinite(values)]
        counts, edges = _histogram(finite, bins.__index__())
        self._freeze(counts, edges, nan, len(values) - nan - len(finite))

    @classmethod
    def from_histogram(cls, counts: Any, edges: Any, *, nan: int = 0, inf: int = 0) -> Self:
        """Make a distribution from an existing histogram; both arrays keep their dtypes.

        Args:
            counts: n numbers, none of them negative; integers, or floats for weights or densities.
            edges: n + 1 numbers, each greater than the one before.
            nan, inf: number of samples that were NaN, and that were infinite; 0 or more.

        Raises:
            TypeError: the arrays do not hold real numbers, or some numbers are masked.
            ValueError: the shapes do not fit each other, or a number is invalid.
        """
        made = cls.__new__(cls)
        made._freeze(counts, edges, nan, inf)
        return made

    @classmethod
    def _restored(cls, fields: dict[str, Any]) -> Self:
        return cls.from_histogram(**fields)

    def _freeze(self, counts: Any, edges: Any, nan: Any, inf: Any) -> None:
        import numpy as np

        counts, edges = _numbers(counts, "counts").copy(), _numbers(edges, "edges").copy()
        if counts.ndim != 1 or edges.shape != (len(counts) + 1,) or not len(counts):
            raise ValueError(f"n counts have n + 1 edges; the shapes are {counts.shape} and {edges.shape}")
        if not (np.isfinite(counts).all() and (counts >= 0).all()):
            raise ValueError("some counts are negative, NaN or infinite")
        if not (np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all()):
            raise ValueError("edges are finite, and each is greater than the one before")
        for number in (nan, inf):
            if isinstance(number, bool) or not hasattr(number, "__index__") or number.__index__() < 0:
                raise ValueError(f"the samples that are NaN or infinite are 0 or more, not {number!r:.60}")
        counts.flags.writeable = edges.flags.writeable = False
        self._set(counts=counts, edges=edges, nan=int(nan.__index__()), inf=int(inf.__index__()))

    def numpy(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Counts, of length n, and edges, of length n + 1: read-only arrays, in the order of `numpy.histogram`."""
        return self.counts, self.edges

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Distribution):
            return NotImplemented
        return self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash(self._parts())

    def _parts(self) -> tuple[object, ...]:
        types = self.counts.dtype.str, self.edges.dtype.str
        return *types, tuple(self.counts.tolist()), tuple(self.edges.tolist()), self.nan, self.inf

    def __repr__(self) -> str:
        low, high = self.edges[0], self.edges[-1]
        beside = "".join(f", {n:,} {what}" for n, what in ((self.nan, "NaN"), (self.inf, "infinite")) if n)
        return (
            f"<Distribution of {self.counts.sum():,} in {len(self.counts)} bins from {low:.6g} to {high:.6g}{beside}>"
        )


codec = FieldsCodec(Distribution, counts=object, edges=object, nan=int, inf=int)


def _histogram(values: npt.NDArray[Any], bins: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Counts and edges of finite numbers."""
    import numpy as np

    if not len(values):
        return np.histogram([], bins)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low):
        raise ValueError("the samples span more than a float64 can hold; scale them")
    if (np.diff(np.linspace(low, high, bins + 1)) > 0).all():
        return np.histogram(values, bins)
    half = max(0.5, math.ulp(low)) if low == high else (high - low) / 2
    greatest = sys.float_info.max
    while True:  # too few numbers lie between them for the edges
        edges = np.linspace(max(low - half, -greatest), min(high + half, greatest), bins + 1)
        if (np.diff(edges) > 0).all():
            return np.histogram(values.astype(np.float64), edges)
        half *= 2


def _numbers(values: Any, what: str) -> npt.NDArray[Any]:
    array = checked_array(values, what)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} are real numbers, not {array.dtype}")
    return array
