from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimstore.encoding.keys import encode_path
from aimstore.errors import CorruptionError
from aimstore.sequences.sequence import Metric, Sequence
from aimstore.sequences.writer import SequenceWriter
from aimstore.storage.layout import read_sequences
from aimstore.storage.memory import MemoryContainer
from aimstore.testing.counting import CountingContainer

Point = tuple[int, float]


def written(points: list[Any], *, per_drain: int = 5) -> tuple[Any, Any]:
    meta, seqs = MemoryContainer("meta"), CountingContainer(MemoryContainer("seqs"))
    writer = SequenceWriter("0" * 24, meta, seqs, recover=False)
    for i, (step, value) in enumerate(points):
        writer.track(value, "loss", step, None, None)
        if i % per_drain == per_drain - 1:
            writer.drain()
    writer.close()
    [info] = read_sequences(meta)
    kind = Metric if info.kind == "number" else Sequence
    return kind(SimpleNamespace(hash="0" * 24), info, lambda: nullcontext(seqs)), seqs


points = st.lists(st.tuples(st.integers(-20, 20), st.floats(allow_nan=False, width=32)), min_size=1, max_size=60)


@settings(max_examples=100, deadline=None)
@given(points=points, start=st.one_of(st.none(), st.integers(-25, 25)), stop=st.one_of(st.none(), st.integers(-25, 25)))
def test_reading_gives_the_last_value_of_each_step_in_order(points: list[Point], start: Any, stop: Any) -> None:
    metric, _ = written(points)
    expected = {
        step: value
        for step, value in sorted(dict(points).items())
        if (start is None or step >= start) and (stop is None or step < stop)
    }
    steps, values = metric.read(start, stop)
    assert steps.tolist() == list(expected)
    assert values.tolist() == list(expected.values())
    assert [(point.step, point.value) for point in metric.points(start, stop)] == list(expected.items())
    assert metric.count == len(dict(points))
    assert metric.last == dict(points)[max(dict(points))]
    assert (metric.min, metric.max) == (min(dict(points).values()), max(dict(points).values()))


def test_a_range_of_an_ordered_sequence_reads_few_chunks() -> None:
    metric, seqs = written([(i * 3, float(i)) for i in range(300_000)], per_drain=100_000)
    chunks = sum(1 for _ in seqs.items())
    assert chunks > 40
    seqs.reset()
    steps, values = metric.read(450_000, 450_030)
    assert steps.tolist() == list(range(450_000, 450_030, 3))
    assert values.tolist() == [step / 3 for step in steps.tolist()]
    assert seqs.counts.read < chunks // 2


@pytest.mark.parametrize("k", [4, 5, 50, 500])
def test_a_sample_keeps_the_ends_and_the_extremes(k: int) -> None:
    values = np.sin(np.arange(10_000) / 50)
    values[7_123] = 99.0
    values[313] = -99.0
    metric, _ = written(list(enumerate(values.tolist())), per_drain=1000)
    steps, sampled = metric.sample(k)
    assert len(steps) <= k
    assert (np.diff(steps) > 0).all()
    assert (sampled == values[steps]).all()
    assert {0, 313, 7_123, 9_999} <= set(steps.tolist())


def test_a_sample_of_few_points_is_all_of_them_and_of_nan_does_not_fail() -> None:
    metric, _ = written([(0, 1.0), (1, 2.0)])
    assert metric.sample(4)[0].tolist() == [0, 1]
    metric, _ = written([(i, float("nan")) for i in range(100)])
    assert len(metric.sample(10)[0]) <= 10
    with pytest.raises(ValueError, match="at least 4"):
        metric.sample(3)


@pytest.mark.parametrize("count", [3, 5000, 20_000])
def test_what_is_read_may_be_written_to(count: int) -> None:
    metric, _ = written([(i, float(i)) for i in range(count)], per_drain=3_000)
    for steps, values in (metric.numpy(), metric.read(1), metric.tail(2), metric.sample(4), metric.sample(4 + count)):
        steps[0], values[0] = -1, -1.0


def test_a_dataframe_has_a_row_for_each_step() -> None:
    metric, _ = written([(3, 1.0), (1, 2.0), (3, 4.0)])
    frame = metric.dataframe()
    assert frame["step"].tolist() == [1, 3]
    assert frame["value"].tolist() == [2.0, 4.0]
    assert frame["epoch"].isna().all()
    assert str(frame["time"].dtype).endswith("UTC]")


def test_objects_are_read_one_by_one_in_step_order() -> None:
    sequence, _ = written([(5, "five"), (1, "one"), (5, "FIVE"), (2, "x" * 50_000)])
    assert [(point.step, point.value[:4]) for point in sequence] == [(1, "one"), (2, "xxxx"), (5, "FIVE")]
    assert [point.value for point in sequence.points(1, 2)] == ["one"]


def test_a_missing_chunk_is_corruption() -> None:
    metric, seqs = written([(i, float(i)) for i in range(20_000)], per_drain=5_000)
    _, second, *_ = seqs.items()
    seqs.delete(second[0])
    with pytest.raises(CorruptionError, match="missing"):
        metric.numpy()


def test_a_missing_large_object_is_corruption() -> None:
    sequence, seqs = written([(0, "x" * 50_000)])
    seqs.delete(encode_path((0, "object", 0)))
    with pytest.raises(CorruptionError, match="point 0 of sequence 0"):
        list(sequence)
