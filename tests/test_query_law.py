"""Index and hints give what a look at every run gives, and that is what the language says. Short; see `tests/laws`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.laws import dying
from tests.laws.machine import Repository

EXAMPLES = {"memory": 40, "lmdb": 12, "rocksdb": 10}


@pytest.fixture(autouse=True, scope="module")
def no_process_is_left() -> Iterator[None]:
    yield
    dying.stop()


@pytest.mark.parametrize(
    "backend", ["memory", pytest.param("lmdb", marks=pytest.mark.slow), pytest.param("rocksdb", marks=pytest.mark.slow)]
)
def test_queries_agree_with_what_is_known_of_the_runs(backend: str) -> None:
    chosen = settings(
        max_examples=EXAMPLES[backend],
        stateful_step_count=40,
        phases=[Phase.generate],  # a shorter example may take minutes to find; `python -m tests.laws` looks for it
        derandomize=True,  # the long run has other seeds
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine = type("Repository", (Repository,), {"backend": backend})
    run_state_machine_as_test(machine, settings=chosen)
