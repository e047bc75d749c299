"""Moments survive the way to microseconds and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimstore.encoding.moments import from_microseconds, now_microseconds, to_microseconds


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_datetime_comes_back_exactly(moment: datetime) -> None:
    assert from_microseconds(to_microseconds(moment)) == moment


def test_the_zone_of_a_datetime_counts() -> None:
    moment = datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert to_microseconds(moment) == 0


def test_no_moment_stays_none_and_one_outside_the_calendar_is_refused() -> None:
    assert from_microseconds(None) is None
    with pytest.raises(OverflowError):
        from_microseconds(2**63 - 1)


def test_now_lies_between_the_clock_before_and_after() -> None:
    before = datetime.now(UTC)
    now = from_microseconds(now_microseconds())
    assert now is not None
    assert before <= now <= datetime.now(UTC)
