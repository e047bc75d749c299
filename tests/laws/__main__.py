"""`python -m tests.laws`: the law of queries, for as many steps as one likes, from seeds that make a failure come again."""

from __future__ import annotations

import argparse
import logging
import time
import warnings
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import HypothesisWarning
from hypothesis.stateful import run_state_machine_as_test

from tests.laws.machine import Repository

SEEDS = range(1, 41)
BACKENDS = ("memory", "lmdb", "memory", "rocksdb")
"""In turn; those with files also lose bytes of the index, and processes that are killed."""


def run(number: int, backend: str, *, examples: int, steps: int, phases: Sequence[Phase] = tuple(Phase)) -> None:
    """Let `examples` repositories live for up to `steps` steps each. Raises what is wrong, with an example."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=steps,
        phases=[phase for phase in phases if phase is not Phase.explain],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    machine = type("Repository", (Repository,), {"backend": backend})
    run_state_machine_as_test(seed(number)(machine), settings=chosen)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.laws", description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000, help="at least so many")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="numbers with commas between, taken in turn")
    parser.add_argument(
        "--backend", action="append", help="engine, or several in turn; memory, lmdb and rocksdb if not given"
    )
    arguments = parser.parse_args()
    seeds = [int(each) for each in arguments.seeds.split(",")]
    backends = arguments.backend or BACKENDS
    logging.getLogger("aimstore").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore", HypothesisWarning)
    began = time.monotonic()
    for turn, number in enumerate(seeds):
        backend = backends[turn % len(backends)]
        left = max(arguments.steps - Repository.steps, 0) // (len(seeds) - turn) + 1
        goal = Repository.steps + left
        again = 0
        while Repository.steps < goal:
            run(1000 * again + number, backend, examples=max(left // 40, 1), steps=50)
            again += 1
        taken = time.monotonic() - began
        print(
            f"seed {number:3} {backend:8} {Repository.steps:7,} steps, {Repository.asked:7,} queries, {taken:6.0f} s",
            flush=True,
        )
    print(f"{Repository.steps:,} steps done, {Repository.asked:,} queries, all as they should be")


main()
