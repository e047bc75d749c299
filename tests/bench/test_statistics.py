"""Medians, quartiles, ratios, and the words for them."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimstore.bench.formatting import format_number, format_ratio, format_spread
from aimstore.bench.statistics import Spread, times_better, verdict
from aimstore.bench.workload import Better

values = st.lists(st.floats(0.001, 1e9), min_size=1, max_size=20)


def test_one_sample_is_its_own_spread() -> None:
    assert Spread.of([2.0]) == Spread(2.0, 2.0, 2.0, 1)


@given(values)
def test_quartiles_are_in_order_and_around_the_median(samples: list[float]) -> None:
    found = Spread.of(samples)
    assert min(samples) <= found.low <= found.median <= found.high <= max(samples) * (1 + 1e-12)
    assert found.median == pytest.approx(statistics.median(samples))


@given(values, values)
def test_overlapping_goes_both_ways(first: list[float], second: list[float]) -> None:
    assert Spread.of(first).overlaps(Spread.of(second)) is Spread.of(second).overlaps(Spread.of(first))


def test_the_ratio_is_the_median_over_neighbours() -> None:
    assert times_better(Better.MORE, [1.0, 10.0, 100.0], [2.0, 30.0, 100.0]) == 2.0
    assert times_better(Better.LESS, [1.0, 10.0, 100.0], [2.0, 30.0, 100.0]) == 0.5


@pytest.mark.parametrize(
    ("better", "base", "other", "expected"),
    [
        (Better.MORE, [1, 2, 3], [7, 8, 9], "better"),
        (Better.MORE, [7, 8, 9], [1, 2, 3], "worse"),
        (Better.LESS, [1, 2, 3], [7, 8, 9], "worse"),
        (Better.LESS, [7, 8, 9], [1, 2, 3], "better"),
        (Better.MORE, [1, 2, 3], [2, 3, 4], "within noise"),
        (Better.MORE, [1, 1, 1], [1, 1, 1], "within noise"),
        (Better.MORE, [1, 2], [7, 8, 9], "too few samples"),
    ],
)
def test_a_difference_counts_where_the_quartiles_do_not_overlap(
    better: Better, base: list[float], other: list[float], expected: str
) -> None:
    assert verdict(better, Spread.of(base), Spread.of(other)) == expected


@given(values)
def test_nothing_is_better_than_itself(samples: list[float]) -> None:
    assert times_better(Better.MORE, samples, samples) == times_better(Better.LESS, samples, samples) == 1.0


def test_there_is_no_ratio_to_nothing() -> None:
    assert times_better(Better.MORE, [0.0], [1.0]) is None
    assert times_better(Better.LESS, [1.0], []) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.001234, "0.00123"), (1.234, "1.23"), (123.4, "123"), (12_345, "12,300"), (1_234_567, "1.23 M"), (0, "0")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert format_number(value) == text


def test_ratios_are_words() -> None:
    assert format_ratio(2.0) == "2× better"
    assert format_ratio(0.25) == "4× worse"
    assert format_ratio(1.01) == "same"
    assert format_ratio(None) == ""
    assert format_ratio(0.25, "within noise") == "4× worse, noise"
    assert format_ratio(1.01, "within noise") == "same"


def test_spreads_show_quartiles_where_there_are_any() -> None:
    assert format_spread(Spread.of([1.0])) == "1"
    assert format_spread(Spread.of([1.0, 2.0, 3.0])) == "2 (1.5–2.5)"
    assert format_spread(None) == "–"
