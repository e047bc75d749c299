from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore.encoding.chunks import read_header
from aimstore.encoding.keys import decode_path
from aimstore.errors import ClosedError, EncodingError, SequenceTypeError, StorageError
from aimstore.sequences.limits import WriterLimits
from aimstore.sequences.reader import load_object, read_points
from aimstore.sequences.summary import summarize
from aimstore.storage.layout import read_sequences
from aimstore.testing.waiting import WAIT_SECONDS


def track(
    writer: Any, value: Any, name: str | None = "loss", step: Any = None, epoch: Any = None, context: Any = None
) -> None:
    writer.track(value, name, step, epoch, context)


def track_many(writer: Any, count: int) -> None:
    for i in range(count):
        track(writer, float(i))


def stored(writing: Any, sequence: int = 0) -> Any:
    return read_points(writing.seqs, sequence)


def chunks(writing: Any, sequence: int = 0) -> list[tuple[int, int]]:
    found = []
    for key, data in writing.seqs.items():
        path = decode_path(key)
        if path[0] == sequence and isinstance(path[1], int):
            found.append((path[1], read_header(data).count))
    return found


def test_tracked_values_are_stored_by_a_flush(writing: Any) -> None:
    held = writing()
    for i in range(10):
        track(held.writer, i / 7)
    assert stored(held) is None
    held.writer.flush()
    columns = stored(held)
    assert columns.steps.tolist() == list(range(10))
    assert columns.values.tolist() == [i / 7 for i in range(10)]


numbers = st.one_of(
    st.floats(width=64),
    st.integers(-(2**70), 2**70),
    st.booleans(),
    st.just(-0.0),
)
points = st.tuples(
    numbers,
    st.one_of(st.none(), st.integers(-50, 50), st.sampled_from([-(2**63), 2**63 - 1])),
    st.one_of(st.none(), st.integers(-(2**63) + 1, 2**63 - 1)),
)
operations = st.lists(
    st.one_of(st.lists(points, min_size=1, max_size=30), st.sampled_from(["drain", "seal", "reopen"])), max_size=12
)


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return bool(a == b)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(operations=operations, seal=st.integers(3, 40), vector=st.sampled_from([2, 1000]))
def test_any_numbers_come_back_in_order_and_type(writing: Any, operations: list[Any], seal: int, vector: int) -> None:
    held = writing(WriterLimits(seal_points=seal, stage_points=2 * seal, list_points=vector - 1))
    expected: list[tuple[Any, int, Any]] = []
    for operation in operations:
        if operation == "drain":
            held.writer.drain()
        elif operation == "seal":
            held.writer.seal_largest(1 << 40)
        elif operation == "reopen":
            held.writer.flush()
            held.again(recover=bool(len(expected) % 2))
        else:
            for value, step, epoch in operation:
                greatest = max((s for _, s, _ in expected), default=-1)
                if step is None and greatest == 2**63 - 1:
                    with pytest.raises(EncodingError, match="after which there is none"):
                        track(held.writer, value, step=step, epoch=epoch)
                    continue
                track(held.writer, value, step=step, epoch=epoch)
                if step is None:
                    step = greatest + 1
                expected.append((value, step, epoch))
    held.writer.close()
    columns = stored(held)
    if not expected:
        assert columns is None
        return
    values = columns.values if isinstance(columns.values, list) else columns.values.tolist()
    assert len(values) == len(expected)
    assert all(same(a, b) for a, (b, _, _) in zip(values, expected, strict=True))
    assert columns.steps.tolist() == [step for _, step, _ in expected]
    epochs = [-(2**63)] * len(values) if columns.epochs is None else columns.epochs.tolist()
    assert epochs == [-(2**63) if epoch is None else epoch for _, _, epoch in expected]
    [info] = read_sequences(held.meta)
    exact = summarize(columns, is_numeric=True)
    assert info.summary is not None
    assert all(same(a, b) or a == b == 0 for a, b in zip(info.summary, exact, strict=True))


def test_long_sequences_are_sealed_into_chunks_of_about_4096(writing: Any) -> None:
    held = writing()
    for round_ in range(100):
        for i in range(137):
            track(held.writer, float(i * round_))
        held.writer.drain()
    held.writer.close()
    found = chunks(held)
    assert sum(count for _, count in found) == 13_700
    assert [start for start, _ in found] == [sum(count for _, count in found[:i]) for i in range(len(found))]
    assert all(4096 <= count < 8192 for _, count in found[:-1])


def test_small_drains_are_stored_at_once_and_replaced_when_sealed(writing: Any) -> None:
    held = writing()
    for i in range(3):
        track(held.writer, float(i))
        held.writer.drain()
    assert chunks(held) == [(0, 1), (1, 1), (2, 1)]
    held.writer.close()
    assert chunks(held) == [(0, 3)]


