"""No query reaches anything but plain values and views."""

from __future__ import annotations

import contextlib
import itertools
import sys
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from aimstore import Repo, Run
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
from aimstore.query.functions import FUNCTIONS, METHODS, call_method, iterate
from aimstore.query.limits import Budget
from aimstore.repository import catalog_of, context_of
from aimstore.repository.selection import Pushdown, Selection

REFUSED = {
    "cannot read the attribute": [
        "().__class__", "().__class__.__base__.__subclasses__()", "run.__class__", "run.__dict__", "run.a.__len__",
        "run.__init__.__globals__", "run.a.__class__()", "run.a.__getitem__('x')", "run.metrics['loss'].__class__",
        "run.tags.__class__.__mro__", "'{}'.__format__(run.a)", "run._source", "run.hparams._mapping", "run.metrics._run",
        "'{0.__class__}'.format(run.a)", "'{a.__class__}'.format_map({'a': 1})", "run.name.format", "str.format_map",
        "str.format('{0.__class__}', run.a)", "string.Formatter().format('{0.__class__}', run.a)", "str.mro",
    ],
    "is a restricted name|is an invalid attribute name": [
        "[x for x in run.a].gi_frame", "[x for x in run.a].cr_await", "run.a.gi_frame", "run.a.gi_yieldfrom",
        "run.a.gi_frame.f_back.f_builtins", "run.a.cr_frame", "run.a.tb_frame", "run.a.tb_frame.f_locals",
        "run.a.f_globals", "run.a.f_back", "run.a.ag_code", "run.a.co_code", "run.a.x__roles__",
    ],
    "unknown name": [
        "_getattr_(run.a, '__class__')", "[_getattr_ for x in run.a]", "len(_getattr_)", "_budget_", "_left_ < 1",
        "max(_getitem_, _method_)", "any(_method_(x, 'lower') for x in run.a)", "_iterate_(run.a)", "__builtins__",
        "__import__('os')", "type", "type(run.a)", "getattr(run.a, '__class__')", "setattr(run.a, 'x', 1)", "eval('1')",
        "exec('1')", "compile('1', '', 'eval')", "open('/etc/passwd')", "input()", "breakpoint()", "globals()",
        "vars(run.a)", "dir(run.a)", "id(run.a)", "hash(run.a)", "repr(run.a)", "print", "print(run.a)", "printed",
        "map(len, run.a)", "filter(None, run.a)", "sorted(run.a, key=str)", "zip(run.a, run.a)", "reversed(run.a)",
        "enumerate(run.a)", "range(10 ** 9)", "iter(run.a)", "next(run.a)", "list(run.a)", "dict(run.a)", "set(run.a)",
        "tuple(run.a)", "bytes(10 ** 9)", "bytearray(10 ** 9)", "memoryview(run.a)", "slice(1)", "object()", "super()",
    ],
    "cannot call a method": [
        "run.a()", "run.a.append(1)", "run.a.update({})", "run.a.pop('b')", "run.a.names()", "run.a.attribute('x')",
        "run.a.load()", "run.a.join(['x'])", "str.join('', run.a)", "run.name.zfill(10 ** 9)",
        "run.name.replace('', 'x')", "run.name.encode()", "string.Formatter().vformat('{0}', (run.a,), {})",
    ],
    "only functions and methods can be called": [
        "(lambda x=run.a: x)()", "[len][0](run.a)", "(len if run.a else max)(run.a)", "run['a']()", "run.a.b()()",
    ],
    "a query cannot contain": [
        "lambda: 1", "any(len(lambda x: x) for y in run.a)", "f'{run.a}'", "f'{run.a.__class__}'", "f'{run.a!r:>{run.b}}'",
        "len([y := 1])", "len([*run.a])", "len({**run.a})", "max(*run.a)", "timedelta(**run.a)", "timedelta(_days=1)",
        "timedelta(__class__=1)", "max(run.a, key=len)", "run.a.get('x', default=_getattr_)", "(await run.a)",
        "(yield run.a)", "[x async for x in run.a]", "{x for x in run.a}", "{x: 1 for x in run.a}", "run[...]",
        "1 << 10 ** 9",
    ],
    "a loop variable": [
        "any(_budget_ for _budget_ in [1])", "any(_eq_ for _Eq_ in [1])", "[1 for _a in run.a]", "[1 for run in [2]]",
        "[1 for __builtins__ in run.a]", "[1 for (a, _b) in run.a]", "[1 for _iterate_ in run.a]", "[1 for len in [2]]",
        "[1 for _getattr_ in run.a]", "[1 for run.a in [2]]", "[1 for run.a[0] in [2]]", "[1 for *a, b in run.a]",
        "[1 for (a, (b, c)) in run.a]",
    ],
    "a generator is not a value": [
        "(y for y in [1])", "(x for x in [1]).gi_frame", "(x for x in run.a).gi_code.co_consts",
        "any(g.gi_frame.f_back for g in [(x for x in [1])])",
    ],
    "is a function|alone is not a value": ["any(len)", "run.a if run.a else run", "max(run)"],
    "a collection is not a condition": ["[run.a]", "{1: run.a}"],
    "invalid syntax|unmatched": [
        "not run.a; import os", "run.a\n\nimport os", "run.a)\nprint((1", "run.a] or [run.b", "from os import *",
        "global x", "del run.a", "assert run.a", "match run.a:\n case 1: 1",
        "try:\n run.a\nexcept* ValueError as group:\n group",
    ],
}  # fmt: skip
"""Ways out that are known, by what is said of them."""


