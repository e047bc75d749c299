"""The query contract: an expression becomes a predicate over views, and hints for an index."""

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
        attribute: begins with what kind of attribute it is:

            - `("attrs", *path)`: a place in the user's tree; an int is a key of a dict, never a place in a list;
            - `("props", name)`: a structured property, such as `experiment` or `created_at`;
            - `("seqs", name, ...)`: of some sequence called `name`: nothing more (there is one), or one of `last`, `min`,
              `max`, `count`, `first_step`, `last_step`, `kind`, or `context` and its keys;
            - `("any", ...)`: of some sequence, the same or `name`.
        operator: a comparison of the attribute with `value`; `in`: it equals one of the constants in the tuple `value`;
            `has`: `value` is one of its elements; `startswith`: it is a str that begins with `value`; `true`: it is there
            and counts as true; `defined`: it is there.
        value: a bool, int, float, str or aware datetime (not NaN), or for `in` a tuple of these.
    """

    attribute: TreePath
    operator: Operator
    value: Any = None


@dataclass(frozen=True)
class Among:
    """The run is one of these, by hash."""

    runs: frozenset[str]


@dataclass(frozen=True)
class AllOf:
    """Every hint holds. Terms about sequences may each hold of another one."""

    hints: tuple[Hint, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one hint holds."""

    hints: tuple[Hint, ...]


Hint: TypeAlias = Term | Among | AllOf | AnyOf
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
        exact: the hints say the same as the expression; for candidates that are exact too, `matches` may be skipped.
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


class Order(ABC):
    """What results are ordered by, compiled. Immutable; may be used from several threads.

    Attributes:
        text: what it was compiled from.
        names: of each attribute that it goes by, as it was written.
        last: the rank of what has no place in the order: no other rank is greater.
        attributes: attribute paths that it reads, or None where they are not known beforehand.
    """

    text: str
    names: tuple[str, ...]
    last: tuple[Any, ...]
    attributes: frozenset[TreePath] | None = None

    @abstractmethod
    def rank(self, view: View) -> tuple[Any, ...]:
        """The place of `view`: lesser ranks come first. Any two ranks of one order compare with `<` and `==`.

        Raises:
            QueryRuntimeError: finding it raised; `__cause__` is the original error.
        """

    @abstractmethod
    def values(self, view: View) -> tuple[Any, ...]:
        """What `view` has for each of `names`, to be shown; None where it is missing. Raises as `rank`."""


class Query(ABC):
    """A query language."""

    @abstractmethod
    def compile(self, expression: str, subject: Subject = "run") -> CompiledQuery:
        """Compile an expression; an empty one matches everything.

        Raises:
            QuerySyntaxError: it is not a query, with the place of the fault.
        """

    def order(self, text: str, subject: Subject = "run") -> Order:
        """Compile what results are to be ordered by. A language need not have this.

        Raises:
            QuerySyntaxError: it is no order, with the place of the fault.
            UnsupportedError: the language has none.
        """
        raise UnsupportedError(f"the query engine {type(self).__name__} cannot order results; leave order_by out")
