from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aimstore.objects import Distribution
from aimstore.objects.distribution import codec

FINITE = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=40, deadline=None)
@given(samples=arrays.arrays(np.float64, st.integers(1, 50), elements=FINITE), bins=st.integers(1, 20))
def test_it_is_the_histogram_of_numpy(samples: Any, bins: int) -> None:
    counts, edges = np.histogram(samples, bins)
    distribution = Distribution(samples, bins)
    assert distribution.counts.tolist() == counts.tolist()
    assert distribution.edges.tolist() == edges.tolist()
    assert codec.decode(codec.encode(distribution)) == distribution


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint64, bool])
def test_samples_of_any_real_dtype_and_shape(dtype: type) -> None:
    distribution = Distribution(np.array([[0, 1], [1, 1]], dtype), bins=2)
    assert distribution.counts.tolist() == [1, 3]
    assert distribution.edges.tolist() == [0, 0.5, 1]


def test_many_bins_between_coarse_numbers() -> None:
    assert Distribution(np.array([1, 1.001], np.float16), bins=64).counts.sum() == 2
    assert Distribution([3, 3, 3]).counts.sum() == 3


@pytest.mark.parametrize("counts", [np.array([1, 2], np.uint8), np.array([0.5, 0.25], np.float32), [1, 2]])
@pytest.mark.parametrize("edges", [np.array([0, 1, 3], np.int16), np.array([0, 0.5, 0.75], np.float64)])
def test_a_histogram_is_kept_exactly(counts: Any, edges: Any) -> None:
    distribution = Distribution.from_histogram(counts, edges)
    again = codec.decode(codec.encode(distribution))
    for each in (distribution, again):
        for found, given_one in zip(each.numpy(), (counts, edges), strict=True):
            assert found.dtype == np.asarray(given_one).dtype
            assert (found == given_one).all()


def test_it_shares_nothing_and_cannot_be_written() -> None:
    counts, edges = np.array([1]), np.array([0.0, 1.0])
    distribution = Distribution.from_histogram(counts, edges)
    counts[0], edges[0] = 9, -9
    assert (distribution.counts[0], distribution.edges[0]) == (1, 0)
    for each in (*distribution.numpy(), *codec.decode(codec.encode(distribution)).numpy()):
        with pytest.raises(ValueError, match="read-only"):
            each[0] = 5


def test_samples_that_are_not_finite_are_counted_and_refused() -> None:
    with pytest.raises(ValueError, match=r"2 of 3 samples are NaN or infinite; .*samples\[numpy.isfinite\(samples\)\]"):
        Distribution([np.nan, 1, np.inf])
    with pytest.raises(ValueError, match="there are no samples"):
        Distribution([])
    with pytest.raises(ValueError, match="more than a float64 can hold"):
        Distribution([-1.7e308, 1.7e308])


def test_samples_and_bins_of_other_types_are_refused() -> None:
    for samples in (["a"], [1j], [None], np.array(["2020"], "M8[D]")):
        with pytest.raises(TypeError, match="samples are real numbers, not"):
            Distribution(samples)
    for bins in ([0, 1, 2], 2.5, "auto", True):
        with pytest.raises(TypeError, match="from_histogram"):
            Distribution([1], bins)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 bin or more"):
        Distribution([1], 0)


@pytest.mark.parametrize(
    ("counts", "edges", "message"),
    [
        ([1, 2], [0, 1], "n counts have n \\+ 1 edges; the shapes are \\(2,\\) and \\(2,\\)"),
        ([], [0], "n counts"),
        ([[1]], [0, 1], "n counts"),
        ([-1], [0, 1], "negative"),
        ([np.nan], [0, 1], "negative, NaN or infinite"),
        ([1], [1, 1], "greater than the one before"),
        ([1], [0, np.inf], "edges are finite"),
        ([1], [np.nan, 1], "edges are finite"),
    ],
)
def test_a_histogram_that_is_none_is_refused(counts: Any, edges: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Distribution.from_histogram(counts, edges)


def test_equality_and_how_it_is_shown() -> None:
    one = Distribution.from_histogram([1, 2], [0, 0.5, 1])
    assert one == Distribution.from_histogram([1, 2], [0, 0.5, 1])
    assert one != Distribution.from_histogram([1.0, 2.0], [0, 0.5, 1])
    assert one != Distribution.from_histogram([1, 3], [0, 0.5, 1])
    assert one != "x"
    assert len({one, Distribution.from_histogram([1, 2], [0, 0.5, 1])}) == 1
    assert repr(one) == "<Distribution of 3 in 2 bins from 0 to 1>"
