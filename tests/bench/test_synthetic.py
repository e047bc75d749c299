"""Repositories of runs that never ran, to queries the same as those that did."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimstore import Repo
from aimstore.bench import synthetic
from aimstore.bench.workloads.query import ALL_BY_INDEX, ALL_BY_PREDICATE


@pytest.mark.parametrize("backend", ["rocksdb", "memory"])
def test_queries_find_what_they_should(tmp_path: Path, backend: str) -> None:
    repo = Repo.init(tmp_path, backend=backend)
    synthetic.build(repo, 1_200)
    synthetic.build_unfinished(repo, 5, first=1_200)
    for count in (1, 10, 100, 1_000):
        assert repo.query_runs(synthetic.matching(count)).count() == count
    assert repo.query_runs(ALL_BY_INDEX).count() == repo.query_runs(ALL_BY_PREDICATE).count() == 1_205
    assert len(repo.status().stalled) == 5
    [run] = repo.query_runs("run.hparams.p0 == 7.5")
    assert run.experiment == "experiment 7"
    assert len(run["hparams"]) == 20
    assert run["hparams"] == synthetic.parameters(7, 20)
    assert repo.query_metrics("metric.last == 0.125").count() == 1


def test_hashes_are_of_the_form_and_unlike() -> None:
    hashes = {synthetic.run_hash(number) for number in range(5_000)}
    assert len(hashes) == 5_000
    assert {len(each) for each in hashes} == {24}
