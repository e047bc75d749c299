"""Repositories of very many runs, made in a minute: the records that runs leave behind, written without running them.

A finished run is only its record in the index and its row in the metadata database, which is all that queries look at. An
unfinished run has a meta container and progress markers too.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from aimstore.abc import Mode, WriteBatch
from aimstore.encoding.keys import encode_path
from aimstore.encoding.values import encode_value
from aimstore.errors import ConfigError
from aimstore.metadata import RunProperties
from aimstore.repository import context_of
from aimstore.repository.properties import put_properties
from aimstore.storage.layout import (
    ATTRS,
    NUMBER,
    Summary,
    definition_key,
    encode_definition,
    encode_summary,
    summary_key,
)
from aimstore.storage.memory import MemoryContainer
from aimstore.types import meta_path, seqs_path

if TYPE_CHECKING:
    from aimstore.repo import Repo

BATCH_SIZE: Final = 512
"""Runs that are committed to the index together; more than a writer should commit that others wait for."""

FIRST_CREATED_AT: Final = 1_700_000_000_000_000
"""Microseconds since the epoch when the first run was made; every other run was made a second after the one before."""

GROUP_SIZES: Final = {f"p{10 + i}": 10**i for i in range(7)}
"""Parameters that are equal in 1, 10, 100, … consecutive runs, so that `run.hparams.p12 == 5` is true of 100."""


def run_hash(number: int) -> str:
    """The hash of the run of that number."""
    return f"{number * 2654435761 % 2**32:08x}{number:016x}"  # spread as random hashes are


def parameters(number: int, count: int) -> dict[str, Any]:
    """`count` parameters of a run: p0 is a float that grows by one from run to run, p10 to p16 are those of `GROUP_SIZES`,
    the others random floats, ints, texts and bools."""
    numbers = random.Random(number)
    kinds = (numbers.random, lambda: numbers.randrange(1000), lambda: numbers.choice(_WORDS), lambda: number % 2 == 0)
    found: dict[str, Any] = {}
    for i in range(count):
        name = f"p{i}"
        found[name] = number + 0.5 if i == 0 else number // GROUP_SIZES[name] if name in GROUP_SIZES else kinds[i % 4]()
    return found


_WORDS: Final = ("adam", "sgd", "rmsprop", "adagrad", "lion")


def build(repo: Repo, runs: int, params: int = 20, *, first: int = 0) -> None:
    """Put `runs` finished runs with `params` parameters and a metric each into a repository, numbered from `first`."""
    indexer, database = context_of(repo).indexer, context_of(repo).database
    for begin in range(first, first + runs, BATCH_SIZE):
        rows = []
        with indexer.batch():
            for number in range(begin, min(begin + BATCH_SIZE, first + runs)):
                meta = MemoryContainer()
                meta.write(_contents(number, params, row := _row(number, finished=True)))
                indexer.index(row.hash, meta)
                meta.close()
                rows.append(row)
        database.upsert_runs(rows)


def build_unfinished(repo: Repo, runs: int, params: int = 20, *, first: int = 0) -> None:
    """Put runs into a repository whose processes seem to have died: marked, not indexed, without values."""
    backend, rows = context_of(repo).backend, []
    for number in range(first, first + runs):
        row = _row(number, finished=False)
        with backend.lock(meta_path(row.hash)) as lock:
            backend.mark(meta_path(row.hash))
            backend.mark(seqs_path(row.hash))
            with backend.open(meta_path(row.hash), Mode.WRITE, lock=lock) as meta:
                meta.write(_contents(number, params, row))
        rows.append(row)
    context_of(repo).database.upsert_runs(rows)


def _row(number: int, *, finished: bool) -> RunProperties:
    created = FIRST_CREATED_AT + number * 1_000_000
    return RunProperties(
        run_hash(number),
        name=f"run {number}",
        experiment=f"experiment {number % 10}",
        created_at=created,
        finalized_at=created + 60_000_000 if finished else None,
    )


def _contents(number: int, params: int, row: RunProperties) -> WriteBatch:
    batch = WriteBatch()
    put_properties(batch, row)
    for name, value in parameters(number, params).items():
        batch.put(encode_path((ATTRS, "hparams", name)), encode_value(value))
    batch.put(definition_key(0), encode_definition("loss", {}, NUMBER))
    last = 1.0 / (number + 1)
    batch.put(summary_key(0), encode_summary(Summary(100, 100, True, 0, 99, last, last, 2.0)))
    return batch


def matching(count: int) -> str:
    """A query that the first `count` runs match.

    Raises:
        ConfigError: that is no power of ten up to a million.
    """
    name = next((name for name, size in GROUP_SIZES.items() if size == count), None)
    if name is None:
        raise ConfigError(
            f"there is no query that {count:,} runs match: synthetic queries match powers of ten up to a million"
        )
    return f"run.hparams.{name} == 0"
