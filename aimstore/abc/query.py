"""The query contract: an expression becomes a predicate over views, and hints for an index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from aimstore.types import TreePath

Subject: TypeAlias = Literal["run", "metric", "sequence"]
"""What a query selects: runs, metrics of runs, or sequences of any kind."""

Operator: TypeAlias = Literal["==", "<", "<=", ">", ">=", "in", "startswith", "true", "defined"]


@dataclass(frozen=True)
class Term:
    """One comparison of an attribute with a constant: `("run", "hparams", "lr") < 0.1`."""

    attribute: TreePath
    operator: Operator
    value: Any = None


@dataclass(frozen=True)
class AllOf:
    """Every hint holds."""

    hints: tuple[Hint, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one hint holds."""

    hints: tuple[Hint, ...]


Hint: TypeAlias = Term | AllOf | AnyOf
"""What every match of a query satisfies; an index may answer it with a superset."""


class View(Protocol):
    """The names that a predicate sees for one run, metric or sequence; see the query engine's documentation."""

    def names(self) -> dict[str, Any]: ...


class CompiledQuery(ABC):
    """A compiled expression. Immutable; may be used from several threads.

    Attributes:
        expression: the text it was compiled from.
        hints: what every match satisfies, or None where nothing is known. A full scan with `matches` and an index
            answering `hints` give the same result.
        exact: the hints decide alone; `matches` may be skipped for their exact candidates.
        attributes: attribute paths that the expression reads, as far as they are known beforehand; None if they are not.
    """

    expression: str
    hints: Hint | None = None
    exact: bool = False
    attributes: frozenset[TreePath] | None = None

    @abstractmethod
    def matches(self, view: View) -> bool:
        """Whether the expression is true of `view`.

        Raises:
            QueryRuntimeError: evaluating it raised; `__cause__` is the original error.
        """


class Query(ABC):
    """A query language."""

    @abstractmethod
    def compile(self, expression: str, subject: Subject = "run") -> CompiledQuery:
        """Compile an expression; an empty one matches everything.

        Raises:
            QuerySyntaxError: it is not a query, with the place of the fault.
        """
