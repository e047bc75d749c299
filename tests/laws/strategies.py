"""Values that runs hold, and queries about them: few keys and many odd values, so that queries hit and boundaries are met."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Final, cast

import numpy as np
from hypothesis import strategies as st

from aimstore.abc import Subject
from aimstore.errors import QuerySyntaxError
from aimstore.query import PythonQuery

MAY: Final = datetime(2024, 5, 1, tzinfo=UTC)
STEM: Final = "p" * 63  # one byte short of where the index cuts strings

LITERALS: Final[list[str]] = [
    *("0", "1", "2", "-1", "True", "False", "1.0", "2.5", "-0.0", "0.1", "1e999", "-1e999", "(1e999 - 1e999)"),
    *(str(2**53), str(2**53 + 1), str(-(2**53) - 1), "9007199254740992.0", str(2**70), "1180591620717411303424.0"),
    *("''", "'a'", "'ab'", "'b'", "'B'", "'1'", "'é'", "'e\\u0301'", "'\\U0001f600'", "'\\uffff'", "'\\x00'", "'a\\x00'"),
    *("'a\\x00b'", "'a\\x01'", "'\\ud800'", "b''", "b'a'"),
    *(f"'{STEM}'", f"'{STEM}p'", f"'{STEM}pp'", f"'{STEM}pq'", f"'{STEM}é'", f"'{STEM}\\x00'", f"'{'é' * 32}'", f"'{'é' * 40}'"),
    *("datetime(2024, 5, 1)", "datetime('2024-05-01T02:00+02:00')", "datetime(2024, 5, 1, 0, 0, 0, 1)"),
    *("datetime(1969, 12, 31, 23, 59, 59, 999999)", "datetime('0001-01-01T00:00+05:00')", "datetime(9999, 12, 31)"),
    *("(datetime(2024, 5, 2) - timedelta(days=1))", "timedelta(days=1)", "timedelta(days=0)"),
    *("1j", "(1 + 0j)", "(1 + 1)", "(2 ** 70)", "(2.0 ** 53)", "('a' + 'b')", "('a' * 2)", "(1 / 0)", "(7 // 2)"),
    *("None", "[]", "[1]", "[1, 'a']", "[[1], 2.5]", "{}", "{'a': 1}", "(1, 2)"),
]  # fmt: skip
USUAL_LITERALS: Final = [
    "1",
    "1",
    "2.5",
    "True",
    "0",
    "'a'",
    "'a'",
    "'ab'",
    "'b'",
    f"'{STEM}p'",
    "datetime(2024, 5, 1)",
]

SCALARS: Final[list[Any]] = [
    *(None, True, False, 0, 1, 2, -1, 1.0, 2.5, 0.0, -0.0, 0.1, float("inf"), -float("inf"), float("nan")),
    *(2**53, 2**53 + 1, -(2**53) - 1, float(2**53), 2**63, 2**70, float(2**70), 2**70 + 1, 10**400, -(10**400)),
    *("", "a", "ab", "b", "B", "1", "é", "e\u0301", "\U0001f600", "\uffff", "\x00", "a\x00", "a\x00b", "a\x01", "\x7f"),
    *(b"", b"a", STEM, STEM + "p", STEM + "pp", STEM + "pq", STEM + "é", STEM + "\x00", "é" * 32, "é" * 40),
    *(datetime(2024, 5, 1), MAY, MAY + timedelta(microseconds=1), MAY.astimezone(timezone(timedelta(hours=2)))),
    *(datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)),
    *(datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), date(2024, 5, 1), timedelta(0), timedelta(days=1)),
    *(1 + 0j, 1j, 0j, complex("nan"), complex(float("inf"), 0), 2.5 + 0j),
    *(np.float32(2.5), np.float32(0.1), np.float64("nan"), np.int64(1), np.int8(-1), np.uint64(2**64 - 1), np.bool_(True)),
    *(np.str_("a"), np.complex64(1), np.datetime64("2024-05-01T00:00:00", "us"), np.float16("inf")),
    *(np.zeros(2), np.ones((1, 2), np.int32), np.array([1]), np.zeros(0)),
]  # fmt: skip
LARGE: Final[list[Any]] = [
    *("a" * 5000, "b" + "a" * 5000, STEM + "p" * 5000, "é" * 3000, list(range(3000)), ["a" * 5000], np.arange(1000)),
    *([10**4000] * 4, b"a" * 5000, {"a": "a" * 5000, "b": 1}, [2.5, {"a": "a" * 5000}]),
]  # fmt: skip

KEYS: Final[list[str | int]] = [
    "a",
    "a",
    "b",
    "b",
    "year",
    "shape",
    "name",
    "tags",
    "a b",
    "_a",
    "é",
    "a\x00",
    "",
    0,
    1,
    -1,
    2**65,
]


@st.composite
def large(draw: st.DrawFn) -> Any:
    """One of `LARGE`; the strategy does not show them all."""
    return deepcopy(LARGE[draw(st.integers(0, len(LARGE) - 1))])


scalars = (
    st.sampled_from([0, 1, True, 2.5, "a", "ab", "b", MAY, STEM + "pp"])
    | st.sampled_from(SCALARS)
    | st.floats()
    | st.integers(-(2**80), 2**80)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
    | st.datetimes(timezones=st.none() | st.just(UTC)).map(lambda moment: moment.replace(fold=0))
)
stored = st.recursive(
    scalars | st.sampled_from(SCALARS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=2).map(tuple)
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=5,
)
values = scalars | stored | st.sampled_from(SCALARS) | large()
paths = st.sampled_from(KEYS).map(lambda key: (key,)) | st.lists(st.sampled_from(KEYS), min_size=1, max_size=3).map(
    tuple
)
numbers = st.sampled_from(
    [
        0.0,
        -0.0,
        1.0,
        2.5,
        -1.0,
        float("nan"),
        float("inf"),
        0,
        1,
        -1,
        True,
        2**53 + 1,
        -(2**62),
        10**30,
        np.float32(0.1),
    ]
)
names = st.sampled_from(["a", "b", "ab", "é", STEM + "pq"])
contexts = st.dictionaries(
    st.sampled_from(["a", "b", "year", "a b"]),
    st.sampled_from([None, True, 0, 1, 2.5, float("nan"), "a", "ab", STEM + "pp", [1, 2], {"a": 1}]),
    max_size=2,
)
texts = st.sampled_from(["", "a", "A", "b", "ab", "1", "é", "a b", "a%", "a_", "\\", STEM + "pp", "Run: 0"])
labels = st.sampled_from(["a", "A", "b", "é", "a b", STEM + "pp"])


# Expressions

LINKS: Final = [
    *(".a", ".b", ".year", ".real", ".shape", ".size", ".days", "['a']", "['year']", "['a b']", "['_a']", "['']"),
    *("[0]", "[1]", "[-1]", "['a', 'b']", "['a', 0]", "[0:1]", f"[{2**65}]", "['é']", ".é"),
]  # fmt: skip
USUAL_PLACES: Final = ["run.a", "run.a", "run.b", "run['a']", "run.a.b", "run['b', 'a']", "run.b['a']", "run['a']['a']"]
PROPERTIES: Final = [
    *("run.name", "run.experiment", "run.description", "run.tags", "run.archived", "run.active", "run.created_at"),
    *("run.finalized_at", "run.duration", "run.hash", "run.archived"),
]  # fmt: skip
ROOTS: Final = [
    *("run.a", "run.b", "run.year", "run.shape", "run['a']", "run['name']", "run['tags']", "run['a b']", "run['_a']"),
    *("run[0]", "run[1]", "run[-1]", "run['b', 'a']", "run.é", "run['a\\x00']", "run['']", f"run[{2**65}]", "run.nothing"),
]  # fmt: skip
LOOKED_UP: Final = [
    *("run.metrics['a']", "run.metrics['b']", "run.metrics['é']", "run.metrics[1]", "run.metrics['a', {}]"),
    *("run.metrics['a', {'a': 1}]", "run.metrics['b', {'a': 'a', 'b': None}]", "run.metrics['ab', {'a': True}]"),
    *("run.metrics['a', {'year': 2.5}]", "run.metrics['a', {'a': [1, 2]}]", "run.metrics['nothing']"),
]  # fmt: skip
FIGURES: Final = [".last", ".min", ".max", ".count", ".first_step", ".last_step"]
CONTEXT: Final = [
    ".context.a",
    ".context['a']",
    ".context.b",
    ".context['year']",
    ".context.year",
    ".context['a b']",
    ".context",
]
ORDERS: Final = [" == ", " == ", " < ", " <= ", " > ", " >= "]
OTHERS: Final = [" != ", " in ", " not in ", " == ", " > ", " <= "]
TESTS: Final = [" is True", " is False", " is None", " is not True", " is not None", " == None", " != None", " == True"]
PREFIXES: Final = [
    *("'a'", "''", "'é'", "('a', 'b')", "['b']", "('b', 1)", "1", "()", f"'{STEM[:-1]}'", f"'{STEM}'", f"'{STEM}p'"),
    *(f"'{STEM}pp'", f"'{STEM}é'", "'\\x00'", "'e'", "'a\\x00'", "'é' * 32"),
]  # fmt: skip
LABELS: Final = ["'a'", "'b'", "'A'", "'é'", f"'{STEM}pp'", "1"]
ELEMENTS: Final = [*USUAL_LITERALS, "-1", "None", "'é'", "(1 + 0j)", "datetime('2024-05-01T02:00+02:00')", "b'a'"]
"""Of a set: they have a hash."""

MAX_DEPTH: Final = 3


class _Writer:
    """Writes a query for a subject, making each choice by `draw`."""

    def __init__(self, draw: st.DrawFn, subject: str) -> None:
        self.draw = draw
        self.subject = subject

    def one(self, *texts: str) -> str:
        return self.draw(st.sampled_from(texts))

    def by(self, *writers: Callable[[], str]) -> str:
        return writers[self.draw(st.integers(0, len(writers) - 1))]()

    def usual_constant(self) -> str:
        return self.one(*USUAL_LITERALS)

    def constant(self) -> str:
        return self.by(self.usual_constant, self.usual_constant, lambda: self.one(*LITERALS))

    def element(self) -> str:
        return self.one(*ELEMENTS)

    def place(self) -> str:
        own = [self._own] * 5 if self.subject != "run" else []
        place = self.by(*own, self._usual_place, self._usual_place, self._odd_place, self._property, self._looked_up)
        if self.subject != "run" and place.startswith("run") and self.draw(st.booleans()):
            return f"{self.subject}.{place}"
        return place

    def _usual_place(self) -> str:
        return self.one(*USUAL_PLACES)

    def _odd_place(self) -> str:
        return self.one(*ROOTS) + self.one("", "", *LINKS) + self.one("", "", "", ".a", "[0]")

    def _property(self) -> str:
        return self.one(*PROPERTIES) + self.one(*[""] * 30, *LINKS)

    def _looked_up(self) -> str:
        return self.one(*LOOKED_UP) + self.one(*FIGURES, *CONTEXT, ".name", "")

    def _own(self) -> str:
        kind = [".kind"] if self.subject == "sequence" else []
        field = self.one(*FIGURES, *CONTEXT, ".name", ".name", *kind)
        return self.subject + field + (self.one("", "", ".b", "[0]") if "context" in field else "")

    def listed(self) -> str:
        return self.by(self._list, self._list, self._tuple, self._set, lambda: self.one("[]", "()"))

    def _several(self, write: Callable[[], str]) -> str:
        return "".join(f"{write()}, " for _ in range(self.draw(st.integers(1, 4))))

    def _list(self) -> str:
        return f"[{self._several(self.usual_constant)}]"

    def _tuple(self) -> str:
        return f"({self._several(self.constant)})"

    def _set(self) -> str:
        return f"{{{self._several(self.element)}}}"

    def usual(self) -> str:
        """A condition that is a hint, mostly."""
        return self.by(
            lambda: self.place() + self.one(*ORDERS) + self.usual_constant(),
            lambda: self.place() + self.one(*ORDERS) + self.constant(),
            lambda: self.constant() + self.one(*ORDERS) + self.place(),
            lambda: self.constant() + self.one(*ORDERS) + self.place() + self.one(*ORDERS) + self.constant(),
            lambda: f"{self.place()} in {self.listed()}",
            lambda: f"{self.place()}.startswith({self.one(*PREFIXES)})",
            lambda: f"{self.one(*LABELS)} in run.tags",
            lambda: f"{self.one(*LABELS)} in run.metrics",
            lambda: f"is_defined({self.place()})",
            self.place,
        )

    def odd(self) -> str:
        """A condition that is none, mostly."""
        return self.by(
            lambda: (
                self.constant() + self.one(*OTHERS) + self.by(self.place, lambda: self.one("run.tags", "run.metrics"))
            ),
            lambda: f"{self.place()} == {self.place()}{self.one(*ORDERS)}{self.constant()}",
            lambda: self.place() + self.one(*TESTS),
            lambda: self.place() + self.one(*OTHERS) + self.place(),
            lambda: f"{self.place()} not in {self.listed()}",
            lambda: f"({self.place()} {self.one('+', '-', '*', '/', '//', '%')} {self.constant()}){self._than()}",
            lambda: f"-{self.place()}{self._than()}",
            lambda: f"({self.place()} ** 2){self._than()}",
            lambda: f"{self.one('len', 'abs')}({self.by(self.place, lambda: 'run.metrics')}){self._than()}",
            lambda: f"(not {self.usual()})",
            lambda: f"({self.usual()} if {self.usual()} else {self.usual()})",
            lambda: (
                f"{self.one('any', 'all')}(x{self._than()} for x in {self.place()}{self.one('', ' if x', ' if x != 1')})"
            ),
            lambda: (
                f"{self.one('any', 'all')}(m{self.one(*FIGURES)}{self._than()} for m in run.metrics if m.name == 'a')"
            ),
            lambda: f"{self.place()}.{self.one('lower', 'upper')}(){self._than()}",
            lambda: f"{self.place()}.endswith({self.one(*PREFIXES)})",
            lambda: f"{self.place()}.get('a'{self.one('', ', 1')}){self._than()}",
        )

    def _than(self) -> str:
        return self.one(*ORDERS) + self.constant()

    def condition(self, *kinds: Callable[[], str], depth: int = 0) -> str:
        """Conditions of some kinds, joined by `and`, `or` and `not`."""
        form = 0 if depth == MAX_DEPTH else self.draw(st.integers(0, 9))
        if form < 5:
            return self.by(*kinds)
        parts = [self.condition(*kinds, depth=depth + 1) for _ in range(1 + (form > 5) + (form > 8))]
        if len(parts) == 1:
            return f"(not {parts[0]})"
        return "(" + self.one(" and ", " or ").join(parts) + ")"


@st.composite
def expressions(draw: st.DrawFn, subject: str) -> str:
    """Queries for a subject; most are hints in whole or in part."""
    written = _written(_Writer(draw, subject), draw(st.integers(0, 9)))
    try:
        PythonQuery().compile(written, cast(Subject, subject))
    except QuerySyntaxError:  # a comparison that is known never to be true, such as run.tags == 'a'
        return "run.a"
    return written


def _written(writer: _Writer, kind: int) -> str:
    if kind == 9:
        return writer.by(writer.odd, lambda: "")
    if kind > 6:
        return writer.condition(writer.usual, writer.usual, writer.odd)
    return writer.condition(writer.usual)
