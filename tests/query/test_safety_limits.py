"""What no query can do: take more than 2 s or 100 MB, to be compiled, planned or evaluated, or reach a live object."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import textwrap

import pytest

from aimstore import Repo, Run
from aimstore.errors import QuerySyntaxError
from aimstore.query import PythonQuery, RunView, SequenceView, namespace, values, views
from aimstore.query.functions import METHODS, call_method
from aimstore.query.limits import Budget
from tests.query.test_safety import PLAIN, VIEWS

REFUSED = [
    "try:\n run.a\nexcept* ValueError as group:\n group",
    "[1 for _a in run.a]",
    "[1 for __builtins__ in run.a]",
    "[1 for (a, _b) in run.a]",
    "[1 for _iterate_ in run.a]",
    "[1 for _getattr_ in run.a]",
    "timedelta(_days=1)",
    "timedelta(__class__=1)",
    "round(1.5, __class__=1)",
    "run.a.get('x', default=_getattr_)",
    "len(_getattr_)",
    "max(_getitem_, _method_)",
    "any(_method_(x, 'lower') for x in run.a)",
    "_iterate_(run.a)",
    "__builtins__",
    "__import__",
    "run.__dict__",
    "run.a.__len__",
    "run.a.__class__()",
    "run.metrics['loss'].__class__",
    "run.a.__getitem__('x')",
    "run.tags.__class__.__mro__",
    "str.format",
    "str.format_map",
    "'%s'.format(run.a)",
    "f'{run.a!r:>{run.b}}'",
    "string.Formatter().vformat('{0}', (run.a,), {})",
    "str.join('', run.a)",
    "'{}'.__format__(run.a)",
    "map(len, run.a)",
    "filter(None, run.a)",
    "sorted(run.a)",
    "zip(run.a, run.a)",
    "reversed(run.a)",
    "enumerate(run.a)",
    "range(10 ** 9)",
    "iter(run.a)",
    "next(run.a)",
    "list(run.a)",
    "dict(run.a)",
    "set(run.a)",
    "tuple(run.a)",
    "bytes(10 ** 9)",
    "bytearray(10 ** 9)",
    "memoryview(run.a)",
    "slice(1)",
    "object()",
    "super()",
    "print",
    "id(run.a)",
    "hash(run.a)",
    "dir(run.a)",
    "repr(run.a)",
    "compile('1', '', 'eval')",
    "input()",
    "setattr(run.a, 'x', 1)",
    "(x for x in run.a).gi_code.co_consts",
    "(x for x in run.a).ag_frame",
    "[x for x in run.a].cr_await",
    "run.a.gi_frame.f_back.f_builtins",
    "run.a.tb_frame.f_locals",
    "run.a.f_back",
    "run.a.co_code",
    "run.a.x__roles__",
    "import os",
    "from os import *",
    "global x",
    "del run.a",
    "assert run.a",
    "match run.a:\n case 1: 1",
    "run.a.matches('(')",
    "run.a.matches(r'(a)\\1')",
]
"""See `REFUSED` in the tests of the language's safety, too."""


@pytest.mark.parametrize("subject", ["run", "metric", "sequence"])
@pytest.mark.parametrize("expression", REFUSED)
def test_ways_out_are_refused_when_compiled(expression, subject):
    with pytest.raises(QuerySyntaxError):
        PythonQuery().compile(expression, subject)


@pytest.mark.parametrize(
    "template", ["{}", "any(x == {} for x in run.a)", "len({})", "[{}][0]", "run.a[{}]", "{}.x", "{}[0]"]
)
def test_no_guard_or_function_is_a_value(template):
    for name in namespace.make_globals():
        with pytest.raises(QuerySyntaxError):
            PythonQuery().compile(template.format(name))


