"""The tree of a query: a small language of our own, which the allow-list builds from Python's syntax.

The planner, `attributes_read` and orders visit this tree; none of them sees a Python node. A chain of attributes and
indices is flattened here, once: `run.hparams["lr"]` is one `Path` with two links.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal, NamedTuple, TypeAlias

from aimstore.abc.query import Subject

Comparison: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not"]
Operation: TypeAlias = Literal["+", "-", "*", "/", "//", "%", "**"]
Sign: TypeAlias = Literal["+", "-"]


class Mark(NamedTuple):
    """A position as Python's parser counts it; `aimstore.query.syntax` converts it to a line and column of the text."""

    line: int
    byte: int


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a query.

    Attributes:
        at: the position shown for an error in this part: the last name of a chain, else the beginning of the part.
    """

    at: Mark

    def children(self) -> Iterator[Node]:
        """The parts of this part, in the order in which they are written."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Constant(Node):
    """A number, string, bytes, None, True or False."""

    value: bool | int | float | complex | str | bytes | None


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """A name that a loop binds."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """`.name`"""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`[key]`"""

    key: Node


Link: TypeAlias = Field | Index


@dataclass(frozen=True, slots=True)
class Path(Node):
    """An attribute of a subject: `run.hparams["lr"]`, `metric.last`.

    Without links it is the subject itself, as in `metric.run`: anything after `metric.run` or `sequence.run` is a path
    of `run`.
    """

    subject: Subject
    links: tuple[Link, ...]

    def children(self) -> Iterator[Node]:
        return _keys(self.links)


@dataclass(frozen=True, slots=True)
class Access(Node):
    """An attribute or item of a computed value: `x.name`, `(run.a if run.b else run.c)[0]`."""

    value: Node
    links: tuple[Link, ...]

    def children(self) -> Iterator[Node]:
        return chain((self.value,), _keys(self.links))


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """The key of `x[lower:upper:step]`."""

    bounds: tuple[Node | None, Node | None, Node | None]

    def children(self) -> Iterator[Node]:
        return (bound for bound in self.bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class Junction(Node):
    """Conditions joined by `and` or `or`."""

    word: Literal["and", "or"]
    conditions: tuple[Node, ...]

    def children(self) -> Iterator[Node]:
        return iter(self.conditions)


@dataclass(frozen=True, slots=True)
class Negation(Node):
    """`not condition`"""

    condition: Node

    def children(self) -> Iterator[Node]:
        yield self.condition


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """A comparison, or a chain of them: `0 < run.a < 1` has two operators and three operands."""

    operators: tuple[Comparison, ...]
    operands: tuple[Node, ...]

    def pairs(self) -> Iterator[tuple[Node, Comparison, Node]]:
        """Each operator between its two operands."""
        return zip(self.operands, self.operators, self.operands[1:], strict=False)

    def children(self) -> Iterator[Node]:
        return iter(self.operands)


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """`left + right`, and the same with other operators."""

    operation: Operation
    left: Node
    right: Node

    def children(self) -> Iterator[Node]:
        yield self.left
        yield self.right


@dataclass(frozen=True, slots=True)
class Signed(Node):
    """`-value` or `+value`."""

    sign: Sign
    value: Node

    def children(self) -> Iterator[Node]:
        yield self.value


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`chosen if test else otherwise`"""

    chosen: Node
    test: Node
    otherwise: Node

    def children(self) -> Iterator[Node]:
        yield self.chosen
        yield self.test
        yield self.otherwise


@dataclass(frozen=True, slots=True)
class Display(Node):
    """`[a, b]`, `(a, b)` or `{a, b}`."""

    kind: Literal["list", "tuple", "set"]
    elements: tuple[Node, ...]

    def children(self) -> Iterator[Node]:
        return iter(self.elements)


@dataclass(frozen=True, slots=True)
class DictDisplay(Node):
    """`{key: value}`"""

    items: tuple[tuple[Node, Node], ...]

    def children(self) -> Iterator[Node]:
        return chain.from_iterable(self.items)


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of a function by its name."""

    function: str
    arguments: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...] = ()

    def children(self) -> Iterator[Node]:
        return chain(self.arguments, (value for _, value in self.keywords))


@dataclass(frozen=True, slots=True)
class MethodCall(Node):
    """`owner.method(arguments)`"""

    owner: Node
    method: str
    arguments: tuple[Node, ...]

    def children(self) -> Iterator[Node]:
        return chain((self.owner,), self.arguments)


@dataclass(frozen=True, slots=True)
class Clause:
    """`for variables in iterable if conditions`"""

    variables: tuple[str, ...]
    iterable: Node
    conditions: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """`element for … in … if …`, in brackets or as the argument of a function."""

    element: Node
    clauses: tuple[Clause, ...]

    def children(self) -> Iterator[Node]:
        yield self.element
        for clause in self.clauses:
            yield clause.iterable
            yield from clause.conditions


def _keys(links: tuple[Link, ...]) -> Iterator[Node]:
    return (link.key for link in links if isinstance(link, Index))
