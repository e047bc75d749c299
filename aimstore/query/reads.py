"""Which attributes a query reads, as far as its tree tells."""

from __future__ import annotations

from aimstore.query.tree import Access, Constant, Display, Field, Link, MethodCall, Node, Path
from aimstore.query.views import RUN_PROPERTIES
from aimstore.types import TreePath


def attributes_read(node: Node) -> frozenset[TreePath] | None:
    """Paths that start with a name that the query has; all that it reads lies at or below one of them.

    `("run", p)` with a structured property `p` is always that property, never the user's attribute of the same name:
    where the user's one is read (`run["name"]`), or the first key is computed, the path is `("run",)`, which stands for
    all of the user's tree. None where the tree does not tell, as in `any(m.run.archived for m in run.metrics)`.
    """
    reader = _Reader()
    reader.visit(node)
    return frozenset(reader.paths) if reader.known else None


class _Reader:
    def __init__(self) -> None:
        self.paths: set[TreePath] = set()
        self.known = True

    def visit(self, node: Node) -> None:
        children = node.children()
        if isinstance(node, Path):
            self._read(node)
        elif isinstance(node, Access):
            self.known &= not any(map(_is_run, node.links))  # maybe a metric's run, reached through some value
        elif isinstance(node, MethodCall) and isinstance(node.owner, Path) and not node.owner.links:
            children = iter(node.arguments)  # no subject has methods
        for child in children:
            self.visit(child)

    def _read(self, path: Path) -> None:
        # a run as a value may be read anywhere; so may a metric's run, reached through some value
        if not path.links or any(map(_is_run, path.links)):
            self.known = False
        self.paths.add(_tree_path(path))


def _is_run(link: Link) -> bool:
    return isinstance(link, Field) and link.name == "run"


def _tree_path(path: Path) -> TreePath:
    parts: list[str | int] = [path.subject]
    for link in path.links:
        first = path.subject == "run" and len(parts) == 1
        if isinstance(link, Field):
            parts.append(link.name)
            if first and link.name in RUN_PROPERTIES:
                break
            continue
        keys = _constant_keys(link.key)
        if keys is None or (first and keys[0] in RUN_PROPERTIES):
            break
        parts.extend(keys)
    return tuple(parts)


def _constant_keys(node: Node) -> list[str | int] | None:
    """The keys of an index, or None where they are computed."""
    keys: list[str | int] = []
    for part in node.elements if isinstance(node, Display) and node.kind == "tuple" else [node]:
        if not isinstance(part, Constant) or not isinstance(part.value, (str, int)):
            return None
        keys.append(part.value)
    return keys or None
