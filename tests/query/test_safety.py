"""No query reaches anything but plain values and views, and none takes more than its share of time and memory."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from aimstore.errors import QueryRuntimeError, QuerySyntaxError
from aimstore.query import (
    MISSING,
    RUN_PROPERTIES,
    SEQUENCE_PROPERTIES,
    MetricView,
    PythonQuery,
    RunView,
    SequenceView,
    namespace,
    values,
    views,
)
from aimstore.query.functions import FUNCTIONS, METHODS, call_method
from aimstore.query.limits import Budget

REFUSED = [
    "().__class__",
    "().__class__.__base__.__subclasses__()",
    "run.__class__",
    "run.__init__.__globals__",
    "run._source",
    "run.hparams._mapping",
    "run.metrics._run",
    "_getattr_(run.a, '__class__')",
    "_budget_",
    "_left_ < 1",
    "[_getattr_ for x in run.a]",
    "any(_budget_ for _budget_ in [1])",
    "any(_eq_ for _Eq_ in [1])",
    "(x for x in [1]).gi_frame",
    "[x for x in run.a].gi_frame",
    "any(g.gi_frame.f_back for g in [(x for x in [1])])",
    "(y for y in [1])",
    "run.a.gi_frame",
    "run.a.gi_yieldfrom",
    "run.a.cr_frame",
    "run.a.tb_frame",
    "run.a.f_globals",
    "run.a.ag_code",
    "'{0.__class__}'.format(run.a)",
    "'{a.__class__}'.format_map({'a': 1})",
    "run.name.format",
    "str.format('{0.__class__}', run.a)",
    "str.mro",
    "f'{run.a}'",
    "f'{run.a.__class__}'",
    "string.Formatter().format('{0.__class__}', run.a)",
    "type(run.a)",
    "type",
    "getattr(run.a, '__class__')",
    "eval('1')",
    "exec('1')",
    "open('/etc/passwd')",
    "__import__('os')",
    "globals()",
    "vars(run.a)",
    "print(run.a)",
    "printed",
    "breakpoint()",
    "lambda: 1",
    "(lambda x=run.a: x)()",
    "any(map(lambda x: x, [1]))",
    "[y := 1]",
    "[*run.a]",
    "max(*run.a)",
    "timedelta(**run.a)",
    "{**run.a}",
    "max(run.a, key=len)",
    "sorted(run.a, key=str)",
    "any(len)",
    "[len][0](run.a)",
    "(len if run.a else max)(run.a)",
    "run.a()",
    "run['a']()",
    "run.a.b()()",
    "(await run.a)",
    "(yield run.a)",
    "[x async for x in run.a]",
    "{x for x in run.a}",
    "{x: 1 for x in run.a}",
    "[1 for run in [2]]",
    "[1 for len in [2]]",
    "[1 for run.a in [2]]",
    "[1 for run.a[0] in [2]]",
    "[1 for (a, (b, c)) in run.a]",
    "[1 for *a, b in run.a]",
    "run[...]",
    "run.a if run.a else run",
    "1 << 10 ** 9",
    "run.a.append(1)",
    "run.a.update({})",
    "run.a.pop('b')",
    "run.a.names()",
    "run.a.attribute('x')",
    "run.a.load()",
    "run.a.join(['x'])",
    "run.name.zfill(10 ** 9)",
    "run.name.replace('', 'x')",
    "run.name.encode()",
    "not run.a; import os",
    "run.a\n\nimport os",
    "run.a)\nprint((1",
    "run.a] or [run.b",
]


@pytest.mark.parametrize("subject", ["run", "metric", "sequence"])
@pytest.mark.parametrize("expression", REFUSED)
def test_known_ways_out_are_refused_when_compiled(expression, subject):
    with pytest.raises(QuerySyntaxError):
        PythonQuery().compile(expression, subject)


PLAIN = {bool, int, float, complex, str, bytes, type(None), datetime, date, timedelta, tuple}
VIEWS = {values.DictView, values.ListView, values.MissingValue, values.OpaqueView}
VIEWS |= {views.RunView, views.MetricsView, views.MetricView, views.SequenceView}


def test_everything_reachable_is_a_plain_value_or_a_view(record):
    """Walks by every attribute, item, loop and method that a query could write."""
    record.attributes["array"] = np.arange(3)
    record.attributes["custom"] = object()
    record.attributes["module"] = sys
    record.attributes["function"] = test_known_ways_out_are_refused_when_compiled
    record.attributes["class"] = dict
    run = RunView(record)
    python_names = {name for value in ("", 1, 1.5, [], {}, (), run, sys, datetime.now(), dict) for name in dir(value)}
    python_names |= {"gi_frame", "cr_frame", "tb_frame", "f_globals", "load", "_source", "_run", "_mapping", "_items"}
    names = sorted(
        RUN_PROPERTIES | SEQUENCE_PROPERTIES | python_names | set(record.attributes) | {"lr", "opt", "subset"}
    )
    keys = [*names, 0, -1, 1, slice(None), (), ("hparams", "opt"), ("__class__",), None, 1.5, True, ("loss", {})]
    waiting: list[tuple[object, int]] = [(run, 0), (MetricView(record.metrics[0], run), 0), (MISSING, 0)]
    waiting.append((SequenceView(record.metrics[0], run), 0))
    kinds = set()
    while waiting:
        value, depth = waiting.pop()
        assert type(value) in PLAIN | VIEWS, f"reached {value!r}"
        kinds.add(type(value))
        if depth == 4 or (value is MISSING and depth > 0):
            continue
        found = [namespace.get_attribute(value, name) for name in names]
        for key in keys:
            try:
                found.append(namespace.get_item(Budget(), value, key))
            except LookupError:  # a metric's name alone may be ambiguous
                assert isinstance(value, views.MetricsView)
        for method in METHODS:
            for arguments in ([], ["hparams"]):
                try:
                    found.append(call_method(Budget(), value, method, *arguments))
                except TypeError:  # the wrong number of arguments
                    continue
        if depth < 3:
            with contextlib.suppress(TypeError):  # not a collection
                found += list(namespace.iterate(Budget(), value))
        waiting += [(each, depth + 1) for each in found if each is not MISSING]
    assert kinds >= VIEWS - {values.MissingValue}


def test_the_compiled_function_has_no_builtins_and_only_guards():
    reachable = namespace.make_globals()
    assert reachable.pop("__builtins__") == {}
    assert {name for name in reachable if not name.startswith("_")} == set(FUNCTIONS)


def test_what_a_query_gets_cannot_change_the_record(record):
    view = RunView(record)
    for value in (view.attribute("hparams"), view.item("hparams").item("layers"), view.attribute("metrics")):
        for name in ("__setitem__", "append", "update", "pop", "__delitem__"):
            assert not hasattr(value, name)


BOMBS = [
    "9 ** 9 ** 9 == 1",
    "9 ** 999999999 == 1",
    "2 ** 4000 * 2 ** 4000 == 1",
    "'a' * 10 ** 9 == ''",
    "10 ** 9 * 'a' == ''",
    "('a' * 9999 + 'a' * 9999) == ''",
    "'%999999999d' % 1 == ''",
    "round(5, -10 ** 9) == 1",
    "[0] * 10 ** 9 == 1",
    "any(False for a in run.big for b in run.big for c in run.big)",
    "any(any(a == -1 for a in run.big) for b in run.big)",
    "len([[a for a in run.big] for b in run.big]) == 1",
    "len(['a' * 9999 for a in run.big for b in run.big]) == 1",
    "len([9 ** 1200 for a in run.big for b in run.big]) == 1",
    "len([run.text.lower() for a in run.big]) == 1",
    "len([run.text.split() for a in run.big]) == 1",
    "len([run.text[1:] for a in run.big]) == 1",
    "len([run.big[1:] for a in run.big]) == 1",
    "len([run.table.items() for a in run.big]) == 1",
    "len([run.table.keys() for a in run.big]) == 1",
    "any(run.big == run.copy and False for a in run.big)",
    "any(-1 in run.big for a in run.big)",
    "any(run.big < run.copy for a in run.big)",
    "any(run.text != run.same for a in run.big)",
    "any(run.text < run.same for a in run.big)",
    "any('b' in run.text for a in run.big)",
    "any(run.text.count('aa') == 9 for a in run.big)",
    "len([{1} for a in run.big for b in run.big]) == 1",
    "sum(sum(run.big) for a in run.big) == 1",
    "any(max(run.big) < 0 for a in run.big)",
    "len([[" + "{}," * 5000 + "] for a in run.big]) == 1",
]


def test_bombs_end_with_an_error_in_bounded_time_and_memory():
    program = f"""
        import resource, time
        from aimstore.errors import QueryRuntimeError
        from aimstore.query import PythonQuery, QueryLimitError, RunView

        class Record:
            hash, properties, metrics = "a" * 24, {{}}, []
            attributes = {{
                "big": list(range(100_000)), "copy": list(range(100_000)), "text": "a " * 500_000,
                "same": "".join(["a "] * 500_000), "table": {{str(n): n for n in range(10_000)}},
            }}

        resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
        for expression in {BOMBS!r}:
            query = PythonQuery().compile(expression)
            try:
                query.matches(RunView(Record()))
            except QueryRuntimeError as error:
                assert isinstance(error.__cause__, (QueryLimitError, TypeError)), (expression[:80], error)
            else:
                raise SystemExit(f"{{expression[:80]}} came to an end")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_budget_is_not_used_up_by_earlier_evaluations(matches):
    for _ in range(20):
        assert matches("all(x >= 0 for x in run.big)", {"big": list(range(100_000))})


@pytest.mark.parametrize(
    "expression", ["run.a.b.c", "run.a == 1", "run.a != 1", "1 in run.a", "run.a + 1 == 2", "run.a.load"]
)
def test_a_custom_object_runs_no_code_of_its_own(matches, expression):
    class Hostile:
        def __getattr__(self, name):
            raise AssertionError(name)

        def load(self):
            raise AssertionError

        def __eq__(self, other):
            raise AssertionError

        __hash__ = None
        __bool__ = __len__ = __iter__ = __add__ = __eq__

    assert not matches(expression, {"a": Hostile()})


def test_a_loop_over_a_custom_object_is_an_error(matches):
    with pytest.raises(QueryRuntimeError, match="cannot loop over a value of type object"):
        matches("any(x for x in run.a)", {"a": object()})
