"""The query language of aimstore: a Python expression over `run`, `metric` or `sequence`, compiled to a predicate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aimstore.abc.query import CompiledQuery, Query, Subject, View
from aimstore.errors import QueryRuntimeError
from aimstore.query.allowed import AllowList
from aimstore.query.limits import Budget
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
            return _Everything(expression)
        tree = parse(expression)
        AllowList(expression, subject).check(tree)
        attributes = attributes_read(tree, subject)
        from aimstore.query.restricted import compile_predicate  # RestrictedPython is slow to import

        return _PythonCompiledQuery(expression, subject, attributes, compile_predicate(tree, expression, subject))


class _Everything(CompiledQuery):
    """The empty query."""

    attributes = frozenset()

    def __init__(self, expression: str) -> None:
        self.expression = expression

    def matches(self, view: View) -> bool:
        return True


class _PythonCompiledQuery(CompiledQuery):
    """A predicate; each evaluation has a budget of its own."""

    def __init__(
        self,
        expression: str,
        subject: Subject,
        attributes: frozenset[TreePath] | None,
        predicate: Callable[..., Any],
    ) -> None:
        self.expression = expression
        self.attributes = attributes
        self._names = SUBJECTS[subject]
        self._predicate = predicate

    def matches(self, view: View) -> bool:
        names = view.names()
        try:
            return bool(self._predicate(*[names[name] for name in self._names], Budget()))
        except Exception as error:  # whatever a user's expression does to a user's data
            cause = f"{type(error).__name__}: {error}"
            raise QueryRuntimeError(f"the query {self.expression!r:.200} failed: {cause}") from error
