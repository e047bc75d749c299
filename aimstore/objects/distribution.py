"""`Distribution`: how often values occur, as a histogram."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from aimstore.objects.stored import FieldsCodec, StoredObject

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Distribution(StoredObject):
    """A histogram: counts between edges.

        Distribution(layer.weight, bins=100)                 # of samples, which are not stored
        Distribution.from_histogram(*np.histogram(samples))  # one that is there already

    Attributes:
        counts: array of n numbers, read-only.
        edges: array of n + 1 numbers, increasing, read-only. A value belongs to bin i where edges[i] <= value < edges[i + 1]; the
            last bin has its right edge too.
    """

    counts: npt.NDArray[Any]
    edges: npt.NDArray[Any]

    def __init__(self, samples: Any, bins: int = 64) -> None:
        """
        Args:
            samples: numbers, in an array of any shape or a list; whatever `numpy.asarray` takes.
            bins: how many, of equal width, from the least sample to the greatest.

        Raises:
            TypeError: these are no real numbers, or `bins` is no int.
            ValueError: there are none, some are NaN or infinite, or `bins` is below 1.
        """
        import numpy as np

        if isinstance(bins, bool) or not hasattr(bins, "__index__"):
            raise TypeError(f"bins is how many there are, an int, not {bins!r:.60}; edges of your own: from_histogram")
        if bins.__index__() < 1:
            raise ValueError(f"a distribution has 1 bin or more, not {bins}")
        values = _numbers(samples, "samples").reshape(-1)
        if values.dtype.kind in "bf":
            values = values.astype(np.float64)
        bad = len(values) - np.count_nonzero(np.isfinite(values))
        if bad or not len(values):
            what = f"{bad:,} of {len(values):,} samples are NaN or infinite" if bad else "there are no samples"
            raise ValueError(f"{what}; a distribution is made of finite ones: samples[numpy.isfinite(samples)]")
        with np.errstate(over="ignore", invalid="ignore"):
            wide = not np.isfinite(float(values.max()) - float(values.min()))
        if wide:
            raise ValueError("the samples span more than a float64 can hold; scale them")
        counts, edges = np.histogram(values, bins.__index__())
        self._freeze(counts, edges)

    @classmethod
    def from_histogram(cls, counts: Any, edges: Any) -> Self:
        """A distribution of a histogram that is there already; both arrays are kept in their dtypes.

        Args:
            counts: n numbers, none of them negative; integers, or floats for weights or densities.
            edges: n + 1 numbers, each greater than the one before.

        Raises:
            TypeError: these are no real numbers.
            ValueError: their shapes do not fit, or a number is not as it should be.
        """
        made = cls.__new__(cls)
        made._freeze(counts, edges)
        return made

    @classmethod
    def _restored(cls, fields: dict[str, Any]) -> Self:
        return cls.from_histogram(**fields)

    def _freeze(self, counts: Any, edges: Any) -> None:
        import numpy as np

        counts, edges = _numbers(counts, "counts").copy(), _numbers(edges, "edges").copy()
        if counts.ndim != 1 or edges.shape != (len(counts) + 1,) or not len(counts):
            raise ValueError(f"n counts have n + 1 edges; the shapes are {counts.shape} and {edges.shape}")
        if not (np.isfinite(counts).all() and (counts >= 0).all()):
            raise ValueError("some counts are negative, NaN or infinite")
        if not (np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all()):
            raise ValueError("edges are finite, and each is greater than the one before")
        counts.flags.writeable = edges.flags.writeable = False
        self._set(counts=counts, edges=edges)

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
        return self.counts.dtype.str, self.edges.dtype.str, tuple(self.counts.tolist()), tuple(self.edges.tolist())

    def __repr__(self) -> str:
        low, high = self.edges[0], self.edges[-1]
        return f"<Distribution of {self.counts.sum():,} in {len(self.counts)} bins from {low:.6g} to {high:.6g}>"


codec = FieldsCodec(Distribution, counts=object, edges=object)


def _numbers(values: Any, what: str) -> npt.NDArray[Any]:
    import numpy as np

    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what} are real numbers, not {array.dtype}")
    return array