def test_what_is_held_for_sealing_can_be_released_early(writing: Any) -> None:
    held = writing()
    for name in ("a", "b"):
        for _ in range(2):
            track(held.writer, 1.0, name)
            held.writer.drain()
    assert held.writer.unsealed_bytes > 0
    held.writer.seal_largest(1 << 30)
    assert held.writer.unsealed_bytes == 0
    assert chunks(held, 0) == chunks(held, 1) == [(0, 2)]


def test_a_failed_drain_keeps_the_points_and_is_said_once(writing: Any, caplog: pytest.LogCaptureFixture) -> None:
    held = writing()
    track(held.writer, 1.0)
    held.seqs.broken = True
    with caplog.at_level(logging.WARNING):
        held.writer.drain()
        held.writer.drain()
    assert len(caplog.records) == 1
    with pytest.raises(StorageError, match="no space left"):
        track(held.writer, 2.0)
    track(held.writer, 3.0)
    with pytest.raises(StorageError, match="no space left"):
        held.writer.flush()
    with pytest.raises(StorageError):
        held.writer.close()
    held.seqs.broken = False
    track(held.writer, 4.0)
    held.writer.close()
    assert stored(held).values.tolist() == [1.0, 3.0, 4.0]


def test_a_failed_summary_does_not_store_points_twice(writing: Any) -> None:
    held = writing()
    track(held.writer, 1.0)
    held.writer.flush()
    track(held.writer, 2.0)
    held.meta.broken = True
    held.writer.drain()
    held.meta.broken = False
    held.writer.close()
    assert stored(held).values.tolist() == [1.0, 2.0]
    [info] = read_sequences(held.meta)
    assert info.count == 2


def test_definition_is_written_before_points_and_summary_after(writing: Any) -> None:
    held = writing()
    track(held.writer, 1.0)
    held.seqs.broken = True
    held.writer.drain()
    [info] = read_sequences(held.meta)
    assert info.name == "loss"
    assert info.summary is None


def test_past_the_bound_tracking_drains(writing: Any) -> None:
    held = writing(WriterLimits(pending_points=500))
    for i in range(3000):
        track(held.writer, float(i))
    assert stored(held) is not None
    held.seqs.broken = True
    with pytest.raises(StorageError):
        track_many(held.writer, 3000)
    held.seqs.broken = False
    held.writer.close()
    assert len(stored(held).steps) >= 3000


def test_past_the_bound_of_bytes_objects_are_drained(writing: Any) -> None:
    held = writing(WriterLimits(pending_bytes=1000))
    for _ in range(30):
        track(held.writer, "x" * 100, "text")
    assert len(stored(held).steps) >= 9
    held.writer.close()
    assert len(stored(held).steps) == 30
    assert held.writer._object_bytes == 0


@contextmanager
def halted_drain(held: Any) -> Iterator[None]:
    """A thread is in the midst of a drain, and the engine does not answer until the block ends."""
    track(held.writer, 0.0)
    held.seqs.going.clear()
    draining = Thread(target=held.writer.drain)
    draining.start()
    try:
        assert held.seqs.waits.wait(WAIT_SECONDS)
        yield
    finally:
        held.seqs.going.set()
        draining.join()


