"""Which kind a sequence is of, and which values belong to it; which contexts are one, and which steps are steps."""

from __future__ import annotations

import enum
import logging
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aimstore import Image, Repo, Run, Text
from aimstore.errors import EncodingError, SequenceTypeError
from aimstore.sequences.contexts import context_key
from aimstore.sequences.reader import read_points
from aimstore.storage.layout import read_sequences

Values = Callable[..., list[tuple[int, Any]]]


class Tensor:
    """What a tensor of PyTorch is: it has a shape, gives its one element, and no array while it needs its gradient."""

    requires_grad = True
    dtype = "torch.bfloat16"

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def item(self) -> float:
        return float(self.values.item())

    def detach(self) -> Tensor:
        detached = Tensor(self.values)
        detached.requires_grad = False
        return detached

    def float(self) -> Tensor:
        self.dtype = "torch.float32"
        return self

    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        assert not self.requires_grad
        assert self.dtype == "torch.float32"
        return self.values


NUMBERS: list[Any] = [
    Tensor(0.5),
    Tensor([0.5]),
    Tensor([[[0.5]]]),
    np.array(0.5),
    np.array([0.5]),
    np.array([[0.5]], np.float16),
    np.longdouble(0.5),
    np.array([0.5], np.longdouble),
    [0.5],
    (0.5,),
    [[0.5]],
    [np.float32(0.5)],
    [Tensor([0.5])],
]


@pytest.mark.parametrize("value", NUMBERS, ids=lambda value: type(value).__name__)
def test_one_number_of_any_shape_is_a_number(repo: Repo, values: Values, value: Any) -> None:
    with Run(repo=repo) as run:
        run.track(value, name="loss")
        run.track({"loss": value})
    assert [(metric.name, metric.last) for metric in run.metrics()] == [("loss", 0.5)]
    assert values(run, "loss") == [(0, 0.5), (1, 0.5)]
    assert [type(found) for _, found in values(run, "loss")] == [float, float]


@pytest.mark.parametrize(
    "value", [np.array([1 + 2j]), np.array(["a"]), ["a"], [], [[]], [0.5, 0.5], [None], np.zeros(0)]
)
def test_what_is_no_one_number_is_none(repo: Repo, value: Any) -> None:
    with Run(repo=repo) as run:
        run.track(value, name="x")
    assert run.metrics() == []
    assert run.sequences()[0].count == 1


@pytest.mark.parametrize("value", [np.ma.masked, np.ma.masked_array([1.0], [True]), np.ma.masked_array(1.0, True)])
def test_a_masked_number_is_nan(repo: Repo, values: Values, value: Any) -> None:
    with Run(repo=repo) as run:
        run.track(value, name="loss")
        run.track(np.ma.masked_array([2.0]), name="loss")
    [(_, first), (_, second)] = values(run, "loss")
    assert math.isnan(first)
    assert second == 2.0


def test_masked_values_are_not_stored(repo: Repo) -> None:
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    with Run(repo=repo) as run:
        for action in (
            lambda: run.track(masked, name="x"),
            lambda: run.track([masked, 1], name="x"),
            lambda: run.set("x", masked),
            lambda: run.set("x", {"y": np.ma.masked}),
            lambda: run.track(1.0, name="x", context={"a": np.ma.masked}),
        ):
            with pytest.raises(EncodingError, match="mask"):
                action()
        assert (run[...], run.sequences()) == ({}, [])


SCALARS: list[tuple[Any, Any, type]] = [
    (Tensor(0.1), 0.1, float),
    (np.array(5), 5, np.int64),
    (np.array(0.5, np.float32), 0.5, np.float32),
    (np.array(True), True, np.bool_),
    (np.array("text"), "text", np.str_),
    (np.longdouble(0.5), 0.5, float),
    (np.array(0.5, np.longdouble), 0.5, float),
    (np.ma.masked_array(5), 5, np.int64),
]


@pytest.mark.parametrize(("value", "scalar", "kind"), SCALARS, ids=lambda value: type(value).__name__)
def test_a_value_without_dimensions_is_its_scalar(repo: Repo, value: Any, scalar: Any, kind: type) -> None:
    with Run(repo=repo) as run:
        run["lr"] = value
        run["nested"] = {"list": [value, (value,)]}
    for found in (run["lr"], run["nested", "list", 0], run["nested", "list", 1, 0]):
        assert found == scalar
        assert type(found) is kind
    assert repo.query_runs(f"run.lr == {scalar!r} and run.nested.list[0] == {scalar!r}").count() == 1


def test_a_long_double_that_no_float_is_compares_as_the_nearest(repo: Repo) -> None:
    third = np.longdouble(1) / 3
    with Run(repo=repo) as run:
        run["x"] = third
    assert run["x"] == third
    assert repo.query_runs(f"run.x == {1 / 3!r} and run.x < 0.4").count() == 1
    assert repo.query_runs("run.x > 0.4").count() == 0
    assert repo.query_runs().dataframe(params=True)["x"].dtype == np.float64