def test_nothing_live_is_reached_from_a_run_of_a_repository(tmp_path):
    """Every name that the objects behind a run have is asked for, of everything that is reached."""
    with Run(repo=tmp_path, tags=["a"]) as run:
        run["a"] = {"b": [1, {"c": "text"}], "large": list(range(5000))}
        run.track(1.0, name="loss", context={"subset": "train"})
        run.track("text", name="note")
    with contextlib.closing(Repo(tmp_path)) as repo:
        (source,) = repo.sources()
        behind = [
            source,
            source.record,
            source.row,
            source.metrics,
            source.record.sequences[0],
            repo,
            repo.parts,
            repo.catalog,
        ]
        behind += [repo.parts.backend, repo.parts.indexer, repo.parts.database, run, source.attributes["a"]["large"]]
        names = sorted(
            {name for each in behind for name in (*dir(each), *getattr(each, "__dict__", ()))} | {"repo", "db", "tree"}
        )
        view = RunView(source)
        waiting: list[tuple[object, int]] = [(view, 0)]
        waiting += [(SequenceView(each, view), 0) for each in source.record.sequences]
        reached = 0
        while waiting:
            value, depth = waiting.pop()
            reached += 1
            assert type(value) in PLAIN | VIEWS, f"reached {value!r}"
            if depth == 3:
                continue
            found = [namespace.get_attribute(value, name) for name in names]
            found += [namespace.get_item(Budget(), value, key) for key in (*names, "a", "loss", "note", 0, slice(1))]
            for method in METHODS:
                with contextlib.suppress(TypeError):  # the wrong number of arguments
                    found.append(call_method(Budget(), value, method))
            with contextlib.suppress(TypeError):  # not a collection
                found += list(namespace.iterate(Budget(), value))[:20]
            waiting += [(each, depth + 1) for each in found if each is not values.MISSING]
        assert reached > 100
        assert {views.RunView, views.MetricsView, views.MetricView, values.DictView, values.ListView} <= VIEWS


COMPILED = {
    "a power": "run.x == 9**9**9",
    "a long text": "run.x == 'a'*10**9",
    "many powers": "run.x in [" + "9**1200," * 9000 + "]",
    "many long texts": "run.x in [" + "'a'*9999," * 9000 + "]",
    "many prefixes": "run.x.startswith([" + "'a'*9999," * 9000 + "])",
    "a list of a million": "run.x in [" + "0," * 10**6 + "]",
    "a list that just fits": "run.x in [" + "0," * 20_000 + "]",
    "a long number": "run.x == " + "9" * 390_000,
    "a long number in hex": "run.x == 0x" + "f" * 390_000,
    "a long exponent": "run.x == 1e" + "9" * 390_000,
    "repeated shifts": "run.x == 1 << 10**9",
    "a list times a number": "run.x == [0] * 10**9",
    "formatting": "run.x == '%999999999d' % 1",
    "a duration": "run.x == timedelta(days=10**300)",
    "a date": "run.x == datetime(10**9, 1, 1)",
    "rounding": "run.x == round(5, -10**9)",
    "a text to a number": "run.x == int('9' * 10_000)",
    "a number to a text": "run.x == str(9**1200)",
    "brackets": "[" * 200_000,
    "parentheses": "(" * 5000 + "1" + ")" * 5000,
    "nots": "not " * 5000 + "run.a",
    "signs": "-" * 5000 + "1",
    "items": "run.a" + "[0]" * 5000,
    "dots": "run" + ".a" * 20_000,
    "a sum": "+".join(["1"] * 20_000),
    "a chain": "run.a < " * 400 + "run.b",
    "chains": " and ".join(["run.a < " * 99 + "1"] * 100),
    "chains that just fit": " and ".join(["run.a < " * 99 + "1"] * 20),
    "ands in ands": "(" * 90 + " and ".join(["run.a == 1"] * 7000) + " and run.b == 1)" * 90,
    "loops in loops": "len(" + "[" * 80 + "[" + "1," * 40_000 + "]" + " for x in run.a]" * 80 + ") == 1",
    "calls in calls": "len(" * 95 + "run.a" + ")" * 95,
    "quotes": "'" * 399_999,
    "quotes that are escaped": "'\\" * 199_999,
    "quotes of both kinds": "'\"" * 199_999,
    "quotes in threes": "'''\"\"\"" * 60_000 + "'",
    "assignments": "run.a = " * 40_000,
    "line breaks": "run.a" + "\n" * 390_000,
    "a faulty long line": "run.a == '" + "\U0001f600" * 100_000 + "' = ",
    "patterns in patterns": "run.x.matches('((((a{1000}){1000}){1000}){1000}){1000}')",
    "a long pattern": "run.x.matches('" + "(a|b)*" * 50_000 + "')",
}
EVALUATED = [
    "9 ** 9 ** 9 == 1",
    "'a' * 10 ** 9 == ''",
    "[0] * 10 ** 9 == 1",
    "'%999999999d' % 1 == ''",
    "int('9' * 5000) == 1",
    "str(9 ** 1290 * 3) == ''",
    "float('9' * 9999 + 'x') == 1",
    "timedelta(days=10 ** 300) == 1",
    "datetime(10 ** 9, 1, 1) == 1",
    "len([[[1 for a in run.big] for b in run.big] for c in run.big]) == 1",
    "sum(sum(sum(run.big) for a in run.big) for b in run.big) == 1",
    "sum([9 ** 1200 for a in run.big]) == 1 and False or len([9 ** 1200 for a in run.big for b in run.big]) == 1",
    "any(run.text.matches('(a+)+b$') for x in run.big)",
    "any(run.text.matches('(a|a)*b') for x in run.big)",
    "any(run.text.matches('(.*)*b' + run.text[:x % 100]) for x in run.big)",
    "len([run.big + run.big for a in run.big]) == 1",
    "len(['a' * 9999 for a in run.big for b in run.big]) == 1",
    "len([run.text.split('a') for a in run.big for b in run.big]) == 1",
    "len([run.text.upper() for a in run.big for b in run.big]) == 1",
    "any(run.deep == run.deep2 for a in run.big for b in run.big)",
]