@pytest.mark.parametrize("value", [1.0, "text", {"loss": 1.0, "text": "a"}], ids=["number", "object", "dict"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_no_value_waits_for_a_drain_that_is_going_on(writing: Any, value: Any, known: bool) -> None:
    held = writing()
    name = None if isinstance(value, dict) else "value"
    if known:
        track(held.writer, value, name)
    with halted_drain(held):
        tracking = Thread(target=track, args=(held.writer, value, name), daemon=True)
        tracking.start()
        tracking.join(WAIT_SECONDS)
        assert not tracking.is_alive()
    held.writer.close()
    [*found] = read_sequences(held.meta)
    assert {info.name: info.count for info in found if info.name in ("value", "text")}.popitem()[1] == 1 + known


def test_past_the_bound_tracking_waits_for_the_drain_that_is_going_on(writing: Any) -> None:
    limits = WriterLimits(pending_points=5000)
    held = writing(limits)
    with halted_drain(held):
        tracking = Thread(target=track_many, args=(held.writer, 50_000), daemon=True)
        tracking.start()
        while held.writer._fill() <= 1:
            assert tracking.is_alive()
        tracking.join(0.2)
        assert tracking.is_alive()
        assert held.writer._fill() <= 1 + 2 * limits.check_points / limits.pending_points
    tracking.join(WAIT_SECONDS)
    held.writer.close()
    assert stored(held).values.tolist() == [0.0, *map(float, range(50_000))]


@pytest.mark.parametrize("size", [10, 20_000])
def test_objects_small_and_large_come_back(writing: Any, size: int) -> None:
    held = writing()
    sent = [np.frombuffer(os.urandom(size), np.uint8) for _ in range(5)]
    for value in sent:
        track(held.writer, value, "array")
        held.writer.drain()
    held.writer.close()
    columns = stored(held)
    for ordinal, (value, data) in enumerate(zip(sent, columns.values, strict=True)):
        assert (load_object(held.seqs, 0, ordinal, data) == value).all()
    assert [isinstance(data, bytes) for data in columns.values] == [size < 16_384] * 5


def test_chunks_of_objects_are_bounded_in_bytes(writing: Any) -> None:
    held = writing()
    for _ in range(500):
        track(held.writer, "x" * 8000, "text")
    held.writer.close()
    assert all(len(data) < 2 * 1024 * 1024 for _, data in held.seqs.items())
    assert sum(count for _, count in chunks(held)) == 500


def test_contexts_are_equal_in_any_order_of_keys(writing: Any) -> None:
    held = writing()
    track(held.writer, 1.0, context={"a": 1, "b": [1, 2]})
    track(held.writer, 2.0, context={"b": [1, 2], "a": 1})
    track(held.writer, 3.0, context={"b": (1, 2), "a": np.int64(1)})
    track(held.writer, 4.0, context={})
    track(held.writer, 5.0)
    held.writer.close()
    assert [(info.context, info.count) for info in read_sequences(held.meta)] == [({"a": 1, "b": [1, 2]}, 3), ({}, 2)]


def test_a_dict_gives_a_value_to_each_name(writing: Any) -> None:
    held = writing()
    track(held.writer, {"loss": 1.0, "accuracy": 2, "note": {"nested": [1]}}, None, step=7)
    held.writer.close()
    infos = {info.name: info for info in read_sequences(held.meta)}
    assert {name: info.kind for name, info in infos.items()} == {
        "loss": "number",
        "accuracy": "number",
        "note": "value",
    }
    assert {info.last_step for info in infos.values()} == {7}


def test_a_bad_value_in_a_dict_leaves_the_others_untracked(writing: Any) -> None:
    held = writing()
    with pytest.raises(EncodingError, match="bad"):
        track(held.writer, {"good": 1.0, "bad": object()}, None)
    held.writer.close()
    assert not list(read_sequences(held.meta))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"value": 1.0, "name": None}, "needs a name"),
        ({"value": 1.0, "name": ""}, "needs a name"),
        ({"value": {"a": 1}, "name": "b"}, "leave `name` out"),
        ({"value": 1.0, "step": 1.5}, "the step of sequence 'loss' is an int"),
        ({"value": 1.0, "step": "3"}, "is an int"),
        ({"value": 1.0, "step": True}, "is an int"),
        ({"value": 1.0, "step": 2**63}, "64 bits"),
        ({"value": 1.0, "epoch": 0.5}, "the epoch of sequence 'loss' is an int"),
        ({"value": 1.0, "context": "train"}, "is a dict with str keys"),
        ({"value": 1.0, "context": {1: 2}}, "is a dict with str keys"),
        ({"value": lambda: 0, "name": "f"}, "f"),
        ({"value": [1, {"deep": object()}], "name": "f"}, "deep"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_tracked(writing: Any, arguments: dict[str, Any], text: str) -> None:
    held = writing()
    with pytest.raises(EncodingError, match=text):
        track(held.writer, **arguments)
    held.writer.close()
    assert not list(read_sequences(held.meta))


def test_a_value_of_another_kind_is_refused(writing: Any) -> None:
    held = writing()
    track(held.writer, 1.0)
    with pytest.raises(SequenceTypeError, match=r"'loss' .*'number'.*'text'"):
        track(held.writer, "words")
    held.writer.close()
    assert stored(held).values.tolist() == [1.0]


@pytest.mark.parametrize(
    "value", [np.float32(0.5), np.float64(0.5), np.array(0.5), np.int8(3), np.bool_(True), 7, True]
)
def test_scalars_of_every_library_are_numbers(writing: Any, value: Any) -> None:
    held = writing()
    track(held.writer, value)
    held.writer.close()
    [info] = read_sequences(held.meta)
    assert info.kind == "number"
    assert info.last == value


def test_steps_of_numpy_are_taken(writing: Any) -> None:
    held = writing()
    track(held.writer, 1.0, step=np.int32(9))
    held.writer.close()
    assert stored(held).steps.tolist() == [9]


def test_after_close_everything_is_refused(writing: Any) -> None:
    held = writing()
    track(held.writer, 1.0)
    held.writer.close()
    held.writer.close()
    for _ in range(2):
        with pytest.raises(ClosedError, match="is closed"):
            track(held.writer, 1.0)
    with pytest.raises(ClosedError):
        held.writer.flush()


def test_repeated_and_unordered_steps_have_an_exact_summary_after_close(writing: Any) -> None:
    held = writing()
    for step, value in [(5, 100.0), (1, 1.0), (5, 2.0), (3, math.nan)]:
        track(held.writer, value, step=step)
    held.writer.close()
    [info] = read_sequences(held.meta)
    assert info.summary is not None
    assert info.summary[:7] == (4, 3, False, 1, 5, 2.0, 1.0)
    assert info.max == 2.0
