"""The attributes that a query reads, as far as its tree shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aimstore.query.tree import Access, Constant, Display, Field, Index, Link, MethodCall, Node, Path, Slice
from aimstore.query.views import RUN_PROPERTIES
from aimstore.types import TreePath

_ARCHIVED: Final = "archived"
_ANYTHING: Final = frozenset({("run",), *(("run", name) for name in RUN_PROPERTIES - {_ARCHIVED})})
"""The attributes that may be read of a run that is a value, unless `archived` occurs in the query."""


def attributes_read(node: Node) -> frozenset[TreePath]:
    """Paths that start with a name of the query; everything that it reads is at or below one of them.

    `("run", p)` with a structured property `p` is always that property, never the user's attribute of the same name: if
    the user's attribute is read (`run["name"]`), or the first key is computed, the path is `("run",)`, which stands for
    the whole user's tree. A run may also be reached through a value, as in `any(m.run.archived for m in run.metrics)`
    and `[metric.run][0].archived`: such a query reads `("run", "archived")`.
    """
    reader = _Reader()
    reader.visit(node)
    return frozenset(reader.paths)


class _Reader:
    def __init__(self) -> None:
        self.paths: set[TreePath] = set()

    def visit(self, node: Node) -> None:
        children = node.children()
        if isinstance(node, Path):
            self._read_path(node)
        elif isinstance(node, Access):
            self._read_access(node)
        elif isinstance(node, MethodCall) and isinstance(node.owner, Path) and not node.owner.links:
            children = iter(node.arguments)  # no subject has methods
        for child in children:
            self.visit(child)

    def _read_path(self, path: Path) -> None:
        if path.subject == "run":
            self._read_run(path.links)
        else:
            self.paths.add(_tree_path(path.subject, path.links))

    def _read_run(self, links: tuple[Link, ...]) -> None:
        """Add the attributes that `links` reach from a run."""
        if not links:
            self.paths |= _ANYTHING
        elif _may_stay(links[0]):
            self._read_run(links[1:])
        if links:
            self.paths.add(_tree_path("run", links))
        if links and links[0] == Field("metrics"):
            self._read_value(links)

    def _read_value(self, links: tuple[Link, ...]) -> None:
        """Add the attributes that `links` reach from a value that may be a metric, or hold metrics."""
        for number, link in enumerate(links):
            if link == Field("run"):
                self._read_run(links[number + 1 :])
                return

    def _read_access(self, access: Access) -> None:
        self._read_value(access.links)
        if Field(_ARCHIVED) in access.links:  # perhaps of a run
            self.paths.add(("run", _ARCHIVED))


def _may_stay(link: Link) -> bool:
    """Whether an index may be `[()]`, which returns the run itself."""
    return isinstance(link, Index) and _may_be_empty(link.key)


def _may_be_empty(key: Node) -> bool:
    """Whether a key may be an empty tuple; a value read of a run never is."""
    if isinstance(key, Display):
        return key.kind == "tuple" and all(map(_may_be_empty, key.elements))
    return not isinstance(key, (Constant, Path, Slice))


def _tree_path(subject: str, links: tuple[Link, ...]) -> TreePath:
    return (subject, *_names(subject, links))


def _names(subject: str, links: tuple[Link, ...]) -> Iterator[str | int]:
    """The names along `links`, as far as they are known."""
    for number, link in enumerate(links):
        of_run = subject == "run" and number == 0
        if isinstance(link, Field):
            yield link.name
            if of_run and link.name in RUN_PROPERTIES:
                return
            continue
        keys = _constant_keys(link.key)
        if keys is None or (of_run and keys[0] in RUN_PROPERTIES):
            return
        yield from keys


def _constant_keys(node: Node) -> list[str | int] | None:
    """The keys of an index, or None if they are computed."""
    keys: list[str | int] = []
    for part in node.elements if isinstance(node, Display) and node.kind == "tuple" else [node]:
        if not isinstance(part, Constant) or not isinstance(part.value, (str, int)):
            return None
        keys.append(part.value)
    return keys or None
