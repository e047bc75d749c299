"""From the checked syntax of a query to a function: comparisons, arithmetic, calls and loops go through guards.

RestrictedPython's transformer runs before ours, as a second wall behind the allow-list: no syntax that the allow-list
accepts is known to need it. The only module that imports RestrictedPython, when the first query is compiled.
"""

# ruff: noqa: N802  # methods are named after syntax nodes, as in ast.NodeVisitor
from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, Final, NoReturn

from RestrictedPython.compile import compile_restricted_eval
from RestrictedPython.transformer import RestrictingNodeTransformer

from aimstore.abc.query import Subject
from aimstore.errors import QuerySyntaxError
from aimstore.query.namespace import guard_name, make_globals
from aimstore.query.syntax import fault, mark_of
from aimstore.query.views import SUBJECTS

_BUDGET: Final = "_budget_"
_NODES_PER_STEP: Final = 4
_BYTES_PER_NODE: Final = 10
_OBJECTS: Final[dict[type[ast.AST], int]] = {
    ast.List: 8,
    ast.Tuple: 8,
    ast.Set: 24,
    ast.Dict: 24,
    ast.ListComp: 24,
    ast.GeneratorExp: 24,
}
"""The number of nodes that an expression counts for if it makes objects: about one for each 10 bytes."""


def compile_predicate(tree: ast.Expression, expression: str, subject: Subject) -> Callable[..., Any]:
    """Compile a checked tree to a function of the names in `SUBJECTS[subject]` and a budget; the tree is modified.

    Raises:
        QuerySyntaxError: RestrictedPython, whose list of unsafe names grows with its releases, or Python's compiler
            refuses a part of the tree.
    """
    try:
        result = compile_restricted_eval(tree, "<query>", policy=_POLICIES[subject])
    except _RefusedError as refused:
        raise fault(refused.reason, expression, mark_of(refused.node)) from None
    except (RecursionError, MemoryError):
        raise QuerySyntaxError("the query is nested too deeply", expression, hint="split it up") from None
    except (SyntaxError, ValueError) as error:  # Python's parser accepts it, but its compiler does not
        raise QuerySyntaxError(f"not a query: {error}", expression) from None
    # the code is one function expression; it can reach only its arguments and the guards
    return eval(result.code, make_globals())  # type: ignore[arg-type, no-any-return]  # noqa: S307


class _RefusedError(Exception):
    def __init__(self, node: ast.AST, reason: str) -> None:
        self.node = node
        self.reason = reason


class _Policy(RestrictingNodeTransformer):
    """Rewrites the syntax after RestrictedPython. Generated names start with "_", which no query may write."""

    subject: Subject

    def error(self, node: ast.AST, info: str) -> NoReturn:
        raise _RefusedError(node, info)

    def visit_Expression(self, node: ast.Expression) -> ast.Expression:
        self._sizes = _sizes(node)
        super().visit_Expression(node)
        arguments = [ast.arg(name) for name in (*SUBJECTS[self.subject], _BUDGET)]
        node.body = _function(arguments, node.body)
        return ast.fix_missing_locations(node)

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        super().visit_Compare(node)
        return ast.copy_location(_chain(node.left, node.ops, node.comparators), node)

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        super().visit_BinOp(node)
        return ast.copy_location(_guarded(node.op, node.left, node.right), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        super().visit_UnaryOp(node)
        if isinstance(node.op, ast.Not):
            return node
        operand = node.operand
        if isinstance(node.op, ast.USub) and isinstance(operand, ast.Constant) and type(operand.value) in (int, float):
            return ast.copy_location(ast.Constant(-operand.value), node)  # type: ignore[operator]
        return ast.copy_location(_guarded(node.op, operand), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        super().visit_Subscript(node)  # the result is `_getitem_(value, key)`; ours takes the budget too
        return ast.copy_location(_call("_getitem_", _load(_BUDGET), node.value, node.slice), node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        super().visit_Call(node)
        if isinstance(node.func, ast.Call):  # RestrictedPython has turned the method into `_getattr_(value, "name")`
            node.args[:0] = node.func.args
            node.func = _load("_method_")
        node.args.insert(0, _load(_BUDGET))
        return node

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        size = self._round_size(node)
        super().visit_ListComp(node)
        return _weighed(node, size)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        size = self._round_size(node)
        super().visit_GeneratorExp(node)
        return _weighed(node, size)

    def _round_size(self, loop: ast.ListComp | ast.GeneratorExp) -> int:
        """Nodes that one round of a loop evaluates."""
        return self._sizes[loop] - _OBJECTS[type(loop)]

    def visit_comprehension(self, node: ast.comprehension) -> ast.comprehension:
        # not RestrictedPython's guard, which knows no budget; `_weighed` wraps every iterator in ours
        return self.node_contents_visit(node)


def _sizes(tree: ast.AST) -> dict[ast.AST, int]:
    """The number of nodes of each subtree that is an expression; nodes that make an object count as more."""
    sizes: dict[ast.AST, int] = {}

    def count(node: ast.AST) -> int:
        size = _OBJECTS.get(type(node), 1) + sum(map(count, ast.iter_child_nodes(node)))
        if isinstance(node, ast.expr):
            sizes[node] = size
        return size

    count(tree)
    return sizes


def _weighed(loop: ast.ListComp | ast.GeneratorExp, size: int) -> ast.expr:
    cost = (ast.Constant(size // _NODES_PER_STEP + 1), ast.Constant(size * _BYTES_PER_NODE))
    for clause in loop.generators:
        clause.iter = _call("_iterate_", _load(_BUDGET), clause.iter, *cost)
    return loop


class _RunPolicy(_Policy):
    subject = "run"


class _MetricPolicy(_Policy):
    subject = "metric"


class _SequencePolicy(_Policy):
    subject = "sequence"


_POLICIES: Final[dict[Subject, type[_Policy]]] = {
    policy.subject: policy for policy in (_RunPolicy, _MetricPolicy, _SequencePolicy)
}


def _chain(left: ast.expr, operators: list[ast.cmpop], comparators: list[ast.expr]) -> ast.expr:
    """A comparison, or a chain whose operands become functions that `_chain_` calls as far as needed."""
    if len(operators) == 1:
        return _guarded(operators[0], left, _looked_up(operators[0], comparators[0]))
    guards = ast.Tuple([_load(guard_name(type(operator))) for operator in operators], ast.Load())
    rights = map(_looked_up, operators, comparators)
    return _call("_chain_", _load(_BUDGET), guards, *(_function([], operand) for operand in (left, *rights)))


def _looked_up(operator: ast.cmpop, right: ast.expr) -> ast.expr:
    """The right operand of a comparison; constants after `in` become a set, searched in one step."""
    if isinstance(operator, (ast.In, ast.NotIn)) and isinstance(right, (ast.List, ast.Tuple, ast.Set)):
        constants = [element.value for element in right.elts if isinstance(element, ast.Constant)]
        if len(constants) == len(right.elts):
            return ast.Constant(frozenset(constants))  # type: ignore[arg-type]
    return right


def _guarded(operator: ast.AST, *operands: ast.expr) -> ast.expr:
    return _call(guard_name(type(operator)), _load(_BUDGET), *operands)


def _load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _call(name: str, *arguments: ast.expr) -> ast.expr:
    return _call_function(_load(name), *arguments)


def _call_function(function: ast.expr, *arguments: ast.expr) -> ast.expr:
    return ast.Call(function, list(arguments), [])


def _function(arguments: list[ast.arg], body: ast.expr) -> ast.Lambda:
    return ast.Lambda(ast.arguments([], arguments, None, [], [], None, []), body)
