"""The points of a sequence in fresh chunks, kept in memory until they are sealed."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aimstore.encoding.chunks import NO_EPOCH, Columns, type_code
from aimstore.sequences.columns import concatenate, plain
from aimstore.sequences.pending import Pending, Points


@dataclass(slots=True)
class Tail:
    """Points that are stored in fresh chunks and also kept in memory, so that sealing reads nothing.

    Attributes:
        starts: ordinals of the fresh chunks.
        steps, times, epochs: int64 columns; `epochs` is None while no point has an epoch.
        values: `array("d")`, `array("q")`, or a list of mixed numbers or of objects.
        nbytes: approximate memory of the points.
    """

    starts: list[int]
    steps: array[int]
    times: array[int]
    epochs: array[int] | None
    values: array[Any] | list[Any]
    nbytes: int = 0

    @classmethod
    def empty(cls) -> Tail:
        return cls([], array("q"), array("q"), None, array("d"))

    def append(self, start: int, points: Points, nbytes: int) -> None:
        """Add the points of a fresh chunk; `start` is the ordinal of the first point."""
        count = len(self.steps)
        self.starts.append(start)
        _extend(self.steps, points.steps)
        _extend(self.times, points.times)
        if points.epochs is not None and self.epochs is None:
            self.epochs = array("q", [NO_EPOCH]) * count
        if self.epochs is not None:
            _extend(self.epochs, [NO_EPOCH] * len(points.steps) if points.epochs is None else points.epochs)
        self._append_values(points, is_first=not count)
        self.nbytes += nbytes

    def _append_values(self, points: Points, *, is_first: bool) -> None:
        values = points.values
        code = type_code(values) if isinstance(values, list) else "d" if values.dtype == np.float64 else "q"
        if is_first:
            self.values = array(code) if code else []
        if isinstance(self.values, array) and self.values.typecode == code:
            _extend(self.values, values)
        else:
            self.values = [*self.values, *plain(values)]

    def merged(self, points: Points | None) -> Columns:
        """The points of this tail and then `points`, in NumPy columns; there must be at least one point."""
        parts = []
        if self.starts:
            values = self.values if isinstance(self.values, list) else np.array(self.values)
            epochs = None if self.epochs is None else np.array(self.epochs)
            parts.append(Columns(np.array(self.steps), np.array(self.times), epochs, values))
        if points is not None:
            parts.append(points.to_columns() if isinstance(points, Pending) else points)
        return concatenate(parts)


def _extend(column: array[Any], values: Sequence[Any] | npt.NDArray[Any]) -> None:
    if isinstance(values, np.ndarray):
        column.frombytes(values.tobytes())
    else:
        column.extend(values)
