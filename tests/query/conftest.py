"""An entry of one run, and functions that evaluate a query over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from aimstore.query import PythonQuery, RunView


@dataclass
class Metric:
    name: str
    context: Mapping[str, Any] = field(default_factory=dict)
    count: int = 10
    first_step: int | None = 0
    last_step: int | None = 9
    last: Any = 0.5
    min: Any = 0.25
    max: Any = 1.0
    kind: str = "number"


@dataclass
class Entry:
    attributes: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    hash: str = "a" * 24


@pytest.fixture
def entry() -> Entry:
    return Entry(
        attributes={
            "hparams": {"lr": 0.001, "layers": [64, 32], "opt": {"name": "adam"}, "steps": 100, "flag": True},
            "name": "parameter",
            "seed": None,
            "format": "csv",
            "text": "Hello World",
            "pairs": [[1, 2], [4, 3]],
            "when": datetime(2024, 5, 1),
            "nan": float("nan"),
            "depths": {1: "one"},
        },
        properties={
            "name": "first",
            "experiment": "baseline",
            "description": None,
            "tags": ("good", "v2"),
            "archived": False,
            "created_at": datetime(2024, 5, 1, 12, tzinfo=UTC),
            "finalized_at": None,
            "active": True,
            "duration": 90.5,
        },
        metrics=[
            Metric("loss"),
            Metric("acc", {"subset": "train"}, last=0.9),
            Metric("acc", {"subset": "val"}, last=0.7),
            Metric("f1", {"subset": "val"}, last=0.8),
        ],
    )


@pytest.fixture
def make_object() -> type[Entry]:
    return Entry


@pytest.fixture
def matches(entry: Entry) -> Callable[..., bool]:
    """`matches(expression)` of the entry of the fixture, or of a run with other attributes."""

    def evaluate(expression: str, attributes: Mapping[str, Any] | None = None) -> bool:
        source = entry if attributes is None else Entry(attributes)
        return PythonQuery().compile(expression).matches(RunView(source))

    return evaluate
