"""The queries in the reference of the query language are queries, and it names every function, method and property."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aimstore.query import METRIC_PROPERTIES, RUN_PROPERTIES, SEQUENCE_PROPERTIES, PythonQuery
from aimstore.query.functions import FUNCTIONS, METHODS

PAGE = (Path(__file__).parents[2] / "docs/reference/query-language.md").read_text(encoding="utf-8")
QUERIES = [line for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.mark.parametrize("expression", QUERIES)
def test_each_query_compiles(expression):
    PythonQuery().compile(expression, "sequence" if "sequence." in expression else "metric")


def test_every_name_is_there():
    assert len(QUERIES) > 8
    for name in FUNCTIONS.keys() | METHODS:
        assert f"`{name}`" in PAGE or f"`{name}()`" in PAGE, name
    properties = {"run": RUN_PROPERTIES, "metric": METRIC_PROPERTIES, "sequence": SEQUENCE_PROPERTIES}
    for subject, names in properties.items():
        assert {name for name in names if f"`{subject}.{name}`" not in PAGE} == set()


def test_the_examples_run():
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "query-language.md", "exec"), {})
