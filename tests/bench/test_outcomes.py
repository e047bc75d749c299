"""A report as JSON: what is in it, that it comes back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from aimstore.bench import environment
from aimstore.bench.outcomes import Outcome, Report, from_json, read, to_json
from aimstore.bench.workload import Figure
from aimstore.errors import ConfigError

Make = Callable[..., Report]


REST = (
    '{"format": "aimstore-bench", "version": 1, "kind": "engines", "contestants": ["a"], "environment": {}, "settings": {}, '
    '"outcomes": [{"workload": "w", "case": "c", "title": "c", "figures": [], "samples": {"a": [{"ms": 5.0}]}}]}'
)
"""A report without figures."""


def test_a_report_without_figures_is_one() -> None:
    assert from_json(REST).outcomes[0].values("a", "ms") == [5.0]


def test_a_report_comes_back_from_json(make_report: Make) -> None:
    failed = Outcome("read", "all", "all", (), {"runs": [1, 2]}, "runs", 2.0, failures={"lmdb": "no space"})
    report = make_report(failed, rocksdb=[1.0, 2.0, 3.0], lmdb=[2.0, 4.0])
    report.interrupted = True
    assert from_json(to_json(report)) == report


def test_json_holds_every_sample_and_what_follows_from_them(make_report: Make) -> None:
    content = json.loads(to_json(make_report(rocksdb=[1.0, 2.0, 3.0], lmdb=[2.0, 4.0, 6.0])))
    assert content["format"] == "aimstore-bench"
    assert content["version"] == 1
    [outcome] = content["outcomes"]
    assert outcome["samples"]["lmdb"] == [{"calls_per_s": 2.0}, {"calls_per_s": 4.0}, {"calls_per_s": 6.0}]
    assert outcome["figures"][0]["better"] == "more"
    summary = outcome["summary"]["lmdb"]["calls_per_s"]
    assert summary == {"low": 3.0, "median": 4.0, "high": 5.0, "count": 3, "times_better": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "was not written by `aimstore bench --json`"),
        ('{"format": "aimstore-bench", "version": 9}', "has version 9; this aimstore reads version 1"),
        ('{"format": "aimstore-bench", "version": 1}', "is damaged"),
        ('{"format": "aimstore-bench", "version": 1, "outcomes": [{"figures": [{}]}]}', "is damaged"),
        ('{"format": "aimstore-bench", "version": 1, "outcomes": [], "odd": 1}', "is damaged"),
        (REST.replace('"environment": {}', '"environment": null'), "is damaged: no environment"),
        (REST.replace("5.0", '"fast"'), "is damaged: w c of a: 'fast' is no figure"),
        (REST.replace("5.0", "NaN"), "is damaged: w c of a: nan is no figure"),
        (REST.replace('[{"ms": 5.0}]', "5"), "is damaged"),
    ],
)
def test_what_is_no_report_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.json") as caught:
        read(path)
    assert message in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="was not written by"):
        read(path)


def test_the_environment_names_versions_and_neither_host_nor_paths() -> None:
    import platform

    found = environment.describe([Path("/")])
    assert found["versions"]["aimstore"]
    assert found["cores"] >= 1
    assert found["python"].startswith(platform.python_implementation())
    text = json.dumps(found)
    assert platform.node() not in text or len(platform.node()) < 4
    assert str(Path.home()) not in text
    assert "aimstore 0" in environment.summary(found)


def test_figures_without_samples_are_not_shown(make_report: Make) -> None:
    report = make_report(rocksdb=[1.0], figure=Figure("a", "a", ""))
    outcome = report.outcomes[0]
    outcome.figures = (*outcome.figures, Figure("b", "b", ""))
    assert [figure.key for figure in outcome.measured()] == ["a"]
    assert not report.failed
