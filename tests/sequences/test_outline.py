"""A sample from outlines against the points themselves, however they were chunked, and whatever outlines are missing."""

from __future__ import annotations

import math
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore.encoding.keys import decode_path
from aimstore.encoding.outlines import decode_outline
from aimstore.errors import CorruptionError
from aimstore.sequences.columns import floats
from aimstore.sequences.limits import OutlineSizes, WriterLimits
from aimstore.sequences.outline import extremes, in_fewer
from aimstore.sequences.reader import read_outline
from aimstore.sequences.sequence import Metric
from aimstore.storage.layout import OUTLINE, read_sequences
from aimstore.testing.counting import CountingContainer


def sizes(*, seal: int, piece: int, fan: int) -> WriterLimits:
    """Chunks and outlines so small that few points make several levels of them."""
    outlines = OutlineSizes(piece, chunk_stretches=max(1, seal // piece), min_stretches=2, fan_out=fan)
    return WriterLimits(seal_points=seal, stage_points=2 * seal, outlines=outlines)


def metric_of(held: Any, seqs: Any = None) -> Metric:
    [info] = read_sequences(held.meta)
    seqs = held.seqs if seqs is None else seqs
    return Metric(SimpleNamespace(hash="0" * 24), info, lambda: nullcontext(seqs), held.limits.outlines)


def outlines(seqs: Any) -> list[bytes]:
    return [key for key, _ in seqs.items() if decode_path(key)[1] == OUTLINE]


def levels(seqs: Any) -> set[Any]:
    return {decode_path(key)[2] for key in outlines(seqs)}


def naive_extremes(points: list[tuple[int, float]]) -> tuple[Any, Any]:
    real = [point for point in points if not math.isnan(point[1])] or points[:1]
    return min(real, key=lambda point: point[1]), max(real, key=lambda point: point[1])


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(np.array(a), np.array(b), equal_nan=True))


def check_outline(held: Any, least: int, points: list[tuple[int, float]]) -> None:
    outline = read_outline(held.seqs, 0, len(points), least, held.limits.outlines)
    if outline is None:
        return
    for each in (outline, in_fewer(outline, 1 + least // 2)):
        at = 0
        for count, low_step, low, high_step, high in each.stretches.tolist():
            least_point, greatest_point = naive_extremes(points[at : at + count])
            assert same((low_step, low), least_point)
            assert same((high_step, high), greatest_point)
            at += count
        assert at == each.count == len(points)
        assert same((each.first_step, each.first), points[0])
        assert same((each.last_step, each.last), points[-1])


def check_sample(metric: Metric, k: int, points: list[tuple[int, float]]) -> None:
    steps, values = metric.sample(k)
    assert (steps.dtype, values.dtype) == (np.int64, np.float64)
    assert len(steps) == len(values) <= k
    known = dict(points)
    assert same([known[step] for step in steps.tolist()], values)
    assert (np.diff(steps) > 0).all()
    if points:
        assert {points[0][0], points[-1][0]} <= set(steps.tolist())
        least_point, greatest_point = naive_extremes(points)
        if not math.isnan(least_point[1]):
            assert {least_point[1], greatest_point[1]} <= set(values.tolist())


values = st.one_of(
    st.floats(width=64),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0]),
    st.integers(-(2**70), 2**70),
    st.booleans(),
)
some = st.one_of(st.lists(values, min_size=1, max_size=40), st.lists(st.floats(-9, 9), min_size=20, max_size=120))
operations = st.lists(
    st.one_of(some, some, st.sampled_from(["drain", "seal", "reopen", "killed"])), min_size=1, max_size=12
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    operations=operations,
    seal=st.integers(2, 12),
    piece=st.integers(1, 4),
    fan=st.integers(2, 4),
    closed=st.booleans(),
    data=st.data(),
)
def test_a_sample_keeps_the_shape_of_any_ordered_metric(
    writing: Any, operations: list[Any], seal: int, piece: int, fan: int, closed: bool, data: Any
) -> None:
    held = writing(sizes(seal=seal, piece=piece, fan=fan))
    points: list[tuple[int, Any]] = []
    for operation in operations:
        if operation == "drain":
            held.writer.drain()
        elif operation == "seal":
            held.writer.seal_largest(1 << 40)
        elif operation == "killed":
            held.writer.flush()
            held.again(recover=True)
        elif operation == "reopen":
            held.writer.close()
            held.again(recover=False)
        else:
            for value in operation:
                step = points[-1][0] + 1 + len(points) % 3 if points else -5
                held.writer.track(value, "loss", step, None, None)
                points.append((step, value))
    held.writer.close() if closed else held.writer.flush()
    if not points:
        return
    exact = list(zip([step for step, _ in points], floats([value for _, value in points]).tolist(), strict=True))
    for key in data.draw(st.sets(st.sampled_from(outlines(held.seqs)))) if outlines(held.seqs) else ():
        held.seqs.delete(key)
    metric = metric_of(held)
    for size in (1, 2, 5, 20):
        check_outline(held, size, exact)
    for k in (4, 5, 9, 30, 1000):
        check_sample(metric, k, exact)
    for n in (0, 1, 7, 1000):
        assert same(metric.tail(n)[0], [step for step, _ in exact[max(0, len(exact) - n) :]])
        assert same(metric.tail(n)[1], [value for _, value in exact[max(0, len(exact) - n) :]])


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    tracked=st.lists(st.tuples(st.integers(-9, 30), st.floats(width=32)), min_size=1, max_size=80),
    seen=st.integers(0, 80),
    sealed=st.booleans(),
)
def test_a_metric_that_is_out_of_order_or_loses_its_order_is_sampled_from_all_of_it(
    writing: Any, tracked: list[Any], seen: int, sealed: bool
) -> None:
    held = writing(sizes(seal=4, piece=2, fan=2))
    ordered = sorted(dict(tracked[:seen]).items())
    tracked = ordered + tracked[seen:]
    metric = None
    for i, (step, value) in enumerate(tracked):
        held.writer.track(value, "loss", step, None, None)
        if i % 3 == 0:
            held.writer.flush()
        if i == max(0, len(ordered) - 1):
            held.writer.flush()
            metric = metric_of(held)  # as it was then; reading shows what is there now
    held.writer.flush()
    if sealed:
        held.writer.seal_largest(1 << 40)
    points = sorted(dict(tracked).items())
    assert metric is not None
    for k in (4, 9, 30):
        check_sample(metric, k, points)
    for n in (1, 5, 100):
        assert same(metric.tail(n)[0], [step for step, _ in points[-n:]])
        assert same(metric.tail(n)[1], [value for _, value in points[-n:]])
    assert same(metric.read(0, 10)[0], [step for step, _ in points if 0 <= step < 10])


