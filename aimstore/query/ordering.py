"""Orders of results: attribute paths, parsed and read like those of a query.

run.created_at desc
run.metrics["loss"].last, run.hparams["batch size"] desc
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from aimstore.abc.query import Order, Subject, View
from aimstore.errors import QueryRuntimeError, QuerySyntaxError
from aimstore.query.allowed import build_tree
from aimstore.query.constants import NotLiteralError, literal
from aimstore.query.limits import Budget, QueryLimits
from aimstore.query.namespace import get_attribute, get_item
from aimstore.query.ranks import LAST_RANK, rank
from aimstore.query.reads import attributes_read
from aimstore.query.syntax import fault, parse, position, without_strings
from aimstore.query.tree import Field, Node, Path, Signed
from aimstore.query.values import MISSING
from aimstore.types import TreePath

_DIRECTION: Final = re.compile(r"\s(asc|desc)\s*\Z", re.IGNORECASE)
_HINT: Final = 'write attributes with "asc" or "desc" after them: "run.metrics[\'loss\'].last desc, run.name"'


def parse_order(text: str, subject: Subject, limits: QueryLimits) -> Order:
    """Parse the order `text`.

    Raises:
        TypeError: `text` is not a string.
        QuerySyntaxError: `text` is not one attribute path, or several separated by commas; the error has its position.
    """
    if not isinstance(text, str):
        raise TypeError(f"an order is a string such as 'run.created_at desc', not {type(text).__name__}")
    most = limits.expression_characters
    if len(text) > most:
        raise QuerySyntaxError(f"an order may have {most:,} characters, not {len(text):,}", text[:80])
    parts = list(_parts(text))
    most = limits.order_attributes
    if len(parts) > most:
        raise QuerySyntaxError(f"an order may have {most:,} attributes, not {len(parts):,}", text)
    keys = tuple(_order_key(text, start, stop, subject, limits) for start, stop in parts)
    return _AttributeOrder(text, keys, limits)


@dataclass(frozen=True)
class _Key:
    """The value of an index."""

    value: Any


@dataclass(frozen=True)
class _OrderKey:
    """One attribute path.

    Attributes:
        text: the path as it was written.
        subject: the first name of the path.
        links: the steps from the subject, in order: fields, or values of indices.
        descending: the greatest comes first.
        attributes: the attributes that it reads, as far as the tree shows.
    """

    text: str
    subject: Subject
    links: tuple[Field | _Key, ...]
    descending: bool
    attributes: frozenset[TreePath]

    def value(self, view: View, budget: Budget) -> Any:
        value: Any = view.names()[self.subject]
        for link in self.links:
            value = get_attribute(value, link.name) if isinstance(link, Field) else get_item(budget, value, link.value)
        return value


class _AttributeOrder(Order):
    def __init__(self, text: str, keys: tuple[_OrderKey, ...], limits: QueryLimits) -> None:
        self.text = text
        self.names = tuple(key.text for key in keys)
        self.last = tuple(LAST_RANK for _ in keys)
        self.attributes = frozenset().union(*(key.attributes for key in keys))
        self._keys = keys
        self._limits = limits

    def rank(self, view: View) -> tuple[Any, ...]:
        values = zip(self._keys, self._read(view), strict=True)
        return tuple([rank(value, descending=key.descending) for key, value in values])

    def values(self, view: View) -> tuple[Any, ...]:
        return tuple(None if value is MISSING else value for value in self._read(view))

    def _read(self, view: View) -> list[Any]:
        budget = Budget(self._limits)
        try:
            return [key.value(view, budget) for key in self._keys]
        except Exception as error:  # such as an ambiguous name of a metric
            cause = f"{type(error).__name__}: {error}"
            raise QueryRuntimeError(f"the order {self.text!r:.200} failed: {cause}") from error


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of each text between commas; commas in brackets or strings do not count."""
    start = depth = 0
    for i, character in enumerate(without_strings(text)):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == "," and depth == 0:
            yield start, i
            start = i + 1
    yield start, len(text)


def _order_key(text: str, start: int, stop: int, subject: Subject, limits: QueryLimits) -> _OrderKey:
    """Parse the attribute between two commas on its own; positions of errors refer to `text`."""
    path = text[start:stop]
    found = _DIRECTION.search(path)
    if found:
        path = path[: found.start()]
    if not path.strip():
        raise QuerySyntaxError("an attribute is missing", text, *position(text, start), _HINT)
    try:
        return _parsed(path, subject, limits, descending=found is not None and found[1].lower() == "desc")
    except QuerySyntaxError as error:
        line, column = position(text, start)
        column = error.column + (column - 1 if error.line == 1 else 0)
        raise QuerySyntaxError(error.reason, text, error.line + line - 1, column, error.hint) from None


def _parsed(path: str, subject: Subject, limits: QueryLimits, *, descending: bool) -> _OrderKey:
    try:
        syntax = parse(path, limits)
    except QuerySyntaxError as error:
        raise QuerySyntaxError(error.reason, path, error.line, error.column, _HINT) from None
    node = build_tree(syntax, path, subject, limits)
    if not isinstance(node, Path):
        raise _not_a_path(node, path)
    return _OrderKey(path.strip(), node.subject, _links(node, path), descending, attributes_read(node))


def _not_a_path(node: Node, path: str) -> QuerySyntaxError:
    if isinstance(node, Signed) and node.sign == "-":
        hint = 'write "desc" after it for the other way round'
        return fault("results are ordered by attributes", path, node.at, hint)
    return fault("results are ordered by attributes, not by what is computed", path, node.at, _HINT)


def _links(node: Path, path: str) -> tuple[Field | _Key, ...]:
    try:
        return tuple(link if isinstance(link, Field) else _Key(literal(link.key)) for link in node.links)
    except NotLiteralError as error:
        raise fault("the key of an order is a constant", path, error.node.at) from None
