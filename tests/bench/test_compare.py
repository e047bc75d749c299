"""What changed between two reports, and what is noise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aimstore.bench.changes import changes, differences
from aimstore.bench.outcomes import Report, to_json
from aimstore.bench.workload import Figure

Make = Callable[..., Report]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([10, 11, 12], [20, 21, 22], "better"),
        ([20, 21, 22], [10, 11, 12], "worse"),
        ([10, 15, 20], [12, 17, 22], "within noise"),
        ([10, 10, 10], [10, 10, 10], "within noise"),
        ([10, 11], [20, 21, 22], "too few samples"),
    ],
)
def test_a_change_counts_where_the_quartiles_do_not_overlap(
    make_report: Make, before: list[float], after: list[float], verdict: str
) -> None:
    [change] = changes(make_report(rocksdb=before), make_report(rocksdb=after))
    assert change.verdict == verdict
    assert (change.workload, change.case, change.contestant) == ("track", "one", "rocksdb")


def test_less_is_better_where_the_figure_says_so(make_report: Make, milliseconds: Figure) -> None:
    old, new = (make_report(figure=milliseconds, rocksdb=samples) for samples in ([20, 21, 22], [10, 10.5, 11]))
    [change] = changes(old, new)
    assert change.verdict == "better"
    assert change.times_better == 2.0


def test_what_only_one_of_them_has_is_said(make_report: Make) -> None:
    found = changes(make_report(rocksdb=[1.0], lmdb=[1.0]), make_report(rocksdb=[1.0], memory=[1.0]))
    assert {each.contestant: each.verdict for each in found} == {
        "rocksdb": "too few samples",
        "memory": "only after",
        "lmdb": "only before",
    }


def test_other_machines_versions_and_sizes_are_said(make_report: Make) -> None:
    old = make_report(rocksdb=[1.0], environment={"cores": 2, "versions": {"numpy": "1", "lmdb": "3"}})
    new = make_report(rocksdb=[1.0], environment={"cores": 4, "versions": {"numpy": "2"}})
    new.outcomes[0].sizes = {"calls": 20}
    assert differences(old, new) == [
        "cores: 2 before, 4 after",
        "lmdb: 3 before, None after",
        "numpy: 1 before, 2 after",
        "track one: calls was 10, and is 20",
    ]


def test_the_command_shows_what_changed_and_counts_the_rest(invoke: Any, make_report: Make, tmp_path: Path) -> None:
    old, new = tmp_path / "a.json", tmp_path / "b.json"
    old.write_text(to_json(make_report(rocksdb=[10, 11, 12], lmdb=[5, 6, 7])))
    new.write_text(to_json(make_report(rocksdb=[20, 22, 24], lmdb=[5, 6, 7])))
    shown = invoke("compare", old, new).stdout
    assert "2× better" in shown
    assert "lmdb" not in shown
    assert "1 better, 0 worse, 1 within noise" in shown
    assert "lmdb" in invoke("compare", old, new, "--all").stdout
    import json

    content = json.loads(invoke("compare", old, new, "--json").stdout)
    assert [each["verdict"] for each in content["changes"]] == ["better", "within noise"]


def test_the_command_counts_what_has_too_few_samples(invoke: Any, make_report: Make, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(to_json(make_report(rocksdb=[10.0])))
    shown = invoke("compare", path, path).stdout
    assert "0 better, 0 worse, 0 within noise; 1 with fewer than three samples, which tell nothing" in shown


def test_a_file_that_is_no_result_is_a_mistake(invoke: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    assert "was not written by `aimstore bench --json`" in invoke("compare", path, path, exit=2).stderr
    assert "does not exist" in invoke("compare", tmp_path / "b.json", path, exit=2).stderr
