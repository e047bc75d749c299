"""What queries mean: attributes, missing ones, comparisons, arithmetic, functions, loops."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from enum import Enum, IntEnum
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

from aimstore.errors import QueryRuntimeError
from aimstore.query import MISSING, Loadable, MetricView, PythonQuery, QueryLimitError, RunView, SequenceView


@pytest.mark.parametrize(
    "expression",
    [
        "run.hparams.lr < 0.01 and run.experiment == 'baseline'",
        "run['hparams']['opt']['name'] == run['hparams', 'opt', 'name'] == run.hparams.opt.name == 'adam'",
        "run.name == 'first' and run['name'] == 'parameter'",
        "run['format'] == 'csv'",
        "run.hash.startswith('aaaa')",
        "run.depths[1] == 'one'",
        "run.hparams.layers == [64, 32] and run.hparams.layers == (64, 32)",
        "run.hparams.layers[0] == 64 and run.hparams.layers[-1] == 32 and run.hparams.layers[0:1] == [64]",
        "run['hparams', 'layers', 0] == 64",
        "run.hparams.layers[9] == None",
        "64 in run.hparams.layers and 65 not in run.hparams.layers",
        "run.hparams.layers in [[1], [64, 32]]",
        "len(run.hparams.layers) == 2 and len(run.hparams) == 5",
        "run.hparams.opt == {'name': 'adam'}",
        "'lr' in run.hparams and 'hparams' not in run.hparams",
        "'good' in run.tags and run.tags == ['good', 'v2']",
        "run.active and not run.archived",
        "run.finalized_at == None and run.finalized_at is None and is_defined(run.finalized_at)",
        "run.created_at > datetime(2024, 5, 1) and run.created_at < datetime('2024-05-02')",
        "run.created_at.year == 2024 and run.created_at.weekday() == 2",
        "run.created_at - datetime(2024, 5, 1) == timedelta(hours=12)",
        "run.when == datetime(2024, 5, 1)",
        "run.created_at - run.when > timedelta(hours=11)",
        "run.duration > 90 and run.duration / 60 < 2",
        "run.text.lower().startswith('hello') and run.text.endswith(('x', 'World'))",
        "'World' in run.text and run.text[0] == 'H' and run.text[:5] == 'Hello'",
        "run.text.split() == ['Hello', 'World']",
        "run.hparams.get('lr') == 0.001 and run.hparams.get('nothing', 5) == 5",
        "not is_defined(run.hparams.get('nothing'))",
        "any(key == 'lr' and value < 1 for key, value in run.hparams.items())",
        "any(first > second for first, second in run.pairs)",
        "all(width > 16 for width in run.hparams.layers)",
        "[width // 2 for width in run.hparams.layers if width > 32] == [32]",
        "any(x == y for x in run.hparams.layers for y in [32])",
        "sum(run.hparams.layers) == 96 and max(run.hparams.layers) == 64 and min(3, 2) == 2",
        "'lr' in run.hparams.keys() and 100 in run.hparams.values()",
        "0 < run.hparams.lr < 1 <= run.hparams.steps",
        "not (0 < run.hparams.lr < 0.0001)",
        "(1 if run.active else 2) == 1",
        "round(run.duration) == 90 and abs(-2) == 2 and int('7') == 7 and str(7) == '7' and float(1) == 1.0",
        "run.hparams.steps * 2 + 1 == 201 and 2 ** 10 == 1024 and -run.hparams.steps == -100 and 7 % 4 == 3",
        "'a' + 'b' == 'ab' and 'ab' * 2 == 'abab'",
        "run.hparams.steps in [1, 100.0] and run.hparams.steps in {100} and run.hparams.flag == 1",
        "run.hparams.flag is True and run.archived is not True",
        "{'a', 'b'} == {'b', 'a'} and [1, [2, 3]] == (1, (2, 3))",
        "[1, 2] < [1, 3] and [1] < [1, 2]",
        "run.metrics['loss'].last == 0.5 and run.metrics['loss', {}].count == 10",
        "run.metrics['acc', {'subset': 'val'}].last == 0.7",
        "run.metrics['f1'].max == 1",
        "'acc' in run.metrics and 'nothing' not in run.metrics and len(run.metrics) == 4",
        "any(m.last > 0.8 for m in run.metrics if m.name == 'acc' and m.context.subset == 'train')",
        "run.metrics['f1'].run.name == 'first'",
        "run.created_at\n  .year == 2024\nand True",
    ],
)
def test_is_true_of_the_run(matches, expression):
    assert matches(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "run.x == 1", "run.x != 1", "run.x < 1", "run.x >= 1", "run.x in [1]", "run.x not in [1]", "1 in run.x",
        "1 not in run.x", "run.x != None", "run.x is not None", "run.x is True", "run.x is not True", "run.x",
        "run.x == run.y", "run.x != run.y", "run.x.y.z == 1", "run.x[0]['a'].b < 2", "run.x + 1 == 1", "-run.x < 0",
        "run.hparams.lr.deeper == 1", "run.x.startswith('a')", "run.hparams.lr.startswith('0')", "len(run.x) == 0",
        "max(run.x, 1) == 1", "any(v for v in run.x)", "is_defined(run.x)", "is_defined(run.x.y)", "str(run.x) == ''",
        "run.metrics['nothing'].last < 1", "run.metrics['acc', {'subset': 'test'}].last < 1", "run.text[99] == 'a'",
        "run.text == run.x", "0 < run.x < 1", "run['metrics', 'loss'] == 1", "run.hparams[1.5] == 1",
    ],
)  # fmt: skip
def test_what_is_missing_compares_with_nothing(matches, expression):
    assert not matches(expression)


@pytest.mark.parametrize(
    "expression",
    ["run.x == None", "None == run.x", "run.x is None", "not (run.x < 1)", "not run.x", "not is_defined(run.x)",
     "run.x.y == None", "run.seed == None", "run.seed is None", "is_defined(run.seed)", "run.x == run.seed"],
)  # fmt: skip
def test_what_is_missing_equals_none(matches, expression):
    assert matches(expression)


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("right", ["'a'", "None", "[1]", "run.hparams", "run.created_at", "{1}", "1j", "run.metrics"])
def test_unlike_types_have_no_order(matches, operator, right):
    assert not matches(f"run.hparams.steps {operator} {right}")
    assert not matches(f"{right} {operator} run.hparams.steps")


@pytest.mark.parametrize("right", ["'100'", "None", "[10]", "{'a': 1}", "run.created_at"])
def test_unlike_types_are_unequal(matches, right):
    assert matches(f"run.hparams.steps != {right} and not (run.hparams.steps == {right})")
    assert matches(f"run.hparams.steps not in {right} and not (run.hparams.steps in {right})")


def test_nan_is_as_in_python(matches):
    assert matches("run.nan != run.nan and not (run.nan == run.nan) and not (run.nan < 1) and not (run.nan >= 1)")


def test_operands_of_a_chain_are_evaluated_once_and_only_as_needed(make_object):
    class Counting(dict):
        reads = 0

        def get(self, key, default=None):
            Counting.reads += 1
            return super().get(key, default)

    view = RunView(make_object(Counting(a=1, b=2, c=3)))
    assert PythonQuery().compile("run.a < run.b < run.c").matches(view)
    assert Counting.reads == 3
    assert not PythonQuery().compile("run.b < run.a < run.c").matches(view)
    assert Counting.reads == 5


@pytest.mark.parametrize(
    "expression",
    [
        "run.number == 2.5",
        "run.number < 3",
        "run.whole == 3 and run.whole in [3]",
        "run.yes == True",
        "run.text == 'a'",
    ],
)
def test_numpy_scalars_are_numbers(matches, expression):
    scalars = {"number": np.float32(2.5), "whole": np.int64(3), "yes": np.bool_(True), "text": np.str_("a")}
    assert matches(expression, scalars)


@pytest.mark.parametrize("operator", ["==", "!=", "<", ">", "in", "not in"])
def test_arrays_compare_with_nothing_and_never_raise(matches, operator):
    for array in (np.arange(3), np.array(1), np.array([])):
        assert not matches(f"run.array {operator} 1", {"array": array})
        assert not matches(f"1 {operator} run.array", {"array": array})
        assert not matches(f"run.array {operator} run.array", {"array": array})


def test_arrays_are_there_and_tell_their_shape(matches):
    expression = "run.a and is_defined(run.a) and run.a != None and run.a.shape == [2, 3] and run.a.dtype == 'int8'"
    assert matches(expression, {"a": np.zeros((2, 3), np.int8)})
    assert matches("not is_defined(run.a + 1)", {"a": np.zeros(3)})


def test_other_containers_and_subclasses_become_plain(matches):
    class Colour(str, Enum):  # noqa: UP042  # a str, as users write it
        RED = "red"

    class Size(IntEnum):
        BIG = 3

    attributes = {"c": Colour.RED, "s": Size.BIG, "m": MappingProxyType({"x": OrderedDict(y=1)}), "f": frozenset({1})}
    assert matches("run.c == 'red' and run.s == 3 and run.m.x.y == 1 and 1 in run.f", attributes)


def test_large_leaves_are_loaded_when_read(matches):
    class Leaf(Loadable):
        loads = 0

        def load(self):
            Leaf.loads += 1
            return [1, 2]

    assert matches("run.other == 1", {"other": 1, "leaf": Leaf()})
    assert Leaf.loads == 0
    assert matches("2 in run.leaf", {"leaf": Leaf()})
    assert Leaf.loads == 1


def test_a_metric_name_alone_must_be_unambiguous(matches):
    with pytest.raises(QueryRuntimeError, match=r"2 metrics named 'acc'.*'subset': 'train'"):
        matches("run.metrics['acc'].last > 0")


def test_metric_queries_see_the_metric_and_its_run(entry):
    query = PythonQuery().compile(
        "metric.name == 'acc' and metric.context.subset == 'val' and metric.last < metric.max and run.active"
        " and metric.run.hparams.lr < 1 and metric.first_step == 0 and metric.context == {'subset': 'val'}",
        "metric",
    )
    run = RunView(entry)
    assert [query.matches(MetricView(metric, run)) for metric in entry.metrics] == [False, False, True, False]


def test_sequence_queries_see_the_kind_and_what_a_metric_has(entry):
    query = PythonQuery().compile(
        "sequence.kind == 'image' and sequence.name == 'samples' and sequence.count == 3 and sequence.last == None"
        " and sequence.context.subset == 'val' and run.active and sequence.run.hparams.lr < 1",
        "sequence",
    )
    source = SimpleNamespace(
        kind="image",
        name="samples",
        context={"subset": "val"},
        count=3,
        first_step=0,
        last_step=2,
        last=None,
        min=None,
        max=None,
    )
    assert query.matches(SequenceView(source, RunView(entry)))
    source.kind = "text"
    assert not query.matches(SequenceView(source, RunView(entry)))


@pytest.mark.parametrize(
    ("expression", "cause"),
    [("1 / 0", ZeroDivisionError), ("run.text + 1", TypeError), ("int('x')", ValueError), ("len(5)", TypeError),
     ("any(x for x in 5)", TypeError), ("{[1]}", TypeError), ("datetime(2024, 13, 1)", ValueError),
     ("run.seed + 1", TypeError), ("10.0 ** 999", OverflowError), ("9 ** 9 ** 9", QueryLimitError)],
)  # fmt: skip
def test_errors_are_raised_with_their_cause(matches, expression, cause):
    with pytest.raises(QueryRuntimeError) as raised:
        matches(f"({expression}) == 1")
    assert isinstance(raised.value.__cause__, cause)
    assert cause.__name__ in str(raised.value)


def test_a_fault_while_reading_the_entry_is_reported():
    class Broken:
        hash = "a" * 24
        properties = attributes = property(lambda self: 1 / 0)

    with pytest.raises(QueryRuntimeError, match="ZeroDivisionError"):
        PythonQuery().compile("run.name == 1").matches(RunView(Broken()))


@pytest.mark.parametrize("expression", ["", "  \n"])
def test_the_empty_query_matches_everything(matches, expression):
    assert matches(expression, {})


def test_missing_is_false_and_says_its_name():
    assert not MISSING
    assert repr(MISSING) == "MISSING"


def test_datetimes_without_time_zone_are_in_utc(matches):
    aware = datetime(2024, 1, 1, 0, 0, tzinfo=UTC)
    assert matches("run.naive == run.aware and run.naive <= run.aware", {"naive": datetime(2024, 1, 1), "aware": aware})
