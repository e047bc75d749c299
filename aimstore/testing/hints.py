"""Hypothesis strategies for runs and hints, and a check of which runs a hint is true for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

from aimstore.abc import AllOf, Among, AnyOf, Hint, Term
from aimstore.storage.layout import NUMBER, Summary
from aimstore.types import TreePath

RUNS: Final = tuple(f"{number:024x}" for number in range(1, 9))

Metric: TypeAlias = tuple[str, dict[str, Any], float | None]
"""Name, context and last value of a sequence of numbers; the value is None before the first point."""

RunContent: TypeAlias = tuple[dict[str, Any], list[Metric]]
"""Attributes and metrics of a run."""

_NAMES: Final = ("lr", "opt", "depth")
_TEXTS: Final = ("", "a", "ab", "adam", "Adam", "é", "\x00", "z" * 300, "z" * 300 + "!")
_NUMBERS: Final = (
    0,
    -0.0,
    0.0,
    1,
    1.0,
    True,
    False,
    -1,
    0.1,
    1e300,
    float("inf"),
    -float("inf"),
    2**53,
    2**53 + 1,
    2**70,
)
_CONSTANTS: Final = st.sampled_from(_NUMBERS + _TEXTS) | st.integers(-3, 3) | st.floats(allow_nan=False)
_LEAVES: Final = _CONSTANTS | st.none() | st.just(float("nan")) | st.lists(st.integers(0, 2), max_size=2)
_TREES: Final = st.dictionaries(
    st.sampled_from(_NAMES),
    _LEAVES | st.dictionaries(st.sampled_from(_NAMES), _LEAVES, max_size=2),
    max_size=3,
)
_CONTEXTS: Final[tuple[dict[str, Any], ...]] = ({}, {"subset": "val"}, {"subset": "train", "fold": {"of": 3}})
_LASTS: Final = (None, 0.5, -1, float("nan"), 2**60)
_METRICS: Final = st.lists(
    st.tuples(st.sampled_from(("loss", "acc", "a.b")), st.sampled_from(_CONTEXTS), st.sampled_from(_LASTS)),
    max_size=2,
)
_RUNS: Final = st.tuples(_TREES, _METRICS)

_PATHS: Final = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=2).map(lambda names: ("attrs", *names))
_FIELDS: Final = st.sampled_from(
    (("last",), ("min",), ("count",), ("last_step",), ("kind",), ("context", "subset"), ("context", "fold", "of"))
)
_PLACES: Final = (
    _PATHS
    | st.builds(
        lambda name, field: ("seqs", name, *field), st.sampled_from(("loss", "acc", "none")), _FIELDS | st.just(())
    )
    | _FIELDS.map(lambda field: ("any", *field))
    | st.just(("any", "name"))
)
_NEAR: Final = _CONSTANTS | st.sampled_from(("val", "train", "loss", "number", 3, 0.5))
_TERMS: Final = (
    st.builds(Term, _PLACES, st.sampled_from(["==", "<", "<=", ">", ">="]), _NEAR)
    | st.builds(Term, _PLACES, st.just("in"), st.lists(_NEAR, max_size=3).map(tuple))
    | st.builds(Term, _PLACES, st.just("startswith"), st.sampled_from((*_TEXTS, "lo", "tr")))
    | st.builds(Term, _PLACES, st.sampled_from(["true", "defined"]))
    | st.builds(Term, st.just(("props", "tags")), st.just("has"), st.just("good"))
    | st.builds(Among, st.frozensets(st.sampled_from((*RUNS, "f" * 24)), max_size=3))
)


def _hints(terms: st.SearchStrategy[Any]) -> st.SearchStrategy[Hint]:
    return st.recursive(
        terms,
        lambda hints: (
            st.builds(AllOf, st.lists(hints, min_size=1, max_size=3).map(tuple))
            | st.builds(AnyOf, st.lists(hints, min_size=1, max_size=3).map(tuple))
        ),
        max_leaves=5,
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[RunContent], list[RunContent | None], list[Hint]]:
    """Runs, later versions of the first of them (None: removed), and hints, mostly about values that the runs have."""
    first = draw(st.lists(_RUNS, max_size=len(RUNS)))
    then = draw(st.lists(st.none() | _RUNS, max_size=4))
    leaves = [leaf for run in (*first, *then) if run for leaf in _leaves(run[0])]
    terms: st.SearchStrategy[Any] = _TERMS
    if leaves:
        terms |= st.sampled_from(leaves).flatmap(lambda leaf: _terms_near(*leaf))
    return first, then, draw(st.lists(terms | _hints(terms), min_size=1, max_size=8))


def _leaves(tree: Mapping[str, Any], above: TreePath = ("attrs",)) -> Iterator[tuple[TreePath, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, name))
        else:
            yield (*above, name), value


def _terms_near(path: TreePath, value: Any) -> st.SearchStrategy[Term]:
    near: list[Any] = [value]
    if isinstance(value, str):
        near += [value[:-1], value + "a", value.upper()]
    elif isinstance(value, int | float) and math.isfinite(value):
        near += [int(value), float(int(value)), value + 1, value - 1, bool(value), -value]
    else:
        near = [0, ""]
    constants = st.sampled_from(near)
    return st.builds(Term, st.just(path), st.sampled_from(["==", "<", "<=", ">", ">="]), constants) | st.builds(
        Term, st.just(path), st.just("in"), st.lists(constants, min_size=1, max_size=3).map(tuple)
    )


_MISSING: Final = object()


def holds(hint: Hint, name: str, run: RunContent) -> bool:
    """Whether a run meets `hint`, by the rules of the query language and without an index; properties always may."""
    if isinstance(hint, AllOf):
        return all(holds(each, name, run) for each in hint.hints)
    if isinstance(hint, AnyOf):
        return any(holds(each, name, run) for each in hint.hints)
    if isinstance(hint, Among):
        return name in hint.runs
    kind, *path = hint.attribute
    attributes, metrics = run
    if kind == "attrs":
        return _satisfies(hint, _find(attributes, tuple(path)))
    if kind == "props":
        return True
    if kind == "seqs":
        called, *path = path
        return any(_satisfies(hint, _find(_facts(*metric), tuple(path))) for metric in metrics if metric[0] == called)
    return any(_satisfies(hint, _find(_facts(*metric), tuple(path))) for metric in metrics)


def _facts(name: str, context: dict[str, Any], last: float | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "context": context, "kind": NUMBER, "count": 0}
    if last is None:
        return facts
    summary = summary_of(last)
    return {**facts, "count": 3, "last": last, "min": summary.min, "max": summary.max, "first_step": 0, "last_step": 2}


def summary_of(last: float) -> Summary:
    """The summary of three points, all with the value `last`."""
    return Summary(3, 3, True, 0, 2, last, last, last)


def _satisfies(term: Term, value: Any) -> bool:
    if value is _MISSING:
        return False
    return bool(_OPERATORS[term.operator](value, term.value))


def _find(tree: Any, path: TreePath) -> Any:
    for part in path:
        if not isinstance(tree, Mapping) or part not in tree:
            return _MISSING
        tree = tree[part]
    return tree


def _equal(left: Any, right: Any) -> bool:
    return bool(left == right) and isinstance(left, str) == isinstance(right, str)


def _ordered(left: Any, right: Any) -> bool:
    both = (left, right)
    return all(isinstance(each, str) for each in both) or all(isinstance(each, int | float) for each in both)


_OPERATORS: Final[dict[str, Callable[[Any, Any], object]]] = {
    "defined": lambda value, constant: True,
    "true": lambda value, constant: value,
    "==": _equal,
    "in": lambda value, constants: any(_equal(value, each) for each in constants),
    "startswith": lambda value, constant: isinstance(value, str) and value.startswith(constant),
    "<": lambda value, constant: _ordered(value, constant) and value < constant,
    "<=": lambda value, constant: _ordered(value, constant) and value <= constant,
    ">": lambda value, constant: _ordered(value, constant) and value > constant,
    ">=": lambda value, constant: _ordered(value, constant) and value >= constant,
    "has": lambda value, constant: constant in value,
}
