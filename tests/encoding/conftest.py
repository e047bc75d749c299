"""What the tests of values and of leaves share."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import datetime, time
from typing import Any

import numpy as np
import pytest


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("<d", one) == struct.pack("<d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, complex):
        return _same(one.real, other.real) and _same(one.imag, other.imag)
    if isinstance(one, np.ndarray | np.generic) and not isinstance(one, str | bytes):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        pairs = zip(_sorted(one), _sorted(other), strict=False)
        return len(one) == len(other) and all(_same(a, b) and _same(one[a], other[b]) for a, b in pairs)
    if isinstance(one, datetime | time):
        return one == other and one.utcoffset() == other.utcoffset()
    return bool(one == other)


def _sorted(mapping: dict[Any, Any]) -> list[Any]:
    return sorted(mapping, key=lambda key: (str(type(key)), str(key)))


@pytest.fixture(scope="session")
def same() -> Callable[[Any, Any], bool]:
    """Whether two values are equal in value, type and, for numbers, bits (but one NaN is as good as another)."""
    return _same
