"""The query language of aimstore: a Python expression over `run`, `metric` or `sequence`, compiled to a predicate."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any, Final

from aimstore.abc.query import AllOf, CompiledQuery, Order, Query, Subject, View
from aimstore.errors import QueryRuntimeError
from aimstore.query.allowed import AllowList
from aimstore.query.limits import Budget
from aimstore.query.ordering import parse_order
from aimstore.query.planner import Plan, plan
from aimstore.query.reads import attributes_read
from aimstore.query.syntax import parse
from aimstore.query.views import SUBJECTS
from aimstore.types import TreePath


class PythonQuery(Query):
    """Python expressions, checked by an allow-list of syntax and compiled by RestrictedPython."""

    def compile(self, expression: str, subject: Subject = "run") -> CompiledQuery:
        if not isinstance(expression, str):
            raise TypeError(f"a query is a string, not {type(expression).__name__}")
        if not expression.strip():
            return _Everything(expression, subject)
        tree = parse(expression)
        AllowList(expression, subject).check(tree)
        query = _PythonCompiledQuery(expression, subject, attributes_read(tree, subject), plan(tree, subject))
        if not (query.exact and _is_plain(tree)):
            query.prepare(tree)
        return query

    def order(self, text: str, subject: Subject = "run") -> Order:
        return parse_order(text, subject)


_PLAIN: Final = (
    *(ast.Expression, ast.BoolOp, ast.boolop, ast.Compare, ast.cmpop, ast.Name, ast.expr_context),
    *(ast.Attribute, ast.Subscript, ast.Constant, ast.List, ast.Set, ast.Tuple),
    *(ast.UnaryOp, ast.unaryop, ast.BinOp, ast.operator, ast.Call, ast.keyword),
)
_DOUBTFUL: Final = re.compile(r"[a-z]{1,2}_|.*__")
_MAX_CHAIN: Final = 8


def _is_plain(tree: ast.Expression) -> bool:
    """Whether RestrictedPython is sure to compile the tree, so that this can wait until the predicate is needed.

    What it refuses of the syntax that a query may contain are names such as `f_code` and `x__roles__`, and each release
    may add some; long chains of comparisons nest too deeply for it.
    """
    for node in ast.walk(tree):
        if not isinstance(node, _PLAIN):
            return False
        if isinstance(node, ast.Attribute) and _DOUBTFUL.match(node.attr):
            return False
        if isinstance(node, ast.Compare) and len(node.ops) > _MAX_CHAIN:
            return False
    return True


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
    """A predicate, compiled when it is needed; each evaluation has a budget of its own."""

    def __init__(
        self, expression: str, subject: Subject, attributes: frozenset[TreePath] | None, planned: Plan
    ) -> None:
        self.expression = expression
        self.attributes = attributes
        self.hints = planned.hints
        self.exact = planned.exact
        self._subject = subject
        self._names = SUBJECTS[subject]
        self._predicate: Callable[..., Any] | None = None

    def prepare(self, tree: ast.Expression) -> Callable[..., Any]:
        """Compile the predicate from the checked tree of the expression, which is used up.

        Raises:
            QuerySyntaxError: RestrictedPython refuses something.
        """
        from aimstore.query.restricted import compile_predicate  # RestrictedPython is slow to import

        self._predicate = predicate = compile_predicate(tree, self.expression, self._subject)
        return predicate

    def matches(self, view: View) -> bool:
        # two threads at once may both compile it, each from a tree of its own, and either result will do
        predicate = self._predicate or self.prepare(parse(self.expression))
        names = view.names()
        try:
            return bool(predicate(*[names[name] for name in self._names], Budget()))
        except Exception as error:  # whatever a user's expression does to a user's data
            cause = f"{type(error).__name__}: {error}"
            raise QueryRuntimeError(f"the query {self.expression!r:.200} failed: {cause}") from error
