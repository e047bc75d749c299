"""Random expressions over random entries mean what a plain reading of the rules says."""

from __future__ import annotations

import operator
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aimstore.errors import QuerySyntaxError
from aimstore.query import PythonQuery, RunView

MISSING = object()
NUMBERS = (bool, int, float)
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan")]),
    st.sampled_from(["", "a", "ab", "1"]),
)  # fmt: skip
constants = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from(["", "a", "ab"])
)
stored = st.one_of(scalars, st.lists(scalars, max_size=2), st.tuples(scalars))
entries = st.dictionaries(
    st.sampled_from("abc"), st.one_of(stored, st.dictionaries(st.sampled_from("ab"), stored, max_size=2)), max_size=3
)

paths = st.lists(st.sampled_from("abc"), min_size=1, max_size=2).map(lambda keys: ("path", tuple(keys)))
literals = st.one_of(constants, st.lists(constants, max_size=2)).map(lambda value: ("value", value))
operands = st.one_of(paths, literals)
operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"])
comparisons = st.tuples(st.just("compare"), operands, st.lists(st.tuples(operators, operands), min_size=1, max_size=2))
defined = st.tuples(st.just("defined"), paths)
expressions = st.recursive(
    st.one_of(comparisons, defined),
    lambda inner: st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner)),
    max_leaves=5,
)


def text(node: Any) -> str:
    match node:
        case ("path", keys):
            return "run." + ".".join(keys)
        case ("value", value):
            return repr(value)
        case ("defined", path):
            return f"is_defined({text(path)})"
        case ("compare", left, steps):
            return f"({text(left)} {' '.join(f'{symbol} {text(right)}' for symbol, right in steps)})"
        case ("not", inner):
            return f"(not {text(inner)})"
        case (symbol, left, right):
            return f"({text(left)} {symbol} {text(right)})"
    raise AssertionError(node)


def value_of(node: Any, entry: dict[str, Any]) -> Any:
    if node[0] == "value":
        return node[1]
    value: Any = entry
    for key in node[1]:
        value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
    return value


def compare(symbol: str, left: Any, right: Any) -> bool:
    if left is MISSING or right is MISSING:
        return symbol == "==" and (left is None or right is None)
    if symbol == "!=":
        return not compare("==", left, right)
    if symbol == "not in":
        return not compare("in", left, right)
    lists = isinstance(left, (list, tuple)) and isinstance(right, (list, tuple))
    numbers = isinstance(left, NUMBERS) and isinstance(right, NUMBERS)
    texts = isinstance(left, str) and isinstance(right, str)
    if symbol == "in":
        if isinstance(right, (list, tuple)):
            return any(compare("==", left, element) for element in right)
        return (texts or (isinstance(left, str) and isinstance(right, dict))) and left in right
    if symbol == "==":
        if lists:
            return len(left) == len(right) and all(map(lambda x, y: compare("==", x, y), left, right))
        if isinstance(left, dict) and isinstance(right, dict):
            return left.keys() == right.keys() and all(compare("==", left[key], right[key]) for key in left)
        return (left is None and right is None) or ((numbers or texts) and left == right)
    if lists:
        for x, y in zip(left, right, strict=False):
            if not compare("==", x, y):
                return compare(symbol, x, y)
        return ORDER[symbol](len(left), len(right))
    return (numbers or texts) and ORDER[symbol](left, right)


def meaning(node: Any, entry: dict[str, Any]) -> bool:
    match node:
        case ("defined", path):
            return value_of(path, entry) is not MISSING
        case ("compare", left, steps):
            values = [value_of(each, entry) for each in (left, *(right for _, right in steps))]
            return all(compare(symbol, values[i], values[i + 1]) for i, (symbol, _) in enumerate(steps))
        case ("not", inner):
            return not meaning(inner, entry)
        case ("and", left, right):
            return meaning(left, entry) and meaning(right, entry)
        case ("or", left, right):
            return meaning(left, entry) or meaning(right, entry)
    raise AssertionError(node)


@settings(max_examples=300, deadline=None)
@given(expression=expressions, attributes=st.lists(entries, min_size=1, max_size=4))
def test_queries_mean_what_the_rules_say(expression, attributes):
    query = PythonQuery().compile(text(expression))
    for each in attributes:
        entry = SimpleNamespace(hash="a" * 24, properties={}, attributes=each, metrics=[])
        assert query.matches(RunView(entry)) == meaning(expression, each), (query.expression, each)


@settings(max_examples=200, deadline=None)
@given(written=st.text(alphabet="run.abmetic <>=!&|()[]{}'\"\\:,*+-%^~@#\n1e_é\x00", max_size=30))
def test_any_text_compiles_or_is_refused_with_a_place_in_it(written):
    place = None
    try:
        PythonQuery().compile(written)
    except QuerySyntaxError as error:
        place = (error.line, error.column)
    if place is not None:
        lines = written.splitlines() or [""]
        assert 1 <= place[0] <= len(lines)
        assert 1 <= place[1] <= len(lines[place[0] - 1]) + 1
