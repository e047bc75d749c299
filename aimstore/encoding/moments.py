"""Times as the repository stores them: int64 microseconds since the epoch, UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def now_microseconds() -> int:
    """The current time."""
    return time.time_ns() // 1000


def to_microseconds(when: datetime) -> int:
    """Microseconds since the epoch of an aware datetime, exactly."""
    return (when - _EPOCH) // _MICROSECOND


def from_microseconds(value: int | None) -> datetime | None:
    """An aware datetime in UTC, exact to the microsecond; None for None.

    Raises:
        OverflowError: the time is outside the years 1 to 9999.
    """
    return None if value is None else moment(value)


def moment(value: int) -> datetime:
    """`from_microseconds` for a value that is not None."""
    return _EPOCH + value * _MICROSECOND
