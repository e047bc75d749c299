"""The query contract: an expression is compiled to a predicate over views, and to hints for an index."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from aimstore.errors import UnsupportedError
from aimstore.types import TreePath

Subject: TypeAlias = Literal["run", "metric", "sequence"]
"""What a query selects: runs, metrics of runs, or sequences of any kind."""

Operator: TypeAlias = Literal["==", "<", "<=", ">", ">=", "in", "has", "startswith", "true", "defined"]


@dataclass(frozen=True)
class Term:
    """One fact about an attribute: `Term(("attrs", "hparams", "lr"), "<", 0.1)`.

    Attributes:
        attribute: the first part is the kind of attribute:

            - `("attrs", *path)`: a path in the user's tree; an int is a key of a dict, never an index of a list;
            - `("props", name)`: a structured property, such as `experiment` or `created_at`;
            - `("seqs", name, ...)`: a sequence called `name`: nothing follows (the sequence exists), or one of `last`,
              `min`, `max`, `count`, `first_step`, `last_step`, `kind`, or `context` and its keys;
            - `("any", ...)`: a sequence of any name; the same may follow, or `name`.
        operator: a comparison of the attribute with `value`; `in`: the attribute equals one of the constants in the
            tuple `value`; `has`: `value` is one of its elements; `startswith`: it is a str that begins with `value`;
            `true`: it exists and is true; `defined`: it exists.
        value: a bool, int, float, str or aware datetime (not NaN), or for `in` a tuple of these.
    """

    attribute: TreePath
    operator: Operator
    value: Any = None


@dataclass(frozen=True)
class Among:
    """The run's hash is one of these."""

    runs: frozenset[str]


@dataclass(frozen=True)
class AllOf:
    """Every hint is true. Terms about sequences may each be true of a different sequence."""

    hints: tuple[Hint, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one hint is true."""

    hints: tuple[Hint, ...]


Hint: TypeAlias = Term | Among | AllOf | AnyOf
"""A condition that every match of a query meets; an index may answer it with a superset."""


class View(Protocol):
    """The names that a predicate sees for one run, metric or sequence; see the query engine's documentation."""

    def names(self) -> dict[str, Any]: ...


class CompiledQuery(ABC):
    """A compiled expression. It is immutable, and several threads may use it.

    Attributes:
        expression: the source text.
        hints: a condition that every match meets, or None if none is known. A full scan with `matches` and an index
            that answers `hints` return the same result.
        exact: the hints are equivalent to the expression. For candidates that are exact too, `matches` may be skipped.
        attributes: the attribute paths that the expression reads, as far as they are known beforehand; None if they are
            not.
    """

    expression: str
    hints: Hint | None = None
    exact: bool = False
    attributes: frozenset[TreePath] | None = None

    @abstractmethod
    def matches(self, view: View) -> bool:
        """Return whether the expression is true of `view`.

        Raises:
            QueryRuntimeError: the evaluation raised; `__cause__` is the original error.
        """


class Order(ABC):
    """A compiled order of results. It is immutable, and several threads may use it.

    Attributes:
        text: the source text.
        names: each attribute of the order, as it was written.
        last: the rank of a result that has no place in the order: no other rank is greater.
        attributes: the attribute paths that the order reads, or None if they are not known beforehand.
    """

    text: str
    names: tuple[str, ...]
    last: tuple[Any, ...]
    attributes: frozenset[TreePath] | None = None

    @abstractmethod
    def rank(self, view: View) -> tuple[Any, ...]:
        """Return the rank of `view`: lower ranks come first. Any two ranks of one order compare with `<` and `==`.

        Raises:
            QueryRuntimeError: the computation raised; `__cause__` is the original error.
        """

    @abstractmethod
    def values(self, view: View) -> tuple[Any, ...]:
        """The values of `names` in `view`, for display; None for a missing value. Raises the same errors as `rank`."""


class Query(ABC):
    """A query language."""

    @abstractmethod
    def compile(self, expression: str, subject: Subject = "run") -> CompiledQuery:
        """Compile an expression; an empty expression matches everything.

        Raises:
            QuerySyntaxError: the expression is not a query; the error has its position.
        """

    def order(self, text: str, subject: Subject = "run") -> Order:
        """Compile the order of results. A query language need not support this.

        Raises:
            QuerySyntaxError: `text` is not an order; the error has its position.
            UnsupportedError: the language has no orders.
        """
        raise UnsupportedError(f"the query engine {type(self).__name__} cannot order results; leave order_by out")
