"""Values as bytes: their order is that of the values, within each class."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimstore.index import ordered
from aimstore.index.ordered import UnorderedError

NUMBERS = (
    st.floats(allow_nan=False)
    | st.integers()
    | st.booleans()
    | st.sampled_from([2**53, 2**53 + 1, 10**400, -(10**400)])
)
TEXTS = st.text(max_size=5) | st.text(st.sampled_from("a\x00\x01é\U0001f600"), min_size=60, max_size=80)


@given(NUMBERS, NUMBERS)
def test_numbers_are_in_their_order_and_equal_ones_are_equal(a: float, b: float) -> None:
    x, y = ordered.encode_ordered(a), ordered.encode_ordered(b)
    if a == b:
        assert x == y
    elif a < b:
        assert x <= y
        assert x < y or not (ordered.is_exact(a) and ordered.is_exact(b))


@given(TEXTS, TEXTS)
def test_strings_are_in_their_order(a: str, b: str) -> None:
    x, y = ordered.encode_ordered(a), ordered.encode_ordered(b)
    if a <= b:
        assert x <= y
    if ordered.is_exact(a) or ordered.is_exact(b):
        assert (x < y, x == y) == (a < b, a == b)
    if b.startswith(a):
        assert y.startswith(ordered.encode_beginning(a))
    elif len(ordered.encode_beginning(a)) < ordered.CUT:
        assert not y.startswith(ordered.encode_beginning(a))


@given(st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.integers(-12, 12))
def test_datetimes_are_in_their_order_in_any_zone(naive: datetime, aware: datetime, hours: int) -> None:
    x, y = ordered.encode_ordered(naive), ordered.encode_ordered(aware)
    assert (x < y, x == y) == (naive.replace(tzinfo=UTC) < aware, naive.replace(tzinfo=UTC) == aware)
    assert len(x) == len(y) == 9


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, ordered.FALSE),
        ([], ordered.FALSE),
        ({}, ordered.FALSE),
        (b"", ordered.FALSE),
        (timedelta(0), ordered.FALSE),
        ([0], ordered.OTHER),
        (b"a", ordered.OTHER),
        (1j, ordered.OTHER),
        (np.zeros(0), ordered.OTHER),
        (np.array(5), ordered.OTHER),
        (float("nan"), ordered.NAN),
        (np.float32("nan"), ordered.NAN),
    ],
)
def test_what_is_no_number_text_or_moment_has_a_class_only(value: Any, kind: bytes) -> None:
    assert ordered.encode_ordered(value) == kind


@pytest.mark.parametrize("value", [np.float32(0.5), np.int8(-3), np.bool_(True), np.float64(0.5)])
def test_numpy_scalars_are_numbers(value: Any) -> None:
    assert ordered.encode_ordered(value) == ordered.encode_number(value.item())


def test_what_equals_values_of_another_class_is_refused() -> None:
    with pytest.raises(UnorderedError):
        ordered.encode_ordered(complex(1, 0))
