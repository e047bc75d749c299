"""What a query is charged covers what it uses, for every operator, function and method; and it is charged beforehand."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aimstore.query import QueryLimitError, QueryLimits
from aimstore.query.costs import COSTS
from aimstore.query.functions import FUNCTIONS, METHODS_BY_TYPE, call_method
from aimstore.query.limits import Budget
from aimstore.query.namespace import COMPARISONS, OPERATIONS, SIGNS, get_item
from aimstore.query.values import DictView, ListView, wrap

SLACK_BYTES: Final = 6_000
"""Of objects of a fixed size, which are not charged."""

LOOSE: Final = 200
"""Times that a step may take longer than a step of a plain loop, before it counts as not charged for."""

PARTS = {"attribute", "compile a pattern", "count pieces", "index of sequences", "list", "search with a pattern"}

UNITS = st.sampled_from(["a", "ab", " a", "é", "ß", "İ", "中", "\u3000x", "\U0001f600", "9", "\n", "\ud800"])
LENGTHS = st.sampled_from([0, 1, 2, 63, 64, 65, 300, 2_501, 5_000])
COUNTS = st.sampled_from([0, 1, 2, 63, 300])
texts = st.builds(lambda head, unit, length, tail: head + unit * length + tail, UNITS, UNITS, LENGTHS, UNITS)
texts |= st.sampled_from(["", "a", "12.5", "1", "2024-05-01"])
ints = st.sampled_from([0, 1, -1, 7, 2**63, -(2**64), 2**1_000, 2**4_000, 2**14_000])  # more cannot be shown
numbers = st.sampled_from([0.5, -3.0, 1e308, True, 1j]) | ints
moments = st.sampled_from([datetime(2024, 5, 1), datetime(2024, 5, 1, tzinfo=UTC), date(2024, 5, 1), timedelta(days=1)])
scalars = st.one_of(texts, numbers, moments, st.none(), texts.map(lambda text: text.encode("utf-8", "replace")))
nested = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=8)
lists = st.lists(nested, max_size=5) | st.builds(lambda value, count: [value] * count, scalars, COUNTS)
dicts = st.dictionaries(texts | st.integers(0, 9), nested, max_size=5)
dicts |= COUNTS.map(lambda count: {f"key {number}": number for number in range(count)})
stored = st.one_of(scalars, lists, dicts).map(wrap)
displayed = st.one_of(
    scalars, lists, dicts, lists.map(tuple), st.frozensets(scalars | st.tuples(texts, ints), max_size=5)
)
values = stored | displayed
slices = st.builds(slice, *[st.none() | st.integers(-5, 10_000)] * 2, st.sampled_from([None, 1, -1, 3]))
patterns = st.sampled_from(["a", "(a|b)*c$", "x{0,200}", r"\pL+", "(?i)é", "("])


def operation(name: str) -> Callable[..., Any]:
    """The operation under its name in `COSTS`; it takes a budget first."""
    if name in COMPARISONS | OPERATIONS:
        return (COMPARISONS | OPERATIONS)[name]  # type: ignore[index]
    if name.startswith("unary "):
        return SIGNS[name.removeprefix("unary ")]  # type: ignore[index]
    if name == "index":
        return get_item
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    method = name.split(".")[1]
    return lambda budget, value, *operands: call_method(budget, value, method, *operands)


ARGUMENTS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "str.matches": (texts, patterns),
    "str.split": (texts, st.none() | texts | UNITS, st.integers(-1, 5)),
    "index": (st.one_of(texts, lists, lists.map(wrap), dicts.map(wrap)), slices | texts | st.integers(-2, 9)),
    "datetime": (texts,),
    "dict.get": (dicts.map(wrap), texts),
    "timedelta": (numbers,),
    "round": (numbers, st.none() | st.integers(-400, 400)),
}
for name in ("strip", "lstrip", "rstrip", "count", "find", "removeprefix", "removesuffix"):
    ARGUMENTS[f"str.{name}"] = (texts, texts | UNITS)
for name in ("startswith", "endswith"):
    ARGUMENTS[f"str.{name}"] = (texts, texts | st.lists(texts, max_size=50) | st.lists(texts, max_size=5).map(tuple))
for name in ("all", "any", "max", "min", "sum"):
    ARGUMENTS[name] = (lists | lists.map(wrap) | dicts.map(wrap),)
RECEIVERS = {"str": texts, "dict": dicts.map(wrap), "datetime": moments, "date": moments, "timedelta": moments}


def arguments(name: str) -> tuple[st.SearchStrategy[Any], ...]:
    if name in ARGUMENTS:
        return ARGUMENTS[name]
    if name in COMPARISONS | OPERATIONS:
        return (values, values)
    return (RECEIVERS.get(name.split(".")[0], values),)


OPERATIONS_CHARGED = sorted(COSTS.keys() - PARTS)


class Used:
    """What one operation used of a budget, and of memory."""

    def __init__(self, call: Callable[..., Any], operands: Sequence[Any], limits: QueryLimits) -> None:
        self.budget = Budget(limits)
        self.refused = False
        gc.disable()
        tracemalloc.start()
        try:
            self.result = call(self.budget, *operands)
        except QueryLimitError:
            self.refused = True
        except Exception as error:  # what an evaluation reports
            self.result = error
        self.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        gc.enable()
        self.bytes = limits.evaluation_bytes - self.budget.bytes
        self.steps = limits.evaluation_steps - self.budget.steps


def test_everything_that_a_query_may_do_has_a_cost() -> None:
    methods = {
        f"{kind.__name__}.{name}" for kind, names in METHODS_BY_TYPE.items() for name in names if kind is not DictView
    }
    signs = {f"unary {sign}" for sign in SIGNS}
    assert COSTS.keys() - PARTS == {*COMPARISONS, *OPERATIONS, *signs, *FUNCTIONS, *methods, "index"}


@pytest.mark.parametrize("name", OPERATIONS_CHARGED)
def test_the_charge_covers_the_memory_and_comes_before_it(name: str) -> None:
    call = operation(name)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(operands=st.tuples(*arguments(name)))
    def check(operands: tuple[Any, ...]) -> None:
        # the least of several: the first may make what is kept, such as a compiled pattern, and others have chance visitors
        used = min((Used(call, operands, QueryLimits()) for _ in range(2)), key=lambda each: each.peak)
        assert used.peak <= used.bytes + SLACK_BYTES
        if used.bytes and not used.refused:
            poor = Used(call, operands, QueryLimits(evaluation_bytes=0))
            assert poor.refused
            assert poor.peak <= SLACK_BYTES
        if used.steps and not used.refused:
            assert Used(call, operands, QueryLimits(evaluation_steps=used.steps - 1)).refused

    check()


class Visited:
    """Elements that were read of collections."""

    def __init__(self) -> None:
        self.count = 0

    def of(self, values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            self.count += 1
            yield value


class CountedList(Sequence[Any]):
    def __init__(self, items: list[Any], visited: Visited) -> None:
        self._items, self._visited = items, visited

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Any]:
        return self._visited.of(iter(self._items))


class CountedDict(Mapping[Any, Any]):
    def __init__(self, items: dict[Any, Any], visited: Visited) -> None:
        self._items, self._visited = items, visited

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return self._visited.of(iter(self._items))


def counted(value: Any, visited: Visited) -> Any:
    """`value`, of which every element that is read is counted."""
    if isinstance(value, list):
        return CountedList([counted(each, visited) for each in value], visited)
    if isinstance(value, dict):
        return CountedDict({key: counted(each, visited) for key, each in value.items()}, visited)
    return value


BINARY = ["==", "!=", "<", ">=", "in", "not in"]
UNARY = ["all", "any", "max", "min", "sum", "dict.items", "dict.keys", "dict.values"]


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(BINARY + UNARY), left=lists | dicts, right=lists | dicts, same=st.booleans())
def test_no_element_is_visited_without_a_step(name: str, left: Any, right: Any, same: bool) -> None:
    visited = Visited()
    operands = [wrap(counted(left, visited)), wrap(counted(left if same else right, visited))]
    used = Used(operation(name), operands[: 2 if name in BINARY else 1], QueryLimits())
    assert visited.count <= 2 * used.steps + 2


@pytest.mark.parametrize("name", BINARY)
def test_what_is_nested_a_thousand_levels_deep_is_compared(name: str) -> None:
    left: Any = 1
    right: Any = 2
    for _ in range(1_000):
        left, right = [left], [right]
    assert isinstance(operation(name)(Budget(), ListView(left), ListView(right)), bool)


def test_values_that_share_their_parts_end_at_the_limit() -> None:
    left: Any = []
    right: Any = []
    for _ in range(150):
        left, right = [left, left], [right, right]
    for name in ("==", "!=", "<", ">="):
        assert Used(operation(name), (ListView(left), ListView(right)), QueryLimits(evaluation_steps=10_000)).refused


# Time, as a check of the table for gross errors only

WORST: dict[str, tuple[Any, ...]] = {
    "==": ("a" * 1_000_000 + "b", "a" * 1_000_000 + "c"),
    "<": ("a" * 1_000_000 + "b", "a" * 1_000_000 + "c"),
    "in": ("a" * 624 + "b" + "a" * 625, "a" * 2_499),
    "not in": ("b" + "a" * 30_000, "a" * 32_000),
    "str.count": ("a" * 29_999, "a" * 49 + "b" + "a" * 49),
    "str.find": ("ab" * 500_000, "ab" * 1_000 + "b"),
    "str.strip": ("a" * 20_000, "中" * 2_000 + "a"),
    "str.split": (" a" * 200_000,),
    "str.startswith": ("a" * 2_000, ["a" * 1_000 + "b"] * 1_000),
    "str.upper": ("ß" * 100_000,),
    "str.casefold": ("İ" * 100_000,),
    "str.isalnum": ("\U00020000" * 1_000_000,),
    "max": (["a" * 100_000 + str(number) for number in range(20)],),
    "str.matches": ("ab" * 20_000, ".*a.{90}c"),
    "int": ("9" * 4_300,),
    "**": (3, 2_000),
    "round": (2**4_000, -400),
    "str": (2**14_000,),
}


def seconds(call: Callable[[], Any]) -> float:
    best = float("inf")
    for _ in range(3):
        begin = time.process_time()
        call()
        best = min(best, time.process_time() - begin)
    return best


@pytest.mark.parametrize("name", WORST)
def test_the_worst_that_is_known_takes_no_more_time_than_its_steps(name: str) -> None:
    """Against what a step takes here and now, with much room: a machine that is slow is slow at both."""
    operands = tuple(map(wrap, WORST[name]))
    used = Used(operation(name), operands, QueryLimits())
    assert not used.refused
    rounds = 50_000
    step = seconds(lambda: [Budget().charge(COSTS["=="]("a", "b")) for _ in range(rounds)]) / rounds
    taken = seconds(lambda: operation(name)(Budget(), *operands))
    assert taken <= LOOSE * step * (used.steps + 50)
