"""What a query tells an index: the hints of each form of condition, and when its predicate is compiled."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from RestrictedPython.transformer import INSPECT_ATTRIBUTES

from aimstore.abc import AllOf, Among, AnyOf, Term
from aimstore.errors import QuerySyntaxError
from aimstore.query import PythonQuery, QueryLimits, RunView, describe
from aimstore.query.references import ARRAY_FACTS, PROPERTIES
from aimstore.query.values import MISSING, wrap
from aimstore.query.views import STORED_PROPERTIES
from aimstore.testing.waiting import WAIT_SECONDS

MAY = datetime(2024, 5, 1, tzinfo=UTC)


def attr(*path: str | int, is_: str = "==", to: Any = None) -> Term:
    return Term(("attrs", *path), is_, to)


def prop(name: str, is_: str, to: Any = None) -> Term:
    return Term(("props", name), is_, to)


def seq(name: str, *field: str, is_: str = "defined", to: Any = None) -> Term:
    return Term(("seqs", name, *field), is_, to)


def some(*field: str, is_: str = "==", to: Any = None) -> Term:
    return Term(("any", *field), is_, to)


A1, B1 = attr("a", to=1), attr("b", to=1)

EXACT = {
    # comparisons with a constant, on either side
    "run.a == 1": A1,
    "1 == run.a": A1,
    "True == run.a": attr("a", to=True),
    "run.a < 0.5": attr("a", is_="<", to=0.5),
    "run.a >= 'x'": attr("a", is_=">=", to="x"),
    "3 < run.a": attr("a", is_=">", to=3),
    "3 >= run.a": attr("a", is_="<=", to=3),
    "1 < run.a <= 3": AllOf((attr("a", is_=">", to=1), attr("a", is_="<=", to=3))),
    "run.a == 1 == run.b": AllOf((A1, B1)),
    "run.a in (1, -2, 'x', True)": attr("a", is_="in", to=(1, -2, "x", True)),
    "run.a in ['x']": attr("a", is_="in", to=("x",)),
    "run.a in {1, 2}": attr("a", is_="in", to=(1, 2)),
    "run.a in ()": attr("a", is_="in", to=()),
    "run.a.startswith('x')": attr("a", is_="startswith", to="x"),
    "run.a.startswith(('x', 'y'))": AnyOf((attr("a", is_="startswith", to="x"), attr("a", is_="startswith", to="y"))),
    "run.a.startswith(['x'])": attr("a", is_="startswith", to="x"),
    "run.a": attr("a", is_="true"),
    "run.a.b": attr("a", "b", is_="true"),
    "is_defined(run.a)": attr("a", is_="defined"),
    "is_defined(run.a['b'].c)": attr("a", "b", "c", is_="defined"),
    # and, or
    "run.a == 1 and run.b == 1": AllOf((A1, B1)),
    "run.a == 1 and (run.b == 1 and run.c)": AllOf((A1, B1, attr("c", is_="true"))),
    "run.a == 1 or run.b == 1": AnyOf((A1, B1)),
    "run.a == 1 or (run.b == 1 or run.c)": AnyOf((A1, B1, attr("c", is_="true"))),
    "run.c and (run.a == 1 or run.b == 1)": AllOf((attr("c", is_="true"), AnyOf((A1, B1)))),
    # constants are computed
    "run.a == -1": attr("a", to=-1),
    "run.a == +1": attr("a", to=1),
    "run.a < 2 ** 3 * 0.5 - 1": attr("a", is_="<", to=3.0),
    "run.a == 'x' + 'y' * 2": attr("a", to="xyy"),
    "run.a == 1e999": attr("a", to=math.inf),
    "run.a > datetime(2024, 5, 1)": attr("a", is_=">", to=MAY),
    "run.a > datetime('2024-05-01T02:00+02:00')": attr("a", is_=">", to=MAY),
    "run.a > datetime(2024, 4, 30) + timedelta(hours=24)": attr("a", is_=">", to=MAY),
    "run.a < timedelta(days=2) / timedelta(days=1)": attr("a", is_="<", to=2.0),
    # paths
    "run.a.b['c']['d'] == 1": attr("a", "b", "c", "d", to=1),
    "run['a', 'b'] == 1": attr("a", "b", to=1),
    "run['a']['b', 'c'] == 1": attr("a", "b", "c", to=1),
    "run['a' + 'b'] == 1": attr("ab", to=1),
    "run[0] == 1": attr(0, to=1),
    "run[0, 'a'].b == 1": attr(0, "a", "b", to=1),
    "run.year == 1": attr("year", to=1),
    "run.shape.a == 1": attr("shape", "a", to=1),
    "run.a['year'] == 1": attr("a", "year", to=1),
    "run['name'] == 'x'": attr("name", to="x"),
    "run['tags', 'a'] == 'x'": attr("tags", "a", to="x"),
    "run.props.name == 'x'": attr("props", "name", to="x"),
    # structured properties
    "run.experiment == 'x'": prop("experiment", "==", "x"),
    "run.description in ('x', 'y')": prop("description", "in", ("x", "y")),
    "run.name": prop("name", "true"),
    "'x' in run.tags": prop("tags", "has", "x"),
    "run.tags": prop("tags", "true"),
    "run.archived": prop("archived", "true"),
    "run.archived == False": prop("archived", "==", False),
    "run.archived in (0, True)": prop("archived", "in", (0, True)),
    "run.created_at >= datetime(2024, 5, 1)": prop("created_at", ">=", MAY),
    "datetime(2024, 5, 1) > run.finalized_at": prop("finalized_at", "<", MAY),
    "run.finalized_at": prop("finalized_at", "true"),
    "run.hash == 'eeeeeeeeeeeeeeeeeeeeeeee'": Among(frozenset({"eeeeeeeeeeeeeeeeeeeeeeee"})),
    "'eeeeeeeeeeeeeeeeeeeeeeee' == run.hash": Among(frozenset({"eeeeeeeeeeeeeeeeeeeeeeee"})),
    "run.hash in ['eeeeeeeeeeeeeeeeeeeeeeee', 'ffffffffffffffffffffffff', 'eeeeeeeeeeeeeeeeeeeeeeee']": Among(
        frozenset({"eeeeeeeeeeeeeeeeeeeeeeee", "ffffffffffffffffffffffff"})
    ),
    "run.hash in []": Among(frozenset()),
    "run.hash == 'abc'": Among(frozenset()),
    "run.hash in ['EEEEEEEEEEEEEEEEEEEEEEEE', ' eeeeeeeeeeeeeeeeeeeeeeee', 'a b', '']": Among(frozenset()),
}

SUPERSET = {
    "run.a == 1 and not run.b": A1,
    "run.a == 1 and len(run.b) > 2": A1,
    "run.a == 1 and run.a / run.b > 2": A1,
    "(run.a == 1 and not run.c) or (run.b == 1 and run.c != 2)": AnyOf((A1, B1)),
    "1 < run.b < run.a": attr("b", is_=">", to=1),
    "1 < 2 == run.a": attr("a", to=2),
    "run.a is True": attr("a", to=True),
    "False is run.a": attr("a", to=False),
    "run.a in (datetime(2024, 5, 1), 1)": attr("a", is_="in", to=(MAY, 1)),
    "run.experiment.startswith('x')": prop("experiment", "startswith", "x"),
    # metrics of a run
    "run.metrics['loss'].last < 0.1": seq("loss", "last", is_="<", to=0.1),
    "run.metrics['loss', None].count": seq("loss", "count", is_="true"),
    "run.metrics['loss'].context.subset == 'val'": seq("loss", "context", "subset", is_="==", to="val"),
    "run.metrics['loss', {'subset': 'val', 'n': [1], 'k': 2}].max > 1": AllOf(
        (
            seq("loss", "max", is_=">", to=1),
            seq("loss", "context", "subset", is_="==", to="val"),
            seq("loss", "context", "k", is_="==", to=2),
        )
    ),
    "run.metrics['loss', {'a': 1, 'a': 2}]": AllOf((seq("loss"), seq("loss", "context", "a", is_="==", to=2))),
    "run.metrics['loss', {1: 1, True: 2}]": AllOf((seq("loss"), seq("loss", "context", 1, is_="==", to=2))),
    "run.metrics['loss', {'a': 1, run.x: 2}]": seq("loss"),
    "run.metrics['loss']": seq("loss"),
    "is_defined(run.metrics['loss'])": seq("loss"),
    "is_defined(run.metrics['loss', {}])": seq("loss"),
    "'loss' in run.metrics": seq("loss"),
}

METRICS = {
    "metric.name == 'loss'": seq("loss"),
    "'loss' == metric.name": seq("loss"),
    "metric.name in ('loss', 'acc')": AnyOf((seq("loss"), seq("acc"))),
    "metric.name.startswith('v')": some("name", is_="startswith", to="v"),
    "metric.last < 0.1": some("last", is_="<", to=0.1),
    "metric.context.subset == 'val'": some("context", "subset", to="val"),
    "is_defined(metric.context['subset'])": some("context", "subset", is_="defined"),
    "metric.context.year == 1": some("context", "year", to=1),
    "metric.first_step <= 0 < metric.last_step": AllOf(
        (some("first_step", is_="<=", to=0), some("last_step", is_=">", to=0))
    ),
    "metric.min < 1 and metric.name == 'loss'": AllOf((seq("loss", "min", is_="<", to=1), seq("loss"))),
    "metric.name == 'loss' and (metric.last < 1 or metric.context.k == 2)": AllOf(
        (seq("loss"), AnyOf((seq("loss", "last", is_="<", to=1), seq("loss", "context", "k", is_="==", to=2))))
    ),
    "(metric.name == 'loss' or metric.name == 'acc') and metric.last < 1": AllOf(
        (AnyOf((seq("loss"), seq("acc"))), some("last", is_="<", to=1))
    ),
    "metric.run.experiment == 'x' and run.a == 1": AllOf((prop("experiment", "==", "x"), A1)),
    "run.metrics['acc'].last < 1 and metric.name == 'loss'": AllOf((seq("acc", "last", is_="<", to=1), seq("loss"))),
    "metric.run['name'] == 'x'": attr("name", to="x"),
    "run.hash == 'eeeeeeeeeeeeeeeeeeeeeeee'": Among(frozenset({"eeeeeeeeeeeeeeeeeeeeeeee"})),
}

SEQUENCES = {
    "sequence.kind == 'image'": some("kind", to="image"),
    "sequence.kind in ('image', 'text')": some("kind", is_="in", to=("image", "text")),
    "sequence.name == 'x' and sequence.kind.startswith('i')": AllOf(
        (seq("x"), seq("x", "kind", is_="startswith", to="i"))
    ),
    "sequence.count >= 10 and sequence.run.a == 1": AllOf((some("count", is_=">=", to=10), A1)),
}

NOTHING = [
    # negations and None
    "not run.a", "run.a != 1", "run.a not in (1, 2)", "run.a == None", "run.a is None", "run.a is not True",
    "not not run.a", "None in run.a", "run.a in (1, None)",
    # constants that an index does not compare
    "run.a == 1j", "run.a == b'x'", "run.a == (1, 2)", "run.a == {}", "run.a == 1e999 - 1e999", "run.a == '\\ud800'",
    "run.a < timedelta(days=1)", "run.a == 1 / 0", "run.a == 'x' * 10**6", "run.a == 1 + 'x'", "run.a in (1, 2j)",
    "run.a < datetime('x')", "run.a < datetime('0001-01-01T00:00+10:00')", "run.a == 2 ** 10**9",
    # anything computed
    "run.a == run.b", "run.a + 1 == 2", "-run.a == 2", "run.a in run.b", "run.a in (1, run.b)", "len(run.a) == 1",
    "run.a if run.b else run.c", "any(x == 1 for x in run.a)", "run.a.lower() == 'x'", "bool(run.a)", "1 == 1", "True",
    "(run.a and run.b) == 1", "(run.a == 1) == True", "run[run.a] == 1", "run.a.get('b') == 1",
    # membership in what is stored
    "'x' in run.a", "1 in run.a", "'x' in run.name", "run.a in 'x'", "run.a in {'x': 1}", "'x' in run.tags[0]", "1 in run.tags",
    "run.tags in run.tags",
    # an or with a branch that tells nothing
    "run.a == 1 or run.b != 1", "run.a == 1 or (run.b == 1 or not run.c)", "run.a == 1 or True",
    # paths that may lead to something other than a leaf of nested dicts
    "run.a.year == 1", "run.a.b.shape", "run.a.real == 1", "run.a.days.b == 1", "is_defined(run.a.size)", "run.a[0] == 1",
    "run.a[-1] == 1", "run[-1] == 1", "run.a[0].b == 1", "run['a', 0] == 1", "run[0][0] == 1", "run.a[1:2] == 1", "run[1.0] == 1",
    "run[True] == 1", "run[()]", "run.a[()]", "run['a', ('b', 'c')] == 1", "run['\\ud800'] == 1", "run[2**70] == 1",
    # methods
    "run.a.startswith(1)", "run.a.startswith(('x', 1))", "run.a.startswith('x', 1)", "run.a.startswith(())",
    "run.a.startswith({'x'})", "run.a.endswith('x')", "run.hash.startswith('x')",
    "is_defined(run.a, run.b)",
    # structured properties
    "run.active", "run.active == True", "run.duration > 1", "run.hash", "run.hash > 'x'", "run.hash == 1", "run.hash in ('x', 1)",
    "run.experiment == 1", "run.experiment < 'x'", "run.name in ('x', 1)", "run.name.x == 'x'", "run.tags == ['x']",
    "run.tags[0] == 'x'", "run.archived == 2", "run.archived < 1", "run.archived == 'x'", "run.created_at > 1",
    "run.name == 'a\\x00'", "run.name.startswith('a\\x00b')", "run.experiment in ('a', 'a\\x00')", "'a\\x00' in run.tags",
    "run.created_at.year == 2024", "is_defined(run.name)", "is_defined(run.hash)", "is_defined(run.tags)",
    # metrics
    "run.metrics", "len(run.metrics) > 1", "run.metrics[0]", "run.metrics['x', 1, 2]", "run.metrics['x']['last'] < 1",
    "run.metrics['x'].run.a == 1", "run.metrics['x'].last == 'y'",
    "run.metrics[run.a].last < 1", "is_defined(run.metrics['x'].last)", "1 in run.metrics", "run.metrics['x'].name == 'x'",
    "metric.name != 'x'", "metric.name == 1", "metric.name in ('x', 1)", "metric.name in ()", "metric.name < 'x'", "metric.name",
    "metric['name'] == 'x'", "metric.name.x == 'x'", "metric.last == 'x'", "metric.last.x == 1", "metric.context.a.b == 1",
    "metric.context == {}", "'a' in metric.context", "metric.context", "metric.run", "metric.run.hash", "is_defined(metric.last)",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXACT)
def test_what_hints_say_wholly(expression):
    query = PythonQuery().compile(expression)
    assert query.hints == EXACT[expression]
    assert query.exact


@pytest.mark.parametrize("expression", SUPERSET)
def test_what_hints_say_in_part(expression):
    query = PythonQuery().compile(expression)
    assert query.hints == SUPERSET[expression]
    assert not query.exact


@pytest.mark.parametrize(
    ("subject", "expression", "hints"),
    [("metric", *each) for each in METRICS.items()] + [("sequence", *each) for each in SEQUENCES.items()],
)
def test_hints_of_queries_for_sequences_are_about_their_runs(subject, expression, hints):
    query = PythonQuery().compile(expression, subject)
    assert query.hints == hints
    assert not query.exact


@pytest.mark.parametrize("expression", NOTHING)
def test_what_tells_an_index_nothing(expression):
    query = PythonQuery().compile(expression, "metric")
    assert query.hints is None
    assert not query.exact
    both = PythonQuery().compile(f"({expression}) and run.a == 1", "metric")
    assert both.hints == A1
    assert not both.exact


def test_the_types_of_constants_stay():
    values = PythonQuery().compile("run.a in (1, 1.0, True)").hints.value
    assert [type(value) for value in values] == [int, float, bool]
    assert PythonQuery().compile("run.a > datetime('2024-05-01T02:00+02:00')").hints.value.tzinfo is UTC


def test_the_empty_query_is_answered_without_a_look_at_the_runs():
    query = PythonQuery().compile(" ")
    assert query.hints == AllOf(())
    assert query.exact
    assert PythonQuery().compile("", "metric").hints is None


def test_a_long_list_is_a_hint_up_to_a_limit():
    def compiled(count: int) -> Any:
        return PythonQuery(QueryLimits(hint_constants=20)).compile(f"run.a in {list(range(count))}")

    assert compiled(20).exact
    assert compiled(21).hints is None


def test_hints_that_need_lookups_are_given_up_to_a_limit():
    def compiled(count: int, more: str = "") -> Any:
        names = " or ".join(f"run.name == '{number}'" for number in range(count))
        return PythonQuery(QueryLimits(hint_lookups=20)).compile(f"({names}){more}")

    assert len(compiled(20).hints.hints) == 20
    assert compiled(20).exact
    assert (compiled(21).hints, compiled(21).exact) == (None, False)
    assert (compiled(21, " and run.a == 1").hints, compiled(21, " and run.a == 1").exact) == (A1, False)
    prefixes = [str(number) for number in range(21)]
    assert PythonQuery(QueryLimits(hint_lookups=20)).compile(f"run.name.startswith({prefixes})").hints is None


def test_computing_constants_is_bounded():
    many = ", ".join(["9_999 * 'x'"] * 9_000)
    assert PythonQuery().compile(f"run.a in [{many}]").hints is None


def test_every_property_that_can_be_asked_for_is_one():
    assert PROPERTIES.keys() == STORED_PROPERTIES - {"active", "duration"}


def test_every_fact_of_an_array_is_known():
    array = wrap(np.zeros((2, 3)))
    read = {name for name in dir(np.ndarray) if array.attribute(name) is not MISSING}
    assert read == ARRAY_FACTS


# Compiling when it is needed


def test_an_exact_query_is_compiled_when_it_is_first_asked():
    program = (
        "import sys\n"
        "from types import SimpleNamespace\n"
        "from aimstore.query import PythonQuery, RunView\n"
        "query = PythonQuery().compile('run.a == 1 and run.created_at > datetime(2024, 5, 1) and run.lr in (1, 2)')\n"
        "assert query.exact\n"
        "assert 'RestrictedPython' not in sys.modules\n"
        "query.matches(RunView(SimpleNamespace(hash='', properties={}, attributes={}, metrics=[])))\n"
        "assert 'RestrictedPython' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


@pytest.mark.parametrize("name", [*sorted(INSPECT_ATTRIBUTES), "x__roles__"])
def test_what_restricted_python_refuses_is_refused_at_once(name):
    with pytest.raises(QuerySyntaxError):
        PythonQuery().compile(f"run.{name} == 1")


def test_an_exact_query_is_first_asked_by_several_threads(make_object):
    begin = threading.Barrier(4)
    found = []

    def ask() -> None:
        begin.wait(WAIT_SECONDS)
        found.append(query.matches(RunView(make_object({"a": 1}))))

    query = PythonQuery().compile("run.a == 1 and run.a")
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4


# Hints in words


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (
            "run.hparams.lr < 0.01 and (run.experiment == 'a' or 'b' in run.tags)",
            "hparams.lr < 0.01 and (experiment == 'a' or tags has 'b')",
        ),
        ("run['name'] == 'x' and run.name == 'y'", "['name'] == 'x' and name == 'y'"),
        ("run['a b', 'name'] or run[0].x", "['a b'].name or [0].x"),
        ("(run.a and run.b) or is_defined(run.c)", "(a and b) or is_defined(c)"),
        ("run.a.startswith('x')", "a.startswith('x')"),
        ("run.a in (1, 'x')", "a in [1, 'x']"),
        (f"run.a in {list(range(10_000))}", "a in [0, 1, 2, 3, 4, … 9,995 more]"),
        ("run.hash == '" + "e" * 24 + "'", "hash == '" + "e" * 24 + "'"),
        (f"run.hash in ('{'e' * 24}', '{'f' * 24}')", f"hash in ['{'e' * 24}', '{'f' * 24}']"),
        ("run.created_at > datetime(2024, 5, 1)", "created_at > datetime('2024-05-01T00:00:00+00:00')"),
        ("run.metrics['loss'].last < 1", "sequences['loss'].last < 1"),
        ("'loss' in run.metrics", "is_defined(sequences['loss'])"),
        ("metric.context.subset == 'val'", "any sequence.context.subset == 'val'"),
        (f"run.a == '{'x' * 1000}'", "a == 'xxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxx'"),
    ],
)
def test_hints_in_words(expression, words):
    assert describe(PythonQuery().compile(expression, "metric").hints) == words
