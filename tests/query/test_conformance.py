"""The query language passes the conformance kit."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from aimstore.query import RunView
from aimstore.testing import QueryConformance


class TestPythonQuery(QueryConformance):
    query_name = "python"

    def view(self, attributes: Mapping[str, Any]) -> RunView:
        return RunView(SimpleNamespace(hash="a" * 24, properties={}, attributes=attributes, metrics=[]))