def test_a_list_of_objects_is_of_their_kind(repo: Repo, values: Values) -> None:
    first, second = Image(np.eye(2)), Image(np.eye(3))
    with Run(repo=repo) as run:
        run.track([first, second], name="samples")
        run.track(first, name="samples")
        run.track((second,), name="samples")
        run.track([], name="samples")
        run.track([first, Text("a")], name="mixed")
        with pytest.raises(SequenceTypeError):
            run.track([first, 1], name="samples")
    assert {each.name: each.kind for each in run.sequences()} == {"samples": "image", "mixed": "value"}
    assert values(run, "samples") == [(0, [first, second]), (1, first), (2, (second,)), (3, [])]
    assert repo.query_sequences(kind="image").count() == 1


def test_arrays_and_lists_with_one_element_belong_to_those_with_several(repo: Repo, values: Values) -> None:
    with Run(repo=repo) as run:
        for value in ([1.0, 2.0], [3.0]):
            run.track(np.array(value), name="arrays")
            run.track(value, name="lists")
        for name in ("arrays", "lists"):
            with pytest.raises(SequenceTypeError):
                run.track(4.0, name=name)
    assert [found.tolist() for _, found in values(run, "arrays")] == [[1, 2], [3]]
    assert values(run, "lists") == [(0, [1, 2]), (1, [3])]


TELLING: list[tuple[Any, str]] = [
    (1.5, "number"),
    (3, "number"),
    ([2.5], "number"),
    ("text", "text"),
    (Text("a"), "text"),
    (np.zeros(3), "array"),
    ([1, 2], "value"),
]


@pytest.mark.parametrize("written", ["pending", "flushed", "closed"])
@pytest.mark.parametrize(("value", "kind"), TELLING, ids=lambda value: str(value)[:9])
def test_none_does_not_decide_the_kind(repo: Repo, value: Any, kind: str, written: str) -> None:
    run = Run(repo=repo)
    run.track(None, name="x", step=5)
    run.track({"x": None})
    if written != "pending":
        run.flush()
        assert [each.kind for each in run.sequences()] == ["value"]
    if written == "closed":
        run.close()
        run = Run(run.hash, repo=repo)
    run.track(value, name="x")
    run.track(None, name="x")
    run.track({"x": value}, step=0)
    run.flush()
    for _ in range(2):
        [found] = run.sequences()
        assert (found.kind, found.count) == (kind, 5)
        points = [(point.step, point.value) for point in found]
        assert [step for step, _ in points] == [0, 5, 6, 7, 8]
        empty = [stored for step, stored in points if step in (5, 6, 8)]
        if kind == "number":
            assert all(type(each) is float and math.isnan(each) for each in empty)
            [metric] = run.metrics()
            assert (metric.min, metric.max) == (points[0][1], points[3][1])
            assert math.isnan(metric.last)
            assert np.isnan(metric.numpy()[1]).tolist() == [False, True, True, False, True]
        else:
            assert empty == [None] * 3
        run.close()


