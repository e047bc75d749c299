"""What was found once stays found, and inputs made of it keep the law. `python -m tests.fuzz` looks for more."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.fuzz.corpus import FOLDER, file_of, load, mutated
from tests.fuzz.targets import TARGETS

MUTATIONS = 300

BYTES = 8 * 1024 * 1024
BYTES_PER_BYTE = 200


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_the_corpus_and_what_is_made_of_it_keep_the_law(name: str) -> None:
    target = TARGETS[name]
    seeds = [*target.samples, *load(name)]
    for data in [*seeds, *mutated(seeds, MUTATIONS, seed=1)]:
        try:
            target.check(data)
        except Exception as error:
            raise AssertionError(f"{name}: {data.hex()}") from error


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_memory_follows_the_size(name: str) -> None:
    target = TARGETS[name]
    for data in [*target.samples, *load(name)]:
        target.check(data)  # what is imported or kept at the first time is no cost of the second
        tracemalloc.start()
        target.check(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < BYTES + BYTES_PER_BYTE * len(data), data.hex()


def test_the_corpus_is_small_and_belongs_to_decoders() -> None:
    assert {path.name for path in FOLDER.iterdir()} <= {file_of(name).name for name in TARGETS}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 512 * 1024