PROGRAM = """
    import json, os, resource, sys
    from aimstore.errors import QueryRuntimeError, QuerySyntaxError
    from aimstore.query import PythonQuery, RunView

    class Record:
        hash, properties, metrics = "a" * 24, {}, []
        attributes = {"big": list(range(100_000)), "text": "a" * 1_000_000, "x": "a" * 1_000_000, "a": [1], "b": 2}

    deep, deep2 = [], []
    for _ in range(150):
        deep, deep2 = [deep, deep], [deep2, deep2]
    Record.attributes |= {"deep": deep, "deep2": deep2}

    assert PythonQuery().compile("len(run.a) == 1 and run.b != 3 and 'b'.matches('b')").matches(RunView(Record()))
    with open("/proc/self/status") as status:
        (size,) = (int(line.split()[1]) for line in status if line.startswith("VmSize"))
    for name, expression, must_fail in json.load(sys.stdin):
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, ((size << 10) + 100_000_000,) * 2)
            resource.setrlimit(resource.RLIMIT_CPU, (2, 2))
            try:
                query = PythonQuery().compile(expression)
                query.matches(RunView(Record()))
            except QuerySyntaxError:
                os._exit(0)
            except QueryRuntimeError as error:
                os._exit(2 if isinstance(error.__cause__, MemoryError) else 0)
            except BaseException as error:
                os.write(1, f"{name}: {error!r:.300}\\n".encode())
            else:
                os._exit(3 if must_fail else 0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            print(name, "ended with", status, flush=True)
"""


@pytest.mark.parametrize("which", ["compiled", "evaluated"])
def test_every_bomb_ends_within_two_seconds_and_100_megabytes(which):
    """Each in a process of its own, which the system ends where it takes more time, and refuses more memory."""
    if which == "compiled":
        bombs = [(name, expression, False) for name, expression in COMPILED.items()]
    else:
        bombs = [(expression, expression, True) for expression in EVALUATED]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        input=json.dumps(bombs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
