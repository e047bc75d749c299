"""What results are ordered by: attribute paths, parsed and read as those of a query, and the order of the values there.

run.created_at desc
run.metrics["loss"].last, run.hparams["batch size"] desc
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import total_ordering
from typing import Any, Final

from aimstore.abc.query import Order, Subject, View
from aimstore.errors import QueryRuntimeError, QuerySyntaxError
from aimstore.query.allowed import AllowList
from aimstore.query.compare import aware
from aimstore.query.limits import Budget
from aimstore.query.namespace import get_attribute, get_item
from aimstore.query.reads import attributes_read
from aimstore.query.syntax import blank, fault, parse, place, without_strings
from aimstore.query.values import MISSING
from aimstore.types import TreePath

_DIRECTION: Final = re.compile(r"\s(asc|desc)\s*\Z", re.IGNORECASE)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_HINT: Final = 'write attributes with "asc" or "desc" after them: "run.metrics[\'loss\'].last desc, run.name"'

_NUMBER, _MOMENT, _TEXT, _DURATION, _OTHER = range(5)
_LAST: Final = (math.inf,)


def parse_order(text: str, subject: Subject) -> Order:
    """The order that `text` stands for.

    Raises:
        TypeError: it is not a string.
        QuerySyntaxError: it is not one attribute path, or several with commas between them; with the place of the fault.
    """
    if not isinstance(text, str):
        raise TypeError(f"an order is a string such as 'run.created_at desc', not {type(text).__name__}")
    keys = [_key(text, start, stop, subject) for start, stop in _parts(text)]
    read = [key.attributes for key in keys]
    known = None if None in read else frozenset().union(*(paths for paths in read if paths is not None))
    return _AttributeOrder(text, tuple(keys), known)


@dataclass(frozen=True)
class _Key:
    """One attribute path.

    Attributes:
        text: as it was written.
        name: what it begins with: `run`, `metric` or `sequence`.
        links: what is read one after another from it: a name after a dot, or the key in brackets.
        descending: the greatest comes first.
        attributes: what it reads, as far as its syntax tells.
    """

    text: str
    name: str
    links: tuple[tuple[bool, Any], ...]
    descending: bool
    attributes: frozenset[TreePath] | None

    def value(self, view: View) -> Any:
        value: Any = view.names()[self.name]
        for is_name, link in self.links:
            value = get_attribute(value, link) if is_name else get_item(Budget(), value, link)
        return value


class _AttributeOrder(Order):
    def __init__(self, text: str, keys: tuple[_Key, ...], attributes: frozenset[TreePath] | None) -> None:
        self.text = text
        self.names = tuple(key.text for key in keys)
        self.last = tuple(_LAST for _ in keys)
        self.attributes = attributes
        self._keys = keys

    def rank(self, view: View) -> tuple[Any, ...]:
        values = zip(self._keys, self._read(view), strict=True)
        return tuple([rank(value, descending=key.descending) for key, value in values])

    def values(self, view: View) -> tuple[Any, ...]:
        return tuple(None if value is MISSING else value for value in self._read(view))

    def _read(self, view: View) -> list[Any]:
        try:
            return [key.value(view) for key in self._keys]
        except Exception as error:  # such as a metric's name that is not enough to tell which
            cause = f"{type(error).__name__}: {error}"
            raise QueryRuntimeError(f"the order {self.text!r:.200} failed: {cause}") from error


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Beginning and end of what stands between the commas that are neither in brackets nor in strings."""
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


def _key(text: str, start: int, stop: int, subject: Subject) -> _Key:
    path = text[start:stop]
    found = _DIRECTION.search(path)
    if found:
        path = path[: found.start()]
    if not path.strip():
        raise QuerySyntaxError("an attribute is missing", text, *place(text, start), _HINT)
    try:
        tree = parse(blank(text[:start]) + path)  # so that places are those in `text`
    except QuerySyntaxError as error:
        raise QuerySyntaxError(error.reason, text, error.line, error.column, _HINT) from None
    name, links = _path(tree.body, text)
    AllowList(text, subject).check(tree)
    descending = found is not None and found[1].lower() == "desc"
    return _Key(path.strip(), name, links, descending, attributes_read(tree, subject))


def _path(node: ast.expr, text: str) -> tuple[str, tuple[tuple[bool, Any], ...]]:
    links: list[tuple[bool, Any]] = []
    while not isinstance(node, ast.Name):
        match node:
            case ast.Attribute(value, name):
                links.insert(0, (True, name))
            case ast.Subscript(value, index):
                try:
                    links.insert(0, (False, ast.literal_eval(index)))
                except (ValueError, TypeError):
                    raise fault("the key of an order is a constant", text, index) from None
            case ast.UnaryOp(ast.USub()):
                raise fault(
                    "results are ordered by attributes", text, node, 'write "desc" after it for the other way round'
                )
            case _:
                raise fault("results are ordered by attributes, not by what is computed", text, node, _HINT)
        node = value
    return node.id, tuple(links)


def rank(value: Any, *, descending: bool = False) -> tuple[Any, ...]:
    """Something that compares with `<` as `value` is ordered; ranks of one direction compare with each other.

    Numbers come before dates and datetimes, then strings, durations, and all else, which is equal to each other.
    `descending` turns that round. What is missing, None and NaN come last either way.
    """
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return _LAST if value != value else (-_NUMBER, -value) if descending else (_NUMBER, value)
    if kind is str:
        return (-_TEXT, _Descending(value)) if descending else (_TEXT, value)
    if value is None or value is MISSING:
        return _LAST
    if kind is datetime:
        kind_rank, number = _MOMENT, (aware(value) - _EPOCH) // _MICROSECOND
    elif kind is date:
        kind_rank, number = _MOMENT, (datetime.combine(value, time(), UTC) - _EPOCH) // _MICROSECOND
    elif kind is timedelta:
        kind_rank, number = _DURATION, value // _MICROSECOND
    else:
        kind_rank, number = _OTHER, 0
    return (-kind_rank, -number) if descending else (kind_rank, number)


@total_ordering
class _Descending:
    """A string that comes before those that are less."""

    __slots__ = ("text",)
    __hash__ = None  # type: ignore[assignment]  # it is only compared

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and self.text == other.text

    def __lt__(self, other: _Descending) -> bool:
        return self.text > other.text
