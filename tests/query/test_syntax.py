"""Bad queries: the place of the fault, and the hint."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aimstore.errors import QuerySyntaxError
from aimstore.query import RUN_PROPERTIES, PythonQuery


def fault_of(expression: str, subject: str = "run") -> QuerySyntaxError:
    with pytest.raises(QuerySyntaxError) as raised:
        PythonQuery().compile(expression, subject)
    return raised.value


@pytest.mark.parametrize(
    ("expression", "column", "hint"),
    [
        ("run.lr = 1", 8, "did you mean ==?"),
        ("run.lr := 1", 8, "did you mean ==?"),
        ("(lr := 1)", 2, "did you mean ==?"),
        ("run.lr && run.b", 8, 'use "and"'),
        ("run.a == '&&' || run.b", 15, 'use "or"'),
        ("!run.a", 1, 'use "not"'),
        ("run.a <> 1", 7, 'use "=="'),
        ("run.a => 1", 7, 'use "<="'),
        ("run.a AND run.b", 7, "lower case"),
        ("run.name LIKE 'a%'", 10, "startswith"),
        ("run.a & run.b", 7, 'use "and"'),
        ("run.a  |run.b", 8, 'use "or"'),
        ("~run.a", 1, 'use "not"'),
        ("run.a ^ 2", 7, "**"),
        ("run.a is 1", 7, 'use "=="'),
        ("rnu.a == 1", 1, "did you mean run?"),
        ("run.a == baseline", 10, "quotes"),
        ("experiment == 'a'", 1, "did you mean run.experiment?"),
        ("run.a == null", 10, "did you mean None?"),
        ("run.a == true", 10, "did you mean True?"),
        ("metric.last < 1", 1, "use query_metrics"),
        ("run.hparams.format == 1", 13, "['format']"),
        ("run.a.__class__", 7, "['__class__']"),
        ("run.name.lowr() == 1", 10, "did you mean lower()?"),
        ("run.metrics()", 5, "leave the parentheses out"),
        ("len", 1, "call it"),
        ("run.a == len", 10, "call it"),
        ("lenn(run.a)", 1, "did you mean len?"),
        ("run", 1, "run.name"),
        ("run.a, run.b", 1, "and"),
        ("(x for x in run.a)", 1, "any"),
        ("'é' == run.ä and metrik", 18, "quotes"),
        ("run.a ==", 9, ""),
        ("(run.a", 1, ""),
        ("run.a)", 6, ""),
        ("1) or (1", 2, ""),
        ("run..a", 5, ""),
        ("run.a == 'x", 10, ""),
        ("run.a == 1 run.b", 12, ""),
        ("import os", 1, ""),
    ],
)
def test_the_fault_has_a_place_and_a_hint(expression, column, hint):
    error = fault_of(expression)
    assert (error.line, error.column) == (1, column)
    assert hint in error.hint
    shown = str(error).splitlines()
    assert shown[1].strip() == expression.strip()
    assert shown[2].index("^") == 4 + column - 1


def test_the_place_in_a_query_of_several_lines():
    error = fault_of("run.a == 1\n  and foo == 2")
    assert (error.line, error.column) == (2, 7)
    error = fault_of("run.a == 1\n  && run.b")
    assert (error.line, error.column) == (2, 3)


@pytest.mark.parametrize("expression", ["metric.nam == 'loss'", "metric.lst < 1", "metric.whatever"])
def test_a_metric_has_fixed_attributes(expression):
    assert fault_of(expression, "metric").hint


@pytest.mark.parametrize(
    ("expression", "subject", "reason", "hint"),
    [
        ("sequence.knd == 'image'", "sequence", "a sequence has no attribute 'knd'", "did you mean sequence.kind?"),
        ("metric.kind == 'number'", "metric", "a metric has no attribute 'kind'", ""),
        ("metric.last < 1", "sequence", "a query for sequences has no 'metric'", "did you mean sequence?"),
        ("sequence.kind == 'text'", "metric", "a query for metrics has no 'sequence'", "did you mean metric?"),
        ("sequence.kind == 'text'", "run", "a query for runs has no 'sequence'", "use query_sequences"),
        ("sequence", "sequence", "'sequence' alone is not a value", "sequence.name"),
        ("any(sequence for sequence in [1])", "sequence", "a loop variable cannot be called 'sequence'", ""),
        ("sequence.kind()", "sequence", "a query cannot call a method 'kind'", "leave the parentheses out"),
    ],
)
def test_each_subject_has_its_own_names(expression, subject, reason, hint):
    fault = fault_of(expression, subject)
    assert fault.reason == reason
    assert hint in fault.hint


def test_sequence_is_a_name_like_any_other_where_it_is_no_subject():
    assert PythonQuery().compile("any(sequence.last > 1 for sequence in run.metrics)").attributes == {
        ("run", "metrics")
    }


@pytest.mark.parametrize(
    "expression",
    ["run.a == 1\x00", "run.a == '\ud800", "-" * 5000 + "1", "(" * 500 + "1" + ")" * 500, "1+" * 500 + "1"],
)
def test_hostile_text_is_refused(expression):
    fault_of(expression)


def test_too_long_a_query_is_refused_before_it_is_parsed():
    assert "characters" in fault_of("1 or " * 100_000 + "1").reason


def test_thousands_of_hashes_fit():
    hashes = [f"{number:024x}" for number in range(5_000)]
    PythonQuery().compile(f"run.hash in {hashes}")


def test_a_query_is_text():
    with pytest.raises(TypeError, match="int"):
        PythonQuery().compile(5)


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ("run.hparams.lr < 1", {("run", "hparams", "lr")}),
        ("run['hparams', 'lr'] < run.hparams['lr']", {("run", "hparams", "lr")}),
        ("run.archived or run.created_at.year == 1", {("run", "archived"), ("run", "created_at")}),
        ("run['archived']", {("run",)}),
        ("run[run.key].x", {("run",), ("run", "key")}),
        ("run.name.lower() == 'a'", {("run", "name")}),
        ("any(x.y > 1 for x in run.a.values())", {("run", "a")}),
        ("run.metrics['loss', {}].last < 1", {("run", "metrics")}),
        ("(run.a if run.b else run.c).d", {("run", "a"), ("run", "b"), ("run", "c")}),
        ("run.layers[0] == 1 and run.layers[1:2] == [1]", {("run", "layers"), ("run", "layers", 0)}),
        ("", set()),
    ],
)
def test_attributes_that_a_run_query_reads(expression, paths):
    assert PythonQuery().compile(expression).attributes == paths


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ("metric.name == 'a' and metric.context.subset == 'b'", {("metric", "name"), ("metric", "context", "subset")}),
        ("metric.run.archived", {("run", "archived")}),
        ("any(m.run.archived for m in run.metrics)", {("run", "metrics"), ("run", "archived")}),
        ("any(m.run['a'].run.name for m in run.metrics)", {("run", "metrics"), ("run", "a", "run", "name")}),
        ("run.metrics['a'].run.archived", {("run", "metrics"), ("run", "archived")}),
    ],
)
def test_attributes_that_a_metric_query_reads(expression, paths):
    assert PythonQuery().compile(expression, "metric").attributes == paths
    renamed = {tuple("sequence" if key == "metric" else key for key in path) for path in paths}
    assert PythonQuery().compile(expression.replace("metric.", "sequence."), "sequence").attributes == renamed


@pytest.mark.parametrize(
    ("expression", "archived"),
    [
        ("run.archived and run.run == 1", True),
        ("run[()].archived", True),
        ("run[() if run.a else 'b'].archived", True),
        ("run[(), ()].archived", True),
        ("run[()][()].archived", True),
        ("any(m.run.archived for m in run.metrics)", True),
        ("any(m.run[()].archived for m in run.metrics)", True),
        ("any(r.archived for r in [m.run for m in run.metrics])", True),
        ("[run[()]][0].archived", True),
        ("run.run.archived", False),
        ("run['archived'] == 1", False),
        ("run.a.archived", False),
        ("[m.run for m in run.metrics][0].name == 'a'", False),
        ("any(m.run.active for m in run.metrics)", False),
    ],
)
def test_a_query_that_mentions_what_is_archived_reads_it(expression, archived):
    read = PythonQuery().compile(expression).attributes
    assert (("run", "archived") in read) == archived


def test_a_run_that_is_a_value_may_be_read_anywhere():
    read = PythonQuery().compile("[metric.run][0].name == 'a'", "metric").attributes
    assert read == {("run",)} | {("run", name) for name in RUN_PROPERTIES - {"archived"}}


def test_importing_the_views_loads_no_heavy_library():
    code = "import sys, aimstore.query; print({'RestrictedPython', 'numpy', 'sqlalchemy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_chain_of_comparisons_has_a_bound():
    PythonQuery().compile(" < ".join(["run.a"] * 101))
    with pytest.raises(QuerySyntaxError, match="100 comparisons"):
        PythonQuery().compile(" < ".join(["run.a"] * 402))


def test_a_list_of_ten_thousand_hashes_is_a_query():
    hashes = [f"{number:024x}" for number in range(10_000)]
    query = PythonQuery().compile(f"run.hash in {hashes}")
    assert query.exact