def test_a_point_that_another_has_replaced_meanwhile_is_not_sampled(writing: Any) -> None:
    held = writing(sizes(seal=8, piece=2, fan=2))
    points = [(i, float(i)) for i in range(100)]
    for step, value in points:
        held.writer.track(value, "loss", step, None, None)
    held.writer.flush()
    metric = metric_of(held)
    for step, value in [(100, 999.0), (100, 0.0), (101, 1.0)]:
        held.writer.track(value, "loss", step, None, None)
    held.writer.flush()
    check_sample(metric, 8, [*points, (100, 0.0), (101, 1.0)])


def test_what_a_sample_reads_does_not_grow_with_the_metric(writing: Any) -> None:
    k, read = 50, {}
    for count in (50_000, 100_000, 200_000, 400_000):
        held = writing(sizes(seal=64, piece=8, fan=16))
        for i in range(count):
            held.writer.track(math.sin(i / 900), "loss", None, None, None)
        held.writer.close()
        seqs = CountingContainer(held.seqs)
        metric = metric_of(held, seqs)
        seqs.reset()
        assert len(metric.sample(k)[0]) > k // 2
        read[count] = seqs.counts.read
    assert max(read.values()) <= 2 * k, read


@pytest.mark.parametrize("count", [500, 512, 513, 1025, 4999])
def test_the_outlines_of_a_metric_that_was_closed_cover_it(writing: Any, count: int) -> None:
    held = writing(sizes(seal=8, piece=2, fan=4))
    for i in range(count):
        held.writer.track(float(i), "loss", None, None, None)
    held.writer.close()
    ends: dict[Any, int] = {}
    for key in outlines(held.seqs):
        _, _, level, ordinal = decode_path(key)
        ends[level] = ordinal + decode_outline(held.seqs.get(key)).count
    assert len(ends) >= 4
    assert all(end > count - 8 for end in ends.values()), ends  # but for a chunk that is a stretch by itself
    assert ends[max(ends)] == count


