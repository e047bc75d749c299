"""The query language of aimstore: a Python expression over `run`, `metric` or `sequence`, compiled to a predicate."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from aimstore.abc.query import AllOf, CompiledQuery, Order, Query, Subject, View
from aimstore.errors import QueryRuntimeError
from aimstore.query.allowed import build_tree, check_condition
from aimstore.query.limits import DEFAULT_LIMITS, Budget, QueryLimits
from aimstore.query.ordering import parse_order
from aimstore.query.planner import Plan, plan
from aimstore.query.reads import attributes_read
from aimstore.query.syntax import parse
from aimstore.query.tree import Node
from aimstore.query.views import SUBJECTS
from aimstore.types import TreePath


class PythonQuery(Query):
    """Python expressions, checked by an allow-list of syntax.

    Args:
        limits: limits on the cost of queries.
    """

    def __init__(self, limits: QueryLimits = DEFAULT_LIMITS) -> None:
        self._limits = limits

    def compile(self, expression: str, subject: Subject = "run") -> CompiledQuery:
        if not isinstance(expression, str):
            raise TypeError(f"a query is a string, not {type(expression).__name__}")
        if not expression.strip():
            return _Everything(expression, subject)
        limits = self._limits
        syntax, node = _checked(expression, subject, limits)
        planned = plan(node, subject, limits)
        query = _PythonCompiledQuery(expression, subject, attributes_read(node), planned, limits)
        if not query.exact:
            query.prepare(syntax)
        return query

    def order(self, text: str, subject: Subject = "run") -> Order:
        return parse_order(text, subject, self._limits)


def _checked(expression: str, subject: Subject, limits: QueryLimits) -> tuple[ast.Expression, Node]:
    """Python's syntax of a query, and the tree that the allow-list builds from it."""
    syntax = parse(expression, limits)
    node = build_tree(syntax, expression, subject, limits)
    check_condition(node, expression)
    return syntax, node


class _Everything(CompiledQuery):
    """The empty query."""

    attributes = frozenset()

    def __init__(self, expression: str, subject: Subject) -> None:
        self.expression = expression
        if subject == "run":
            self.hints, self.exact = AllOf(()), True

    def matches(self, view: View) -> bool:
        return True


class _PythonCompiledQuery(CompiledQuery):
    """A predicate, compiled on first use; each evaluation has a budget of its own."""

    def __init__(
        self,
        expression: str,
        subject: Subject,
        attributes: frozenset[TreePath],
        planned: Plan,
        limits: QueryLimits,
    ) -> None:
        self.expression = expression
        self.attributes = attributes
        self.hints = planned.hints
        self.exact = planned.hints_suffice
        self._limits = limits
        self._subject = subject
        self._names = SUBJECTS[subject]
        self._predicate: Callable[..., Any] | None = None

    def prepare(self, syntax: ast.Expression) -> Callable[..., Any]:
        """Compile the predicate from the checked syntax of the expression, which is modified.

        Raises:
            QuerySyntaxError: RestrictedPython refuses a part of the expression.
        """
        from aimstore.query.restricted import compile_predicate  # RestrictedPython is slow to import

        self._predicate = predicate = compile_predicate(syntax, self.expression, self._subject)
        return predicate

    def matches(self, view: View) -> bool:
        try:
            # two threads may compile it at the same time, each from a tree of its own; both results are valid
            predicate = self._predicate or self.prepare(_checked(self.expression, self._subject, self._limits)[0])
            names = view.names()
            return bool(predicate(*[names[name] for name in self._names], Budget(self._limits)))
        except Exception as error:  # a user's expression may raise any error on a user's data
            cause = f"{type(error).__name__}: {error}"
            raise QueryRuntimeError(f"the query {self.expression!r:.200} failed: {cause}") from error
