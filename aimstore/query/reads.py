"""Which attributes an expression reads, as far as its syntax tells."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from typing import TypeAlias

from aimstore.abc.query import Subject
from aimstore.query.views import CLOSED, RUN_PROPERTIES, SUBJECTS
from aimstore.types import TreePath

_Link: TypeAlias = ast.Attribute | ast.Subscript


def attributes_read(tree: ast.Expression, subject: Subject) -> frozenset[TreePath] | None:
    """Paths that start with a name that queries for `subject` have; all that is read lies at or below one of them.

    `("run", p)` with a structured property `p` is always that property, never the user's attribute of the same name:
    where the user's one is read (`run["name"]`), or the first key is computed, the path is `("run",)`, which stands for
    all of the user's tree. None where the syntax does not tell, as in `any(m.run.archived for m in run.metrics)`.
    """
    reader = _Reader(SUBJECTS[subject])
    reader.visit(tree.body)
    return frozenset(reader.paths) if reader.known else None


class _Reader:
    def __init__(self, subjects: Collection[str]) -> None:
        self.subjects = subjects
        self.paths: set[TreePath] = set()
        self.known = True

    def visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):  # a method's name is no attribute
            self._visit_all((node.func.value, *node.args, *node.keywords))
        elif isinstance(node, (ast.Attribute, ast.Subscript)):
            self._visit_chain(node)
        else:
            self._visit_all(ast.iter_child_nodes(node))

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _visit_chain(self, node: _Link) -> None:
        links: list[_Link] = []
        root: ast.expr = node
        while isinstance(root, (ast.Attribute, ast.Subscript)):
            links.insert(0, root)
            root = root.value
        self._visit_all(link.slice for link in links if isinstance(link, ast.Subscript))
        subject = root.id if isinstance(root, ast.Name) and root.id in self.subjects else ""
        if subject in CLOSED and _is_run(links[0]):
            subject, links = "run", links[1:]
            self.known &= bool(links)  # the run as a value may be read anywhere
        if any(_is_run(link) for link in links):  # maybe a metric's run, reached through some value
            self.known = False
        if subject:
            self.paths.add(_path(subject, links))
        else:
            self.visit(root)


def _is_run(link: _Link) -> bool:
    return isinstance(link, ast.Attribute) and link.attr == "run"


def _path(subject: str, links: list[_Link]) -> TreePath:
    path: list[str | int] = [subject]
    for link in links:
        first = subject == "run" and len(path) == 1
        if isinstance(link, ast.Attribute):
            path.append(link.attr)
            if first and link.attr in RUN_PROPERTIES:
                break
            continue
        keys = _constant_keys(link.slice)
        if keys is None or (first and keys[0] in RUN_PROPERTIES):
            break
        path.extend(keys)
    return tuple(path)


def _constant_keys(node: ast.expr) -> list[str | int] | None:
    """The keys of an index, or None where they are computed."""
    keys: list[str | int] = []
    for part in node.elts if isinstance(node, ast.Tuple) else [node]:
        if not isinstance(part, ast.Constant) or not isinstance(part.value, (str, int)):
            return None
        keys.append(part.value)
    return keys or None
