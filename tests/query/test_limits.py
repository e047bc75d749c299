"""No query takes more than 2 s, or more than some memory, to be compiled, planned or evaluated."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import warnings

import pytest

from aimstore.errors import QuerySyntaxError
from aimstore.query import PythonQuery

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
    "comparisons in chains in chains": " < (".join([" < ".join(["run.a"] * 98)] * 4) + ")))",
    "chains as deep as may be": "(1 < " * 45 + "run.a" + " < 2)" * 45,
    "dates in dates": "(run.created_at == " * 90 + "'2024-05-01'" + ")" * 90,
    "dates in lists of dates": "(run.created_at in [" * 45 + "'2024-05-01'" + "])" * 45,
    "loops beside loops": "any(1 for " + " for ".join(f"a{n} in run.a" for n in range(5_000)) + ")",
    "an argument given twice": "run.a == timedelta(days=1, days=2)",
    "a long pattern": "run.x.matches('" + "(a|b)*" * 50_000 + "')",
}
EVALUATED = [
    *("9 ** 9 ** 9 == 1", "9 ** 999999999 == 1", "2 ** 4000 * 2 ** 4000 == 1", "round(5, -10 ** 9) == 1"),
    *("'a' * 10 ** 9 == ''", "10 ** 9 * 'a' == ''", "('a' * 9999 + 'a' * 9999) == ''", "'%999999999d' % 1 == ''"),
    *("[0] * 10 ** 9 == 1", "int('9' * 5000) == 1", "str(9 ** 1290 * 3) == ''", "float('9' * 9999 + 'x') == 1"),
    *("timedelta(days=10 ** 300) == 1", "datetime(10 ** 9, 1, 1) == 1"),
    "any(False for a in run.big for b in run.big for c in run.big)",
    "any(any(a == -1 for a in run.big) for b in run.big)",
    "len([[a for a in run.big] for b in run.big]) == 1",
    "len([[[1 for a in run.big] for b in run.big] for c in run.big]) == 1",
    "len([{1} for a in run.big for b in run.big]) == 1",
    "len([[" + "1," * 5000 + "] for a in run.big]) == 1",
    "len(['a' * 9999 for a in run.big for b in run.big]) == 1",
    "len([9 ** 1200 for a in run.big for b in run.big]) == 1",
    "sum([9 ** 1200 for a in run.big]) == 1 and False or len([9 ** 1200 for a in run.big for b in run.big]) == 1",
    "sum(sum(run.big) for a in run.big) == 1",
    "sum(sum(sum(run.big) for a in run.big) for b in run.big) == 1",
    "any(max(run.big) < 0 for a in run.big)",
    "len([run.text.lower() for a in run.big]) == 1",
    "len([run.text.upper() for a in run.big for b in run.big]) == 1",
    "len([run.text.split() for a in run.big]) == 1",
    "len([run.text.split('a') for a in run.big for b in run.big]) == 1",
    "len([run.text[1:] for a in run.big]) == 1",
    "len([run.big[1:] for a in run.big]) == 1",
    "len([run.big + run.big for a in run.big]) == 1",
    "len([run.table.items() for a in run.big]) == 1",
    "len([run.table.keys() for a in run.big]) == 1",
    "any(run.big == run.copy and False for a in run.big)",
    "any(run.big < run.copy for a in run.big)",
    "any(-1 in run.big for a in run.big)",
    "any(run.deep == run.deep2 for a in run.big for b in run.big)",
    "any(run.text != run.same for a in run.big)",
    "any(run.text < run.same for a in run.big)",
    "any('b' in run.text for a in run.big)",
    "any(run.text.count('aa') == 9 for a in run.big)",
    "any(run.x.matches('(a+)+b$') for x in run.big)",
    "any(run.x.matches('(a|a)*b') for x in run.big)",
    "any(run.x.matches('(.*)*b' + run.x[:x % 100]) for x in run.big)",
    "run.long.split() == ['a']",
    "run.long.split('a') == ['a']",
    "len(run.long.upper()) == 1 or len(run.long.lower()) == 1",
    "len(run.wide.upper()) == 1",
    "any(run.x.strip(run.others) == 'x' for a in run.big)",
    "any(run.x.startswith(run.prefixes) for a in run.big)",
    "any(max(run.prefixes) == 'x' for a in run.big)",
    "any(min(run.x, run.x[1:]) == 'x' for a in run.big)",
    "any(run.part in run.short for a in run.big)",
    "any(run.short.count(run.part) == 1 for a in run.big)",
    "any(is_defined(run.metrics['loss', {'n': -a - 1}]) for a in run.big)",
    "any(float(run.x) == 1 for a in run.big)",
    "datetime(run.x) == 1",
    "len([run.table.items() for a in run.big]) == 1",
    "any({run.x} == {run.x[:-1] + 'a'} for a in run.big)",
    "any(run.x[1:] in run.table for a in run.big)",
    "any(run.huge == run.huge2 and False for a in run.big)",
    *(
        "len([[" + f"{each}," * 4000 + "] for a in run.big]) == 1"
        for each in ("{}", "[]", "{1}", "{1: 1}", "[a]", "(a, a)", "{a: a}", "(1 for b in run.a)", "[b for b in run.a]")
    ),
]

PROGRAM = """
    import json, os, resource, sys
    from aimstore.errors import QueryRuntimeError, QuerySyntaxError
    from aimstore.query import PythonQuery, QueryLimitError, RunView

    class Metric:
        name, count, first_step, last_step, last, min, max = "loss", 1, 0, 0, 0.0, 0.0, 0.0
        def __init__(self, n):
            self.context = {"n": n}

    class Entry:
        hash, properties, metrics = "a" * 24, {}, [Metric(n) for n in range(2_000)]
        attributes = {
            "a": [1], "b": 2, "big": list(range(100_000)), "copy": list(range(100_000)), "x": "a" * 1_000_000,
            "text": "a " * 500_000, "same": "".join(["a "] * 500_000), "table": {str(n): n for n in range(10_000)},
            "long": "a " * 30_000_000, "wide": "\u00df" * 20_000_000, "others": "b" * 1_000 + "a", "short": "a" * 2_499,
            "part": "a" * 624 + "b" + "a" * 625, "prefixes": ["a" * 1_000 + str(n) for n in range(10_000)],
            "huge": 1 << 10_000_000, "huge2": 1 << 10_000_000,
        }

    deep, deep2 = [], []
    for _ in range(150):
        deep, deep2 = [deep, deep], [deep2, deep2]
    Entry.attributes |= {"deep": deep, "deep2": deep2}

    assert PythonQuery().compile("len(run.a) == 1 and run.b != 3 and 'b'.matches('b')").matches(RunView(Entry()))
    with open("/proc/self/status") as status:
        (size,) = (int(line.split()[1]) for line in status if line.startswith("VmSize"))
    for name, expression, must_fail in json.load(sys.stdin):
        child = os.fork()
        if not child:
            resource.setrlimit(resource.RLIMIT_AS, ((size << 10) + int(sys.argv[1]) * 1_000_000,) * 2)
            resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
            try:
                query = PythonQuery().compile(expression)
                query.matches(RunView(Entry()))
            except QuerySyntaxError:
                os._exit(0)
            except QueryRuntimeError as error:
                os._exit(0 if isinstance(error.__cause__, (QueryLimitError, TypeError, ValueError, OverflowError)) else 2)
            except BaseException as error:
                os.write(1, f"{name}: {error!r:.300}\\n".encode())
                os._exit(1)
            os._exit(3 if must_fail else 0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            print(name, "ended with", status, flush=True)
"""


@pytest.mark.parametrize(
    ("bombs", "must_fail", "megabytes"),
    [
        pytest.param(COMPILED, False, 100, id="compiled"),
        pytest.param(dict(zip(EVALUATED, EVALUATED, strict=True)), True, 100, id="evaluated"),
    ],
)
def test_every_bomb_ends_within_seconds_and_so_many_megabytes(bombs, must_fail, megabytes):
    """Each in a process of its own, which the system ends after 10 seconds of CPU time, and refuses more memory.

    Without limits they take hours; with them tenths of a second, or seconds on a slow machine."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(megabytes)],
        input=json.dumps([(name[:80], expression, must_fail) for name, expression in bombs.items()]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_an_order_of_many_attributes_is_refused_before_it_is_parsed():
    assert len(PythonQuery().order(", ".join(["run.a"] * 1_000)).names) == 1_000
    with pytest.raises(QuerySyntaxError, match="an order may have 1,000 attributes, not 2,001"):
        PythonQuery().order("run.a," * 2_000)
    with pytest.raises(QuerySyntaxError, match="an order may have 400,000 characters"):
        PythonQuery().order(f"run['{'a' * 400_000}']")


@pytest.mark.parametrize("expression", ["1or run.a", "run.a in[1]and 1if run.b else 0x1or 2", "[1for x in run.a] == 1"])
def test_nothing_that_python_warns_of_reaches_the_program(expression):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PythonQuery().compile(expression)


def test_a_budget_is_not_used_up_by_earlier_evaluations(matches):
    for _ in range(20):
        assert matches("all(x >= 0 for x in run.big)", {"big": list(range(100_000))})


@pytest.mark.parametrize(
    "expression",
    [
        "len(" + "[" * 11 + "1" + " for x in run.a]" * 11 + ") == 1",
        "len([1" + "".join(f" for x{n} in run.a" for n in range(11)) + "]) == 1",
    ],
)
def test_loops_are_nested_as_deep_as_python_compiles_them(expression):
    with pytest.raises(QuerySyntaxError, match="loops may be nested 10 deep"):
        PythonQuery().compile(expression)
    PythonQuery().compile("len(" + "[" * 10 + "1" + " for x in run.a]" * 10 + ") == 1")
