"""The order of values: numbers, times, strings, durations, other values, and finally missing values."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from functools import total_ordering
from typing import Any, Final

from aimstore.query.compare import aware
from aimstore.query.values import MISSING

LAST_RANK: Final = (math.inf,)
"""The rank of a missing value, None or NaN: no other rank is greater."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

_NUMBER, _MOMENT, _TEXT, _DURATION, _OTHER = range(5)


def rank(value: Any, *, descending: bool = False) -> tuple[Any, ...]:
    """Return a rank that compares with `<` in the order of `value`; ranks of one direction compare with each other.

    Numbers come first, then dates and datetimes, strings, durations, and all other values, which are equal to each
    other. `descending` reverses that. Missing values, None and NaN come last in both directions.
    """
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return LAST_RANK if value != value else (-_NUMBER, -value) if descending else (_NUMBER, value)
    if kind is str:
        return (-_TEXT, _Descending(value)) if descending else (_TEXT, value)
    if value is None or value is MISSING:
        return LAST_RANK
    if kind is datetime:
        kind_rank, number = _MOMENT, (aware(value) - _EPOCH) // _MICROSECOND
    elif kind is date:
        kind_rank, number = _MOMENT, (datetime.combine(value, time(), UTC) - _EPOCH) // _MICROSECOND
    elif kind is timedelta:
        kind_rank, number = _DURATION, value // _MICROSECOND
    else:
        kind_rank, number = _OTHER, 0
    return (-kind_rank, -number) if descending else (kind_rank, number)


@total_ordering
class _Descending:
    """A string that comes before lesser strings."""

    __slots__ = ("text",)
    __hash__ = None  # type: ignore[assignment]  # it is only compared

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.text == other.text

    def __lt__(self, other: _Descending) -> bool:
        return self.text > other.text