def test_reading_a_range_or_the_end_reads_only_its_chunks(writing: Any) -> None:
    held = writing(sizes(seal=64, piece=8, fan=16))
    for i in range(64 * 200):
        held.writer.track(float(i), "loss", None, None, None)
    held.writer.close()
    seqs = CountingContainer(held.seqs)
    metric = metric_of(held, seqs)
    chunks = sum(1 for _ in held.seqs.items()) - len(outlines(held.seqs))
    assert chunks > 99
    decoded: list[int] = []

    def counted(data: bytes, *arguments: Any) -> Any:
        decoded.append(len(data))
        return decode_chunk(data, *arguments)

    from aimstore.sequences import columns

    decode_chunk = columns.decode_chunk
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(columns, "decode_chunk", counted)
        seqs.reset()
        assert metric.tail(100)[0].tolist() == list(range(12_700, 12_800))
        assert seqs.reset().read <= 4
        assert len(decoded) <= 3
        decoded.clear()
        assert metric.read(5000, 5010)[0].tolist() == list(range(5000, 5010))
        assert seqs.reset().read <= 2 * math.log2(12_800) + 4
        assert len(decoded) <= 2


def test_short_metrics_have_no_outlines_and_long_ones_several_levels(writing: Any) -> None:
    held = writing()
    for i in range(500):
        held.writer.track(float(i), "loss", None, None, None)
        held.writer.track("text", "words", None, None, None)
    held.writer.close()
    assert outlines(held.seqs) == []
    held = writing(sizes(seal=8, piece=2, fan=2))
    for i in range(500):
        held.writer.track(float(i), "loss", None, None, None)
    held.writer.close()
    assert levels(held.seqs) >= {0, 1, 2, 3, 4}


def test_a_refused_batch_loses_no_outline(writing: Any) -> None:
    found = []
    for broken in (False, True):
        held = writing(sizes(seal=8, piece=2, fan=2))
        for i in range(300):
            held.writer.track(float(i), "loss", None, None, None)
            if i % 5 == 0:
                held.writer.drain()
            if broken and i % 50 == 0:
                held.seqs.broken = True
                held.writer.drain()
                held.seqs.broken = False
                held.writer.drain()
        held.writer.close()
        found.append(outlines(held.seqs))
    assert found[0] == found[1]


def test_a_damaged_outline_is_corruption(writing: Any) -> None:
    held = writing(sizes(seal=8, piece=2, fan=2))
    for i in range(300):
        held.writer.track(float(i), "loss", None, None, None)
    held.writer.close()
    for key in outlines(held.seqs):
        held.seqs.put(key, held.seqs.get(key)[:-1] + b"\xff")
    with pytest.raises(CorruptionError, match="outline"):
        metric_of(held).sample(10)


def test_a_tail_of_fewer_than_no_points_is_refused(writing: Any) -> None:
    held = writing()
    held.writer.track(1.0, "loss", None, None, None)
    held.writer.close()
    with pytest.raises(ValueError, match="0 points or more"):
        metric_of(held).tail(-1)


def test_a_stretch_of_only_nan_is_its_first_point() -> None:
    nan = math.nan
    low, high = extremes(np.array([1.0, nan, nan, nan, 2.0, 2.0, nan]), np.array([0, 2, 4, 6]))
    assert (low.tolist(), high.tolist()) == ([0, 2, 4, 6], [0, 2, 4, 6])
