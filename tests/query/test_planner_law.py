"""The law of hints: they hold of every run that matches, and exact ones of no other. Random queries over random runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from aimstore.abc import AllOf, Among, AnyOf, Term
from aimstore.errors import QueryRuntimeError, QuerySyntaxError
from aimstore.query import MISSING, MetricView, PythonQuery, RunView, SequenceView
from aimstore.query.views import STORED_PROPERTIES

EXAMPLES: Final = 150
MAY: Final = datetime(2024, 5, 1, tzinfo=UTC)


def holds(hint: Any, entry: Any) -> bool:
    """Whether `hint` is true of an entry, as its definition reads, and by nothing of the query engine."""
    match hint:
        case AllOf(hints):
            return all(holds(each, entry) for each in hints)
        case AnyOf(hints):
            return any(holds(each, entry) for each in hints)
        case Among(runs):
            return entry.hash in runs
    kind, *path = hint.attribute
    if kind == "attrs":
        return fact(hint, find(entry.attributes, path))
    if kind == "props":
        return fact(hint, plain(entry.properties[path[0]]))
    named = [each for each in entry.metrics if kind == "any" or each.name == path[0]]
    field = path if kind == "any" else path[1:]
    if not field:
        assert hint.operator == "defined"
        return bool(named)
    if field[0] == "context":
        return any(fact(hint, find(each.context, field[1:])) for each in named)
    assert len(field) == 1
    return any(fact(hint, plain(getattr(each, field[0]))) for each in named)


def find(tree: Any, path: list[Any]) -> Any:
    for part in path:
        if type(tree) is not dict or part not in tree:
            return MISSING
        tree = tree[part]
    return plain(tree)


def plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def fact(hint: Term, value: Any) -> bool:
    if value is MISSING:
        return False
    match hint.operator:
        case "defined":
            return True
        case "true":
            return isinstance(value, np.ndarray) or bool(value)
        case "has":
            return value is not None and hint.value in value
        case "in":
            return any(compared("==", value, each) for each in hint.value)
        case "startswith":
            return isinstance(value, str) and value.startswith(hint.value)
    return compared(hint.operator, value, hint.value)


def compared(operator: str, value: Any, constant: Any) -> bool:
    assert type(constant) in (bool, int, float, str, datetime)
    assert constant == constant
    if isinstance(value, datetime) and isinstance(constant, datetime):
        assert constant.utcoffset() == timedelta(0)
        value = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    elif isinstance(value, complex) and isinstance(constant, int | float):
        return operator == "==" and value == constant
    elif not any(isinstance(value, kind) and isinstance(constant, kind) for kind in (str, (int, float))):
        return False
    return {
        "==": value == constant,
        "<": value < constant,
        "<=": value <= constant,
        ">": value > constant,
        ">=": value >= constant,
    }[operator]


class Custom:
    """An object that a query cannot read."""


KEYS = ["a", "b", "year", "real", "shape", "name", "tags", 0, 1]
SCALARS = st.sampled_from(
    [
        *(None, True, False, 0, 1, 2, -1, 2**53 + 1, 2**70, 0.0, -0.0, 1.0, 2.5, float("nan"), float("inf"), 1 + 0j, 1j),
        *("", "a", "ab", "b", "1", "é", b"a", date(2024, 5, 1), timedelta(0), timedelta(days=1)),
        *(datetime(2024, 5, 1), MAY, datetime(2024, 5, 1, 2, tzinfo=UTC), datetime(2030, 1, 1)),
        *(np.float32(2.5), np.int64(1), np.bool_(True), np.str_("a"), np.datetime64("2024-05-01T00:00:00", "us")),
        *(np.zeros(2), np.ones((1, 2)), Custom()),
    ]
)  # fmt: skip
STORED = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
COMMON = st.sampled_from([0, 1, True, 2.5, "a", "ab", "b", MAY])
USUAL = COMMON | st.fixed_dictionaries({}, optional={"a": COMMON, "b": COMMON})
SMALL = st.sampled_from([None, True, 0, 1, 2.5, float("nan"), "a", "ab"])
NUMBERS = st.sampled_from([None, 0, 1, 2.5, -1.0, float("nan")])
TEXTS = st.sampled_from(["a", "b", "ab", "1"])
HASHES = st.sampled_from(["a" * 24, "b" * 24])


@st.composite
def metrics(draw: st.DrawFn) -> Any:
    fields = {name: draw(NUMBERS) for name in ("last", "min", "max", "first_step", "last_step")}
    context = draw(st.dictionaries(st.sampled_from(["a", "b", "year", 1]), SMALL, max_size=2))
    kind = draw(st.sampled_from(["number", "a", "ab"]))
    return SimpleNamespace(name=draw(TEXTS), context=context, count=draw(st.integers(0, 3)), kind=kind, **fields)


@st.composite
def entries(draw: st.DrawFn) -> Any:
    moments = st.sampled_from([None, MAY, datetime(2030, 1, 1, tzinfo=UTC)])
    properties = {
        **{name: draw(st.none() | TEXTS) for name in ("name", "experiment", "description")},
        "tags": tuple(draw(st.sets(TEXTS, max_size=2))),
        "archived": draw(st.booleans()),
        "active": draw(st.booleans()),
        "created_at": draw(moments),
        "finalized_at": draw(moments),
        "duration": draw(st.sampled_from([None, 1.0, 2.5])),
    }
    attributes = draw(st.fixed_dictionaries({"a": USUAL}, optional={"b": USUAL}))
    attributes |= draw(st.dictionaries(st.sampled_from(KEYS), STORED, max_size=2))
    found = draw(st.lists(metrics(), max_size=3))
    return SimpleNamespace(hash=draw(HASHES), properties=properties, attributes=attributes, metrics=found)


def chosen(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


CONSTANTS = chosen(
    *("None", "True", "False", "0", "1", "2", "-1", "1.0", "2.5", "-0.0", "1e999", "(1e999 - 1e999)", str(2**53 + 1)),
    *("''", "'a'", "'ab'", "'b'", "'1'", "b'a'", "1j", "(1 + 0j)", "[1]", "{}", "(1 + 1)", "(2 ** 70)", "('a' + 'b')", "(1 / 0)"),
    *("datetime(2024, 5, 1)", "datetime('2024-05-01T02:00+02:00')", "timedelta(days=1)"),
    "(datetime(2024, 5, 2) - timedelta(days=1))",
)  # fmt: skip
LIKELY = chosen("1", "1", "True", "2.5", "0", "'a'", "'a'", "'ab'", "'b'", "datetime(2024, 5, 1)", f"'{'a' * 24}'")
LINKS = chosen(
    *(".a", ".b", ".year", ".real", ".shape", "['a']", "['year']", "[0]", "[1]", "[-1]", "['a', 'b']", "['a', 0]", "[0:1]")
)  # fmt: skip
PLAIN = chosen(
    "run.a", "run.b", "run['a']", "run.a.b", "run['b', 'a']", "run.b['a']", "run.name", "run.tags", "run.created_at"
)
ROOTS = chosen(
    *("run.a", "run.b", "run.year", "run.shape", "run['a']", "run['name']", "run['tags']", "run[0]", "run[1]", "run['b', 'a']")
)  # fmt: skip
PROPS = chosen(*(f"run.{name}" for name in (*STORED_PROPERTIES, "hash")))
LOOKED_UP = chosen(
    "run.metrics['a']", "run.metrics['a', {'a': 1}]", "run.metrics['b', {'a': 'a', 'b': None}]", "run.metrics[1]"
)
FIELDS = chosen(
    *(".last", ".min", ".max", ".count", ".first_step", ".last_step", ".name", ".context.a", ".context['year']"),
    *(".context[1]", ".context", ".context.a.b"),
)  # fmt: skip


def joined(*parts: st.SearchStrategy[str] | str) -> st.SearchStrategy[str]:
    return st.tuples(*(st.just(part) if isinstance(part, str) else part for part in parts)).map("".join)


def expressions(subject: str) -> st.SearchStrategy[str]:
    places = joined(ROOTS, st.just("") | LINKS, chosen("", "", ".a", "[0]")) | PROPS | joined(PROPS, LINKS)
    places |= joined(LOOKED_UP, st.just("") | FIELDS)
    if subject != "run":
        places |= joined(subject, FIELDS) | joined(subject, "", PROPS.map(lambda name: name.replace("run.", ".run.")))
        places |= joined(subject, ".name") | joined(subject, ".kind" if subject == "sequence" else ".last")
    orders = chosen(" == ", " == ", " < ", " <= ", " > ", " >= ")
    others = chosen(" != ", " in ", " not in ", " == ", " > ")
    lists = st.lists(CONSTANTS, max_size=3).map(lambda each: f"[{', '.join(each)}]")
    likely = st.lists(LIKELY, min_size=1, max_size=4).map(lambda each: f"({', '.join(each)},)")
    sets = st.lists(LIKELY | chosen("-1"), min_size=1, max_size=3).map(lambda each: f"{{{', '.join(each)}}}")
    prefixes = chosen("'a'", "''", "'é'", "('a', 'b')", "['b']", "('b', 1)", "1", "()")
    usual = st.one_of(
        joined(PLAIN | places, orders, LIKELY),
        joined(LIKELY, orders, PLAIN),
        joined(LIKELY, orders, PLAIN, orders, LIKELY),
        joined(PLAIN | places, " in ", likely),
        joined(PLAIN | places, ".startswith(", prefixes, ")"),
        joined(LIKELY, " in run.tags"),
        joined("is_defined(", PLAIN, ")"),
        PLAIN,
        places,
    )
    odd = st.one_of(
        joined(places, orders, CONSTANTS),
        joined(CONSTANTS, orders, places),
        joined(CONSTANTS, orders, places, orders, CONSTANTS),
        joined(places, orders, CONSTANTS, orders, places),
        joined(places, " in ", lists | sets),
        joined(CONSTANTS, " in ", places | chosen("run.tags", "run.metrics")),
        joined("is_defined(", places, ")"),
        joined(places, chosen(" is True", " is False", " is None", " is not True")),
        joined(places, others, places),
        joined(places, chosen(" + ", " / ", " - "), CONSTANTS, orders, CONSTANTS),
        joined("len(", places, ")", orders, "1"),
        joined("(not ", usual, ")"),
        joined("(", usual, " if ", usual, " else ", usual, ")"),
    )
    return st.one_of(_joining(usual), _joining(usual), _joining(usual | usual | odd), _joining(odd))


def _joining(atoms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        atoms,
        lambda inner: (
            joined("(", inner, chosen(" and ", " or "), inner, ")")
            | joined("(", inner, " or ", inner, " or ", inner, ")")
            | joined("(", inner, " and ", inner, " and ", inner, ")")
        ),
        max_leaves=4,
    )


def views(subject: str, entry: Any) -> list[Any]:
    run = RunView(entry)
    if subject == "run":
        return [run]
    return [(MetricView if subject == "metric" else SequenceView)(each, run) for each in entry.metrics]


@pytest.mark.parametrize("subject", ["run", "metric", "sequence"])
def test_hints_lose_no_match_and_exact_ones_add_none(subject):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(expression=expressions(subject), found=st.lists(entries(), min_size=1, max_size=4))
    def check(expression: str, found: list[Any]) -> None:
        try:
            query = PythonQuery().compile(expression, subject)
        except QuerySyntaxError:  # a comparison that is known never to be true, such as run.tags == 'a'
            reject()
        assert not query.exact or (query.hints is not None and subject == "run")
        for entry in found:
            for view in views(subject, entry):
                try:
                    matched = query.matches(view)
                except QueryRuntimeError:
                    assert not query.exact, expression
                    continue
                if query.hints is not None and (matched or query.exact):
                    assert holds(query.hints, entry) == matched, (expression, query.hints, entry)

    check()
