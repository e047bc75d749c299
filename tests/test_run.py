"""What a run takes and gives back: parameters, properties, sequences, resuming, and threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore import Repo, Run
from aimstore.errors import EncodingError
from aimstore.repository import context_of

Values = Callable[..., list[tuple[int, Any]]]


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal in type and, NaN and the sign of zero included, in value."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return bool(a == b)


# Parameters


def test_parameters_unfold_and_every_part_can_be_read_replaced_and_removed(repo: Repo) -> None:
    with Run(repo=repo) as run:
        run["hparams"] = {"lr": 0.1, "opt": {"name": "adam", "betas": [0.9, 0.99]}, "layers": {1: "a", 2: "b"}}
        run["hparams", "opt", "eps"] = 1e-8
        run["note"] = "text"
        assert run["hparams", "opt"] == {"name": "adam", "betas": [0.9, 0.99], "eps": 1e-8}
        assert run["hparams", "opt", "betas", 1] == 0.99
        assert run["hparams", "layers", 2] == "b"
        run["hparams", "opt"] = {"name": "sgd"}
        del run["note"]
        assert "note" not in run
        assert ("hparams", "opt", "eps") not in run
        assert run.get("note", 5) == 5
        expected = {"hparams": {"lr": 0.1, "opt": {"name": "sgd"}, "layers": {1: "a", 2: "b"}}}
        assert run[...] == expected
        assert repo.get_run(run.hash)[...] == expected
    assert run[...] == expected
    (found,) = repo.query_runs("run.hparams.opt.name == 'sgd'")
    assert found[...] == expected
    for missing in ("note", ("hparams", "opt", "eps"), ("hparams", "lr", "x")):
        with pytest.raises(KeyError):
            found[missing]


def test_assigning_the_root_replaces_everything(repo: Repo) -> None:
    with Run(repo=repo) as run:
        run["old"] = 1
        run[...] = {"new": {"x": 2}}
        assert run[...] == {"new": {"x": 2}}
        run[...] = {}
        assert run[...] == {}


VALUES = [
    *(None, True, False, 0, 1, -1, 2**63 - 1, -(2**63), 2**64, 10**400, -(10**400)),
    *(0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 5e-324, 1e308, 1 + 2j),
    *(
        "",
        "text",
        "ünï\0code \U0001f600",
        b"",
        b"\x00\xff",
        [],
        [1, [2.0, "x"]],
        (),
        (1, (2,)),
        {},
        {"a": {"b": [1, None]}},
    ),
    *(datetime(2024, 2, 29, 12, 30, 15, 123456, UTC), "x" * 100_000, b"y" * 3_000_000),
]


def test_parameters_of_every_type_come_back_as_they_were(repo: Repo) -> None:
    with Run(repo=repo) as run:
        for i, value in enumerate(VALUES):
            run["values", i] = value
    for reader in (run, repo.get_run(run.hash), next(iter(repo.query_runs()))):
        for i, value in enumerate(VALUES):
            assert same(reader["values", i], value), repr(value)[:50]


def test_arrays_and_large_leaves_are_parameters_too(repo: Repo) -> None:
    array = np.arange(200_000, dtype=np.float32).reshape(2, -1)
    with Run(repo=repo) as run:
        run["data"] = {"array": array, "scalar": np.float32(0.5), "small": np.array([1, 2, 3])}
    for reader in (run, repo.get_run(run.hash), *repo.query_runs("run.data.scalar == 0.5")):
        assert reader["data", "array"].dtype == np.float32
        assert np.array_equal(reader["data", "array"], array)
        assert np.array_equal(reader["data"]["small"], [1, 2, 3])


def test_what_is_assigned_and_what_is_read_are_copies(repo: Repo) -> None:
    value = {"list": [1, 2], "array": np.zeros(3)}
    with Run(repo=repo) as run:
        run["x"] = value
        value["list"].append(3)  # type: ignore[attr-defined]
        value["array"][:] = 1  # type: ignore[index]
        run["x"]["list"].append(4)
    for reader in (run, *repo.query_runs()):
        reader["x"]["list"].append(5)
        assert reader["x"]["list"] == [1, 2]
        assert reader["x"]["array"].tolist() == [0, 0, 0]


# Structured properties


def test_properties_are_set_read_queried_and_mirrored(repo: Repo) -> None:
    before = datetime.now(UTC)
    run = Run(repo=repo, experiment="e", name="n", description="d", tags=["b", "a"])
    assert (run.name, run.experiment, run.description, run.tags) == ("n", "e", "d", ("a", "b"))
    assert run.active
    assert run.finalized_at is None
    assert run.created_at is not None
    assert before - timedelta(seconds=1) < run.created_at < datetime.now(UTC) + timedelta(seconds=1)
    run.name, run.experiment, run.description = "n2", "e2", "d2"
    run.add_tag("c")
    run.add_tag("c")
    run.remove_tag("a")
    run.remove_tag("missing")
    run.close()
    assert not run.active
    assert run.finalized_at is not None
    assert run.finalized_at >= run.created_at
    for reader in (run, repo.get_run(run.hash), *repo.query_runs("run.experiment == 'e2' and 'c' in run.tags")):
        assert (reader.name, reader.experiment, reader.description, reader.tags) == ("n2", "e2", "d2", ("b", "c"))
    found = repo.get_run(run.hash)
    found.name = "n3"
    found.archived = True
    assert repo.get_run(run.hash).name == "n3"
    assert repo.query_runs("run.name == 'n3'").count() == 0
    assert repo.query_runs("run.name == 'n3' and run.archived").count() == 1
    assert repo.status().stalled == []


def test_a_parameter_called_name_is_not_the_property(repo: Repo) -> None:
    with Run(repo=repo, name="property") as run:
        run["name"] = "parameter"
        assert (run["name"], run.name) == ("parameter", "property")


def test_a_run_without_properties_has_defaults(repo: Repo) -> None:
    with Run(repo=repo) as run:
        assert (run.name, run.experiment, run.tags) == (f"Run: {run.hash}", "default", ())
        assert (run.archived, run.description) == (False, "")


# Sequences

NUMBERS = [
    *(0, 1, -1, True, False, 0.0, -0.0, 0.1, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308),
    *(2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64 + 1, -(10**30), 10**400),
]


@pytest.mark.parametrize("repeat", [1, 300])
def test_numbers_come_back_exactly_through_iteration(repo: Repo, values: Values, repeat: int) -> None:
    with Run(repo=repo) as run:
        for number in NUMBERS * repeat:
            run.track(number, name="mixed")
        for i, number in enumerate(NUMBERS):
            for _ in range(repeat):
                run.track(number, name="same", context={"i": i})
        live = values(run, "mixed")
    for stored in (live, values(run, "mixed")):
        assert [step for step, _ in stored] == list(range(len(NUMBERS) * repeat))
        assert all(same(value, number) for (_, value), number in zip(stored, NUMBERS * repeat, strict=True))
    for i, number in enumerate(NUMBERS):
        stored = values(run, "same", {"i": i})
        assert len(stored) == repeat
        assert all(same(value, number) for _, value in stored), number


def test_ints_past_the_range_of_floats_are_infinite_in_numpy(repo: Repo) -> None:
    with Run(repo=repo) as run:
        for number in (10**400, -(10**400), 2**70, 1.5):
            run.track(number, name="huge")
    metric = run.get_metric("huge")
    assert metric is not None
    assert metric.numpy()[1].tolist() == [math.inf, -math.inf, 2.0**70, 1.5]
    assert (metric.min, metric.max, metric.last) == (-(10**400), 10**400, 1.5)


@pytest.mark.parametrize(
    ("scalar", "plain"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float64(0.1), 0.1),
        (np.int8(-5), -5),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.array(7), 7),
        (np.float16(1.5), 1.5),
    ],
)
def test_numpy_scalars_are_numbers(repo: Repo, values: Values, scalar: Any, plain: Any) -> None:
    with Run(repo=repo) as run:
        run.track(scalar, name="x", step=np.int64(3), epoch=np.int32(1))
    ((step, value),) = values(run, "x")
    assert step == 3
    assert same(value, plain)


def test_steps_out_of_order_and_repeated_are_kept_and_the_later_one_holds(repo: Repo, values: Values) -> None:
    points = [(5, 1.0), (3, 9.0), (5, 2.0), (-7, 0.5), (10, 4.0), (3, -1.0), (10, math.nan), (9, 3.0)]
    expected = {-7: 0.5, 3: -1.0, 5: 2.0, 9: 3.0}
    run = Run(repo=repo)
    for step, value in points:
        run.track(value, name="x", step=step)
    live = run.get_metric("x")
    assert live is not None
    for metric in (live, *(run.close() or repo.query_metrics())):  # type: ignore[func-returns-value]
        steps, numbers = metric.numpy()
        assert steps.tolist() == [-7, 3, 5, 9, 10]
        assert dict(zip(steps.tolist()[:4], numbers.tolist()[:4], strict=True)) == expected
        assert math.isnan(numbers[-1])
        assert (metric.first_step, metric.last_step) == (-7, 10)
        assert metric.read(3, 10)[0].tolist() == [3, 5, 9]
        assert metric.read(None, 4)[0].tolist() == [-7, 3]
        assert metric.read(6)[0].tolist() == [9, 10]
        assert math.isnan(metric.last)  # type: ignore[arg-type]
    assert metric.count == 5
    assert (metric.min, metric.max) == (-1.0, 3.0)


def test_the_automatic_step_is_the_greatest_so_far_plus_one(repo: Repo, values: Values) -> None:
    with Run(repo=repo) as run:
        for step in (None, None, 10, None, 5, None, -3, None):
            run.track(1.0, name="x", step=step)
            run.track(2, name="y", step=step)
            run.flush() if step == 5 else None
    assert sorted(step for step, _ in values(run, "x")) == [-3, 0, 1, 5, 10, 11, 12, 13]
    assert [step for step, _ in values(run, "y")] == [-3, 0, 1, 5, 10, 11, 12, 13]
    with Run(run.hash, repo=repo) as run:
        run.track(3.0, name="x")
    assert values(run, "x")[-1] == (14, 3.0)


def test_the_greatest_step_leaves_the_sequence_and_all_others_writable(repo: Repo, values: Values) -> None:
    with Run(repo=repo) as run:
        for step in (2**63 - 2, None, -(2**63) + 1):
            run.track(1.0, name="far", step=step)
        for value in (1.0, {"far": 1.0, "near": 1.0}):
            with pytest.raises(
                EncodingError, match=f"'far' has a value at step {2**63 - 1}, after which there is none"
            ):
                run.track(value, name=None if isinstance(value, dict) else "far")
        run.track(2.0, name="far", step=5)
        run.track(1.0, name="near")
        run.flush()
    assert [step for step, _ in values(run, "far")] == [-(2**63) + 1, 5, 2**63 - 2, 2**63 - 1]
    assert values(run, "near") == [(0, 1.0)]
    with Run(run.hash, repo=repo) as run, pytest.raises(EncodingError, match="after which there is none"):
        run.track(1.0, name="far")


def test_epochs_and_times_are_kept(repo: Repo) -> None:
    before = datetime.now(UTC).timestamp()
    with Run(repo=repo) as run:
        for epoch in (None, 0, 5, None, -2):
            run.track(1.0, name="x", epoch=epoch)
        run.track("text", name="t", epoch=3)
    after = datetime.now(UTC).timestamp()
    records = list(run.metrics()[0])
    assert [record.epoch for record in records] == [None, 0, 5, None, -2]
    assert all(before - 1 < record.time < after + 1 for record in records)
    assert [record.time for record in records] == sorted(record.time for record in records)
    sequence = run.get_sequence("t")
    assert sequence is not None
    assert next(iter(sequence)).epoch == 3


def test_contexts_are_equal_in_any_order_and_may_be_nested(repo: Repo, values: Values) -> None:
    with Run(repo=repo) as run:
        run.track(1.0, name="x", context={"a": 1, "b": {"c": [1, 2], "d": None}})
        run.track(2.0, name="x", context={"b": {"d": None, "c": (1, 2)}, "a": np.int64(1)})
        run.track(3.0, name="x", context={})
        run.track(4.0, name="x")
        run.track(5.0, name="x", context={"a": 2})
    assert len(run.metrics()) == 3
    assert values(run, "x", {"b": {"d": None, "c": [1, 2]}, "a": 1}) == [(0, 1.0), (1, 2.0)]
    assert values(run, "x") == [(0, 3.0), (1, 4.0)]
    with Run(run.hash, repo=repo) as run:
        run.track(6.0, name="x", context={"b": {"c": [1, 2], "d": None}, "a": 1})
        assert len(run.metrics()) == 3
    assert repo.query_metrics("metric.context.b.c == [1, 2]").count() == 1


def test_a_context_that_is_changed_later_does_not_change_the_sequence(repo: Repo) -> None:
    context = {"subset": {"name": "train"}}
    with Run(repo=repo) as run:
        run.track(1.0, name="x", context=context)
        context["subset"]["name"] = "test"
        run.track(2.0, name="x", context=context)
    assert sorted(metric.context["subset"]["name"] for metric in run.metrics()) == ["test", "train"]


def test_a_dict_gives_a_value_to_each_name(repo: Repo, values: Values) -> None:
    with Run(repo=repo) as run:
        for i in range(3):
            run.track({"loss": float(i), "acc": i, "note": f"n{i}"}, step=i * 10, context={"subset": "val"})
        run.track({})
    context = {"subset": "val"}
    assert values(run, "loss", context) == [(0, 0.0), (10, 1.0), (20, 2.0)]
    assert values(run, "acc", context) == [(0, 0), (10, 1), (20, 2)]
    assert values(run, "note", context) == [(0, "n0"), (10, "n1"), (20, "n2")]


VALUES = [
    ("text", "ünïcode"),
    ("text", "long " * 50_000),
    ("bytes", b"\x00\xff"),
    ("value", {"boxes": [[0, 1, 2, 3]], "label": {"id": 1, "score": 0.5}}),
    ("value", [1, "two", None, {"three": 3.0}]),
    ("value", None),
    ("value", 1 + 2j),
    ("value", datetime(2024, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize(("kind", "value"), VALUES, ids=lambda value: repr(value)[:20])
def test_values_of_any_kind_can_be_tracked(repo: Repo, values: Values, kind: str, value: Any) -> None:
    with Run(repo=repo) as run:
        for _ in range(3):
            run.track({"x": value})
        live = run.get_sequence("x")
        assert live is not None
        assert live.kind == kind
        assert [each.value for each in live] == [value] * 3
    assert values(run, "x") == [(i, value) for i in range(3)]
    assert run.metrics() == []


def test_arrays_large_and_small_can_be_tracked(repo: Repo) -> None:
    rng = np.random.default_rng(0)
    arrays = [
        rng.random(shape).astype(dtype)
        for shape, dtype in [((3,), "f4"), ((300, 400), "f8"), ((0, 5), "i2"), ((2000, 2000), "u1")]
    ]
    with Run(repo=repo) as run:
        for array in arrays:
            run.track(array, name="image")
    sequence = run.get_sequence("image")
    assert sequence is not None
    assert sequence.kind == "array"
    for record, array in zip(sequence, arrays, strict=True):
        assert record.value.dtype == array.dtype
        assert np.array_equal(record.value, array)


def test_records_that_are_changed_after_they_were_tracked_are_stored_as_they_were(repo: Repo, values: Values) -> None:
    array, record, raw = np.zeros(5), {"a": [1]}, bytearray(b"abc")
    with Run(repo=repo) as run:
        for i in range(3):
            run.track({"array": array, "value": record, "raw": raw})
            array += 1
            record["a"].append(i)
            raw[0] += 1
    assert [value.tolist() for _, value in values(run, "array")] == [[0.0] * 5, [1.0] * 5, [2.0] * 5]
    assert [value for _, value in values(run, "value")] == [{"a": [1]}, {"a": [1, 0]}, {"a": [1, 0, 1]}]
    assert [bytes(value) for _, value in values(run, "raw")] == [b"abc", b"bbc", b"cbc"]


# Resuming


def test_a_resumed_run_goes_on_where_it_ended(repo: Repo, values: Values) -> None:
    with Run(repo=repo, name="n", experiment="e") as run:
        run["x"] = {"a": 1}
        for i in range(5000):
            run.track(float(i), name="loss")
        run.track("first", name="note")
    created = run.created_at
    for part in range(1, 4):
        with Run(run.hash, repo=repo) as again:
            assert again["x", "a"] == 1
            assert (again.name, again.experiment, again.created_at) == ("n", "e", created)
            assert again.finalized_at is None
            again["x", "b"] = part
            for i in range(100):
                again.track(float(i), name="loss")
            again.track(f"part {part}", name="note")
            live = again.get_metric("loss")
            assert live is not None
            assert (live.count, live.last_step) == (5000 + 100 * part, 4999 + 100 * part)
        (metric,) = repo.query_metrics("run.x.b == " + str(part))
        assert (metric.count, metric.min, metric.max, metric.last) == (5000 + 100 * part, 0.0, 4999.0, 99.0)
    assert values(again, "note") == [(0, "first"), (1, "part 1"), (2, "part 2"), (3, "part 3")]
    assert metric.numpy()[0].tolist() == list(range(5300))
    assert metric.numpy()[1].tolist() == [*map(float, range(5000)), *[*map(float, range(100))] * 3]


def test_resuming_may_set_properties(repo: Repo) -> None:
    with Run(repo=repo, name="old", tags=["a"]) as run:
        pass
    with Run(run.hash, repo=repo, name="new", tags=["b"]):
        pass
    assert (repo.get_run(run.hash).name, repo.get_run(run.hash).tags) == ("new", ("a", "b"))


def test_a_run_may_be_closed_while_it_is_read(repo: Repo) -> None:
    run = Run(repo=repo)
    for i in range(20_000):
        run.track(float(i), name="x")
    records = iter(run.metrics()[0])
    assert next(records).step == 0
    run.close()
    assert sum(1 for _ in records) == 19_999


# A run against a model of it

Operation = tuple[Any, ...]
NAMES = st.sampled_from(["a", "b"])
NUMBER = st.one_of(st.floats(), st.integers(), st.booleans(), st.integers(-5, 5), st.floats(width=32))
OPERATION: st.SearchStrategy[Operation] = st.one_of(
    st.tuples(
        st.just("track"),
        NAMES,
        NUMBER,
        st.one_of(st.none(), st.none(), st.integers(-20, 40), st.integers(-(2**62), 2**62)),
        st.one_of(st.none(), st.integers(-9, 9)),
    ),
    st.tuples(st.just("many"), NAMES, st.lists(st.floats(width=16), min_size=60, max_size=80)),
    st.tuples(st.just("object"), st.one_of(st.text(), st.text(min_size=1).map(lambda text: text * 20_000))),
    st.tuples(
        st.just("set"),
        st.sampled_from(["p", ("p", "q"), ("r", 1)]),
        st.one_of(NUMBER, st.text(), st.dictionaries(st.text(min_size=1), NUMBER)),
    ),
    st.tuples(st.sampled_from(["flush", "check", "resume", "reindex"])),
)


class Model:
    """What a run should hold, in plain Python."""

    def __init__(self) -> None:
        self.records: dict[str, list[tuple[int, Any, int | None]]] = {}
        self.parameters: dict[Any, Any] = {}

    def track(self, name: str, value: Any, step: int | None = None, epoch: int | None = None) -> None:
        known = self.records.setdefault(name, [])
        following = max((record[0] for record in known), default=-1) + 1
        known.append((following if step is None else step, value, epoch))

    def set(self, place: Any, value: Any) -> None:
        *path, last = place if isinstance(place, tuple) else (place,)
        node = self.parameters
        for part in path:
            if not isinstance(node.get(part), dict):
                node[part] = {}
            node = node[part]
        node[last] = value

    def check(self, run: Run, *, final: bool) -> None:
        assert same_tree(run[...], self.parameters)
        assert {sequence.name for sequence in run.sequences()} == set(self.records)
        for name, records in self.records.items():
            held = {step: (value, epoch) for step, value, epoch in records}
            sequence = run.get_sequence(name)
            assert sequence is not None
            found = [(record.step, record.value, record.epoch) for record in sequence]
            assert [step for step, _, _ in found] == sorted(held)
            for step, value, epoch in found:
                assert same(value, held[step][0]), (name, step)
                assert epoch == held[step][1]
            assert (sequence.first_step, sequence.last_step) == (min(held), max(held))
            assert sequence.count >= len(held)
            metric = run.get_metric(name)
            if metric is not None:
                assert metric.numpy()[0].tolist() == sorted(held)
                assert same(metric.last, held[max(held)][0])
            if metric is not None and final:
                real = [value for value, _ in held.values() if value == value]
                assert metric.count == len(held)
                assert metric.min == min(real) if real else math.isnan(metric.min)  # type: ignore[arg-type]
                assert metric.max == max(real) if real else math.isnan(metric.max)  # type: ignore[arg-type]


def same_tree(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_tree(a[key], b[key]) for key in a)
    return same(a, b)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, Repo]:
    """One repository for all examples, opened twice: to write, and to read beside it."""
    path = tmp_path_factory.mktemp("shared")
    return Repo.init(path), Repo(path)


@given(st.lists(OPERATION, max_size=25))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_is_done_with_a_run_it_holds_what_a_plain_model_holds(
    shared: tuple[Repo, Repo], operations: list[Operation]
) -> None:
    repo, beside = shared
    model = Model()
    run = Run(repo=repo)
    for operation, *arguments in operations:
        match operation, *arguments:
            case "track", name, value, step, epoch:
                run.track(value, name, step, epoch)
                model.track(name, value, step, epoch)
            case "many", name, numbers:
                for value in numbers:
                    run.track(value, name)
                    model.track(name, value)
            case "object", text:
                run.track(text, "text")
                model.track("text", text)
            case "set", ("p", "q") as place, value if not isinstance(model.parameters.get("p", {}), dict):
                with pytest.raises(EncodingError, match="takes no items"):
                    run[place] = value
            case "set", place, value:
                run[place] = value
                model.set(place, value)
            case ("flush",):
                run.flush()
            case ("check",):
                run.flush()
                model.check(beside.get_run(run.hash), final=False)
                model.check(run, final=False)
            case ("resume",):
                run.close()
                model.check(run, final=True)
                run = Run(run.hash, repo=repo)
            case ("reindex",):
                assert repo.reindex().active == [run.hash]
    run.close()
    model.check(run, final=True)
    model.check(beside.get_run(run.hash), final=True)
    (found,) = (each for each in beside.query_runs() if each.hash == run.hash)
    model.check(found, final=True)
    repo.delete_run(run.hash)


# What is not a property


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hparams", r"a run has no property 'hparams'; a parameter is set by run\['hparams'\] = …"),
        ("experimnet", r"a run has no property 'experimnet'; did you mean 'experiment'\?; a parameter is set by"),
    ],
)
def test_an_attribute_that_a_run_does_not_have_is_refused(repo: Repo, name: str, message: str) -> None:
    with Run(repo=repo) as run, pytest.raises(AttributeError, match=message):
        setattr(run, name, {"lr": 0.1})


@pytest.mark.parametrize(
    ("tags", "stored"), [("baseline", ("baseline",)), (None, ()), (["b", "a", "b"], ("a", "b")), (("x",), ("x",))]
)
def test_tags_are_given_as_one_str_or_several(repo: Repo, tags: Any, stored: tuple[str, ...]) -> None:
    with Run(repo=repo, tags=tags) as run:
        assert run.tags == stored
    with Run(run.hash, repo=repo, tags=tags) as resumed:
        assert resumed.tags == stored


@pytest.mark.parametrize("tags", [{"a": 1}, 5, [1, 2], [0], [None], [[]], b"a"])
def test_tags_of_another_type_are_refused_and_no_run_is_made(repo: Repo, tags: Any) -> None:
    with pytest.raises(EncodingError, match="tag"):
        Run(repo=repo, tags=tags)
    assert repo.list_runs() == []


# Notes


def test_notes_are_added_changed_and_deleted_on_runs_that_are_written_or_read(repo: Repo) -> None:
    with Run(repo=repo) as run:
        first = run.add_note("begun")
    reader = repo.get_run(run.hash)
    second = reader.add_note("done")
    assert [(note.id, note.text) for note in run.notes] == [(first, "begun"), (second, "done")]
    assert run.notes[0].created_at == run.notes[0].updated_at
    assert run.notes[0].created_at.utcoffset() == timedelta(0)
    reader.update_note(first, "begun late")
    assert run.notes[0].text == "begun late"
    assert run.notes[0].updated_at >= run.notes[0].created_at
    run.delete_note(second)
    assert [note.text for note in reader.notes] == ["begun late"]


def test_a_note_of_another_run_is_not_touched(repo: Repo) -> None:
    with Run(repo=repo) as one, Run(repo=repo) as other:
        note = one.add_note("mine")
        for act in (lambda: other.update_note(note, "theirs"), lambda: other.delete_note(note)):
            with pytest.raises(KeyError, match=rf"has no note {note}; its notes are \[\]"):
                act()
        assert [each.text for each in one.notes] == ["mine"]


# Derived properties


def test_duration_is_the_same_everywhere(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run(repo=repo) as run:
        now = datetime(2100, 1, 1, tzinfo=UTC)
        moments = type("Fixed", (datetime,), {"now": classmethod(lambda cls, tz: now)})
        monkeypatch.setattr("aimstore.repository.properties.datetime", moments)
        assert run.created_at is not None
        expected = (now - run.created_at).total_seconds()
        (queried,) = repo.query_runs(f"run.duration == {expected!r}")
        frame = repo.query_runs().dataframe()
        assert run.duration == queried.duration == expected == frame["duration"].tolist()[0]
    ended = run.duration
    assert ended is not None
    assert 0 <= ended < expected
    assert repo.query_runs(f"run.duration == {ended!r}").count() == 1


def test_duration_is_never_negative_and_unknown_for_a_stalled_run(repo: Repo, stall: Callable[..., list[str]]) -> None:
    with Run(repo=repo) as run:
        pass
    context_of(repo).database.update_run(run.hash, created_at=2**50 * 2)
    assert repo.get_run(run.hash).duration == 0.0
    (stalled,) = stall()
    assert repo.get_run(stalled).duration is None


def test_setting_a_property_takes_one_transaction(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run(repo=repo) as run:
        database = context_of(repo).database
        counted: list[str] = []
        for name in ("read", "write"):
            real = getattr(database._database, name)
            monkeypatch.setattr(
                database._database, name, lambda name=name, real=real: (counted.append(name), real())[1]
            )
        run.name = "x"
        assert counted == ["write"]
        counted.clear()
        run.add_tag("a")
        assert counted == ["write"]
    assert (run.name, run.tags) == ("x", ("a",))
