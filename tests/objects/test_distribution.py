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


def test_samples_that_are_not_finite_are_counted_apart() -> None:
    distribution = Distribution([np.nan, 1, np.inf, 3, -np.inf], bins=2)
    assert (distribution.counts.tolist(), distribution.nan, distribution.inf) == ([1, 1], 1, 2)
    assert distribution.edges.tolist() == [1, 2, 3]
    assert codec.decode(codec.encode(distribution)) == distribution
    assert distribution != Distribution([1, 3], bins=2)
    assert repr(distribution) == "<Distribution of 2 in 2 bins from 1 to 3, 1 NaN, 2 infinite>"


def test_where_no_sample_is_finite_the_bins_are_empty() -> None:
    distribution = Distribution([np.nan, np.inf], bins=2)
    assert (distribution.counts.tolist(), distribution.edges.tolist()) == ([0, 0], [0, 0.5, 1])
    assert (distribution.nan, distribution.inf) == (1, 1)


@pytest.mark.parametrize(
    "samples",
    [
        [1.0, np.nextafter(1.0, 2.0)],
        [1e20, 1e20],
        [1e300, np.nextafter(1e300, np.inf)],
        [1.7976931348623157e308] * 3,
        [-1.7976931348623157e308, np.nextafter(-1.7976931348623157e308, 0)],
        [-5e-324, 0.0, 5e-324],
        np.array([2**62, 2**62 + 1]),
        np.array([2**64 - 1, 2**64 - 2], np.uint64),
        np.array([0.1, 0.1000001], np.float16),
    ],
    ids=str,
)
def test_samples_that_are_nearly_equal_are_counted(samples: Any) -> None:
    distribution = Distribution(samples)
    assert len(distribution.counts) == 64
    assert distribution.counts.sum() == len(samples)
    assert distribution.edges[0] <= np.min(samples) <= np.max(samples) <= distribution.edges[-1]
    assert codec.decode(codec.encode(distribution)) == distribution


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="there are no samples"):
        Distribution([])
    with pytest.raises(ValueError, match="more than a float64 can hold"):
        Distribution([-1.7e308, 1.7e308])
    with pytest.raises(TypeError, match=r"samples: an array with masked elements; .*array\.compressed\(\)"):
        Distribution(np.ma.masked_array([1.0, 2.0], [True, False]))
    for number in (-1, 1.5, True):
        with pytest.raises(ValueError, match="are 0 or more, not"):
            Distribution.from_histogram([1], [0, 1], nan=number)  # type: ignore[arg-type]


def test_tensors_are_samples(tensor: Any) -> None:
    for each in (tensor([1.0, 2.0], requires_grad=True), tensor([1.0, 2.0], dtype="torch.bfloat16", device="cuda:0")):
        assert Distribution(each, bins=2) == Distribution([1.0, 2.0], bins=2)


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
