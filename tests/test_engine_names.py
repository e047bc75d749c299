"""The code of aimstore and of the kit knows engines by what plug-ins say of them, and never by their names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import aimstore
from aimstore.plugins import plugins

TOP = Path(aimstore.__file__).parent
EXEMPT = {
    TOP / "plugins" / "defaults.py",  # names the default
    *(TOP / "bench").rglob("*.py"),  # compares engines, and says so
}
FOR_PEOPLE = {"epilog", "help"}
"""Arguments that a command's help shows."""

ENGINES = {
    name
    for spec in plugins().backends().values()
    if not spec.factory.startswith("aimstore.")
    for name in (spec.name, spec.library)
}


def names_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every identifier and text of a module, with its line, without what is only there to be read by people."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):  # a docstring
            skipped.add(node.value)
        elif isinstance(node, ast.keyword) and node.arg in FOR_PEOPLE:
            skipped.update(ast.walk(node.value))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
            yield node.lineno, str(node.value)
        for field in ("id", "attr", "name", "module", "arg"):
            if isinstance(name := getattr(node, field, None), str):
                yield getattr(node, "lineno", 0), name


def test_there_are_engines_to_look_for() -> None:
    assert {"rocksdb", "rocksdict", "lmdb"} <= ENGINES


@pytest.mark.parametrize("file", sorted({*TOP.rglob("*.py")} - EXEMPT), ids=lambda file: str(file.relative_to(TOP)))
def test_no_engine_is_named(file: Path) -> None:
    engine = re.compile("|".join(sorted(ENGINES)), re.IGNORECASE)
    named = [(line, name) for line, name in names_of(ast.parse(file.read_text("utf-8"))) if engine.search(name)]
    assert named == []