def test_none_in_numbers_that_were_killed_is_recovered_as_nan(repo: Repo, python: Callable[..., Any]) -> None:
    process = python("""
        import os, signal
        run = Run(repo=".")
        run.track(None, name="x")
        run.flush()
        run.track(2.5, name="x")
        run.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    process.wait()
    assert repo.reindex().failed == {}
    [metric] = [metric for run in repo.iter_runs() for metric in run.metrics()]
    assert (metric.count, metric.min, metric.max, metric.last) == (2, 2.5, 2.5, 2.5)


def test_a_kind_that_is_settled_while_a_drain_writes_is_defined_by_the_next(
    writing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = writing()
    held.writer.track(None, "x", None, None, None)
    write = held.seqs._write
    first = iter([1])

    def during(batch: Any) -> None:
        write(batch)
        if next(first, None):
            held.writer.track(2.5, "x", None, None, None)

    monkeypatch.setattr(held.seqs, "_write", during)
    held.writer.drain()
    held.writer.close()
    [info] = read_sequences(held.meta)
    assert (info.kind, info.count, info.last, info.min) == ("number", 2, 2.5, 2.5)


def test_a_surprise_is_said_once(repo: Repo, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), Run(repo=repo) as run:
        for _ in range(3):
            run.track([0.5], name="loss")
            run.track([0.5, 0.6], name="pair")
            run.track(0.5, name="plain")
    assert [each.getMessage().partition(": ")[2] for each in caplog.records] == [
        "its values are lists with one element, and are taken as numbers",
        "its values are lists of several numbers; it is no metric, and has no minimum or last value",
    ]


# Contexts


class Subset(enum.Enum):
    TRAIN = "train"


def test_nan_is_one_context(repo: Repo) -> None:
    with Run(repo=repo) as run:
        for _ in range(3):
            run.track(1.0, name="loss", context={"lr": float("nan"), "more": [np.float64("nan")]})
        assert len(run._session.writer._series) == 0  # type: ignore[union-attr]
    [metric] = run.metrics()
    assert metric.count == 3
    assert run.get_metric("loss", {"lr": float("nan"), "more": (float("nan"),)}) is not None


CONTEXTS: list[Any] = [1, 1.0, True, 0, 0.0, False, "1", None, [1], [1.0], {"a": 1}, {"a": True}]


@pytest.mark.parametrize("rounds", [1, 2])
def test_contexts_of_other_types_are_told_apart_and_found_as_they_were_given(repo: Repo, rounds: int) -> None:
    with Run(repo=repo) as run:
        for _ in range(rounds):
            for number, value in enumerate(CONTEXTS):
                run.track(float(number), name="loss", context={"a": value})
    for found in (run, repo.get_run(run.hash)):
        assert len(found.metrics()) == len(CONTEXTS)
        for number, value in enumerate(CONTEXTS):
            metric = found.get_metric("loss", {"a": value})
            assert metric is not None
            assert (metric.last, metric.count) == (number, rounds)


def test_where_no_context_is_of_the_same_types_equal_ones_are_found(repo: Repo) -> None:
    with Run(repo=repo) as run:
        run.track(1.0, name="loss", context={"fold": 1})
        run.track(2.0, name="loss", context={"fold": np.int32(1)})
    for value in (1.0, True, np.int8(1), np.array(1), Tensor(1)):
        metric = run.get_metric("loss", {"fold": value})
        assert metric is not None
        assert metric.count == 2


def test_tuples_lists_and_plain_forms_are_equal_after_a_round_trip(repo: Repo) -> None:
    context = {"sizes": (1, (2, 3)), "subset": Subset.TRAIN, "set": {2, 1}}
    with Run(repo=repo) as run:
        run.track(1.0, name="loss", context=context)
        run.track(1.0, name="loss", context={"subset": "train", "set": [1, 2], "sizes": [1, [2, 3]]})
    [metric] = run.metrics()
    assert metric.context == {"sizes": [1, [2, 3]], "subset": "train", "set": [1, 2]}
    for given in (context, metric.context):
        assert run.get_metric("loss", given) is not None


@pytest.mark.parametrize("value", [np.zeros(2), bytearray(b"a"), [np.zeros(2)], {"x": np.zeros(2)}])
def test_a_context_that_cannot_be_told_apart_is_refused_by_name(repo: Repo, value: Any) -> None:
    with Run(repo=repo) as run:
        message = r"the context of sequence 'loss': a\S*: a value of type \w+ cannot tell sequences apart; use numbers or text"
        with pytest.raises(EncodingError, match=message):
            run.track(1.0, name="loss", context={"a": value})
        assert run.sequences() == []


@pytest.mark.parametrize(
    "context",
    ["train", 5, [1], {1: 2}, {"a": object()}, {"a": np.zeros(2)}, {"a": {1, 2}}, {"a": float("nan")}, np.zeros(2)],
    ids=range(9),
)
def test_looking_up_any_context_or_name_raises_nothing(repo: Repo, context: Any) -> None:
    with Run(repo=repo) as run:
        run.track(1.0, name="loss", context={"a": 5})
        run.track("x", name="notes", context={"a": b"5"})
    assert run.get_metric("loss", context) is None
    assert run.get_sequence("notes", context) is None
    assert run.get_metric(context) is None


def test_keys_of_contexts() -> None:
    assert len({context_key({"a": value}) for value in CONTEXTS}) == len(CONTEXTS)
    assert context_key({"a": 1, "b": 2}) == context_key({"b": 2, "a": 1})
    assert context_key({"a": np.zeros(2)}) == context_key({"a": np.zeros(2)}) != context_key({"a": np.ones(2)})


# Steps


@pytest.mark.parametrize(
    "step", [50.0, np.float64(50), np.float32(50), np.int8(50), np.array(50), np.array(50.0), Tensor(50)]
)
def test_whole_numbers_of_any_type_are_steps_and_epochs(repo: Repo, step: Any) -> None:
    with Run(repo=repo) as run:
        run.track(1.0, name="loss", step=step, epoch=step)
        run.track(1.0, name="loss")
    assert [(point.step, point.epoch) for point in run.metrics()[0]] == [(50, 50), (51, None)]


@pytest.mark.parametrize(
    "step",
    [50.5, float("nan"), float("inf"), np.float64(0.5), np.bool_(True), True, np.ma.masked, "5", [5], np.zeros(2)],
)
def test_other_steps_are_refused(repo: Repo, step: Any) -> None:
    with Run(repo=repo) as run:
        for arguments in ({"step": step}, {"epoch": step}):
            with pytest.raises(EncodingError, match="of sequence 'loss' is an int or None, not"):
                run.track(1.0, name="loss", **arguments)
        assert run.sequences() == []


def test_a_summary_that_claims_too_much_costs_nothing(repo: Repo) -> None:
    with Run(repo=repo) as run:
        for value in (1.0, 2.0):
            run.track(value, name="loss")
    with run._seqs() as seqs:
        columns = read_points(seqs, 0, points=10**15)
    assert columns is not None
    assert columns.steps.tolist() == [0, 1]
