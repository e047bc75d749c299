"""The tree of a query: chains are flattened once, and a run reached through its metric is the run."""

from __future__ import annotations

import pytest
from RestrictedPython.transformer import INSPECT_ATTRIBUTES

from aimstore.errors import QuerySyntaxError
from aimstore.query import PythonQuery, QueryLimits
from aimstore.query.allowed import build_tree
from aimstore.query.syntax import parse
from aimstore.query.tree import Access, Constant, Field, Index, Loop, MethodCall, Node, Path, Variable


def built(expression: str, subject: str = "run") -> Node:
    limits = QueryLimits()
    return build_tree(parse(expression, limits), expression, subject, limits)  # type: ignore[arg-type]


def names(node: Node) -> list[str | object]:
    assert isinstance(node, (Path, Access))
    return [link.name if isinstance(link, Field) else link.key.value for link in node.links]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("expression", "subject", "links"),
    [
        ("run.hparams['lr'].x", "run", ["hparams", "lr", "x"]),
        ("run['a']['b'].c", "run", ["a", "b", "c"]),
        ("metric.context.subset", "metric", ["context", "subset"]),
        ("metric.run.hparams.lr", "run", ["hparams", "lr"]),
        ("metric.run", "run", []),
    ],
)
def test_a_chain_is_one_path_of_its_subject(expression: str, subject: str, links: list[str]) -> None:
    path = built(expression, "metric")
    assert isinstance(path, Path)
    assert (path.subject, names(path)) == (subject, links)


def test_a_chain_of_anything_else_is_one_access() -> None:
    access = built("(run.a if run.b else run.c).d['e']")
    assert isinstance(access, Access)
    assert names(access) == ["d", "e"]
    loop = built("[x.y for x in run.a]")
    assert isinstance(loop, Loop)
    assert isinstance(loop.element, Access)
    assert isinstance(loop.element.value, Variable)


def test_the_name_of_a_method_is_no_link() -> None:
    call = built("run.a.lower()")
    assert isinstance(call, MethodCall)
    assert (names(call.owner), call.method) == (["a"], "lower")


def test_a_part_is_marked_where_its_fault_is_shown() -> None:
    path = built("run.a\n  .b[1]")
    assert isinstance(path, Path)
    assert path.at == (2, 0)
    assert isinstance(path.links[-1], Index)
    assert path.links[-1].key == Constant((3, 5), 1)  # type: ignore[arg-type]  # line 1 is the bracket


@pytest.mark.parametrize("name", [*sorted(INSPECT_ATTRIBUTES), "x__roles__"])
def test_the_allow_list_refuses_what_the_second_wall_would_refuse(name: str) -> None:
    with pytest.raises(QuerySyntaxError, match=r"read with an index: \['"):
        built(f"run.{name} == 1")


@pytest.mark.parametrize(
    ("limits", "expression"),
    [
        (QueryLimits(expression_characters=10), "run.a == 1 "),
        (QueryLimits(expression_nodes=5), "run.a == [1, 2]"),
        (QueryLimits(nesting_levels=5), "len([[[run.a]]]) == 1"),
        (QueryLimits(chain_comparisons=2), "1 < run.a < 2 < run.b"),
        (QueryLimits(chained_comparisons=3), "1 < run.a < 2 and 1 < run.b < 2"),
        (QueryLimits(integer_bits=8), "run.a == 256"),
        (QueryLimits(pattern_characters=2), "run.a.matches('abc')"),
        (QueryLimits(pattern_instructions=5), "run.a.matches('abcdef')"),
    ],
)
def test_an_engine_refuses_what_is_beyond_its_own_limits(limits: QueryLimits, expression: str) -> None:
    PythonQuery().compile(expression)
    with pytest.raises(QuerySyntaxError):
        PythonQuery(limits).compile(expression)