@pytest.mark.parametrize("subject", ["run", "metric", "sequence"])
@pytest.mark.parametrize(("reason", "expression"), [(reason, each) for reason in REFUSED for each in REFUSED[reason]])
def test_known_ways_out_are_refused_when_compiled(reason, expression, subject):
    with pytest.raises(QuerySyntaxError, match=reason):
        PythonQuery().compile(expression, subject)


@pytest.mark.parametrize(
    "template", ["{}", "any(x == {} for x in run.a)", "len({})", "[{}][0]", "run.a[{}]", "{}.x", "{}[0]"]
)
def test_no_guard_or_function_is_a_value(template):
    for name in namespace.make_globals():
        with pytest.raises(QuerySyntaxError):
            PythonQuery().compile(template.format(name))


PLAIN = {bool, int, float, complex, str, bytes, type(None), datetime, date, timedelta, tuple}
VIEWS = {values.DictView, values.ListView, values.MissingValue, values.OpaqueView}
VIEWS |= {views.RunView, views.MetricsView, views.MetricView, views.SequenceView}


def reach(start, names, keys, depth):
    """Walk by every attribute, item, loop and method that a query could write; the types of what is reached, all harmless."""
    waiting = [(value, 0) for value in start]
    kinds = set()
    while waiting:
        value, steps = waiting.pop()
        assert type(value) in PLAIN | VIEWS, f"reached {value!r}"
        kinds.add(type(value))
        if steps == depth or (value is MISSING and steps > 0):
            continue
        found = [namespace.get_attribute(value, name) for name in names]
        for key in keys:
            try:
                found.append(namespace.get_item(Budget(), value, key))
            except LookupError:  # a metric's name alone may be ambiguous
                assert isinstance(value, views.MetricsView)
        for method in METHODS:
            for arguments in ([], ["hparams"]):
                with contextlib.suppress(TypeError):  # the wrong number of arguments
                    found.append(call_method(Budget(), value, method, *arguments))
        if steps < 3:
            with contextlib.suppress(TypeError):  # not a collection
                found += itertools.islice(iterate(Budget(), value), 20)
        waiting += [(each, steps + 1) for each in found if each is not MISSING]
    return kinds


def test_everything_reachable_is_a_plain_value_or_a_view(entry):
    entry.attributes["array"] = np.arange(3)
    entry.attributes["custom"] = object()
    entry.attributes["module"] = sys
    entry.attributes["function"] = test_known_ways_out_are_refused_when_compiled
    entry.attributes["class"] = dict
    run = RunView(entry)
    python_names = {name for value in ("", 1, 1.5, [], {}, (), run, sys, datetime.now(), dict) for name in dir(value)}
    python_names |= {"gi_frame", "cr_frame", "tb_frame", "f_globals", "load", "_source", "_run", "_mapping", "_items"}
    names = sorted(
        RUN_PROPERTIES | SEQUENCE_PROPERTIES | python_names | set(entry.attributes) | {"lr", "opt", "subset"}
    )
    keys = [*names, 0, -1, 1, slice(None), (), ("hparams", "opt"), ("__class__",), None, 1.5, True, ("loss", {})]
    start = [run, MetricView(entry.metrics[0], run), MISSING, SequenceView(entry.metrics[0], run)]
    assert reach(start, names, keys, depth=4) >= VIEWS - {values.MissingValue}


def test_nothing_live_is_reached_from_a_run_of_a_repository(tmp_path):
    """Every name that the objects behind a run have is asked for, of everything that is reached."""
    with Run(repo=tmp_path, tags=["a"]) as run:
        run["a"] = {"b": [1, {"c": "text"}], "large": list(range(5000))}
        run.track(1.0, name="loss", context={"subset": "train"})
        run.track("text", name="note")
    with contextlib.closing(Repo(tmp_path)) as repo:
        (source,) = Selection(catalog_of(repo), Pushdown())
        behind = [source, source.entry, source.row, source.metrics, source.entry.sequences[0], repo, context_of(repo)]
        behind += [catalog_of(repo), context_of(repo).backend, context_of(repo).indexer, context_of(repo).database, run]
        behind.append(source.attributes["a"]["large"])
        names = sorted(
            {name for each in behind for name in (*dir(each), *getattr(each, "__dict__", ()))} | {"repo", "db", "tree"}
        )
        view = RunView(source)
        start = [view, *(SequenceView(each, view) for each in source.entry.sequences)]
        kinds = reach(start, names, [*names, "a", "loss", "note", 0, slice(1)], depth=3)
    assert kinds >= {views.RunView, views.MetricsView, views.MetricView, values.DictView, values.ListView}


def test_the_compiled_function_has_no_builtins_and_only_guards():
    reachable = namespace.make_globals()
    assert reachable.pop("__builtins__") == {}
    assert {name for name in reachable if not name.startswith("_")} == set(FUNCTIONS)


def test_what_a_query_gets_cannot_change_the_entry(entry):
    view = RunView(entry)
    hparams = view.item(Budget(), "hparams")
    for value in (hparams, hparams.item(Budget(), "layers"), view.attribute("metrics")):
        for name in ("__setitem__", "append", "update", "pop", "__delitem__"):
            assert not hasattr(value, name)


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
