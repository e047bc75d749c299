from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from aimstore import Repo, Run


def test_ls_shows_every_run_in_full_where_stdout_is_no_terminal(invoke: Any, scene: Any) -> None:
    lines = invoke("runs", "ls", "--repo", scene.path, "--all").stdout.splitlines()
    assert lines[0].split() == ["hash", "name", "experiment", "state", "created", "duration", "metrics", "tags"]
    assert {line.split()[0] for line in lines[1:]} == {
        scene.first, scene.second, scene.archived, scene.stalled, scene.active,
    }  # fmt: skip
    assert all(line == line.rstrip() for line in lines)


def test_ls_tells_the_states(invoke_json: Any, scene: Any) -> None:
    states = {run["hash"]: run["state"] for run in invoke_json("runs", "ls", "--repo", scene.path)}
    assert states == {
        scene.first: "finalized",
        scene.second: "finalized",
        scene.stalled: "stalled",
        scene.active: "active",
    }


def test_ls_as_json_has_properties_and_iso_times(invoke_json: Any, scene: Any) -> None:
    found = {run["hash"]: run for run in invoke_json("runs", "ls", "--all", "--repo", scene.path)}
    run = found[scene.first]
    assert (run["name"], run["experiment"], run["tags"], run["metrics"]) == ("try one", "first", ["fast", "good"], 2)
    created, finalized = (datetime.fromisoformat(run[key]) for key in ("created_at", "finalized_at"))
    assert created.tzinfo is not None
    assert run["duration"] == (finalized - created).total_seconds()
    assert found[scene.active]["finalized_at"] is None
    assert found[scene.archived]["archived"] is True


def test_ls_says_how_many_archived_runs_it_leaves_out(invoke: Any, scene: Any) -> None:
    result = invoke("runs", "ls", "--repo", scene.path)
    assert "archived: 1 more, shown by --all" in result.stderr
    assert scene.archived not in result.stdout


def test_ls_with_a_query(invoke_json: Any, scene: Any) -> None:
    def found(query: str) -> set[str]:
        return {run["hash"] for run in invoke_json("runs", "ls", "--repo", scene.path, "--query", query)}

    assert found("run.hparams.lr < 0.01") == {scene.second}
    assert found("run.archived") == {scene.archived}


@pytest.mark.parametrize(
    ("sort", "reverse", "expected"),
    [
        ("created", False, ["active", "stalled", "second", "first"]),
        ("created", True, ["first", "second", "stalled", "active"]),
        ("experiment", False, ["first", "second"]),
        ("state", False, ["active"]),
        ("metrics", False, []),
    ],
)
def test_ls_sorts(invoke_json: Any, scene: Any, sort: str, reverse: bool, expected: list[str]) -> None:
    args = ["runs", "ls", "--repo", scene.path, "--sort", sort, *(["--reverse"] if reverse else [])]
    found = [run["hash"] for run in invoke_json(*args)]
    assert len(found) == 4
    assert found[: len(expected)] == [getattr(scene, name) for name in expected]


def test_ls_limits_after_sorting(invoke: Any, invoke_json: Any, scene: Any) -> None:
    assert [run["hash"] for run in invoke_json("runs", "ls", "--repo", scene.path, "--limit", 1)] == [scene.active]
    assert "1 of 4 runs" in invoke("runs", "ls", "--repo", scene.path, "--limit", 1).stderr


def test_ls_quietly_prints_hashes_only(invoke: Any, scene: Any) -> None:
    result = invoke("runs", "ls", "-q", "--repo", scene.path, "--limit", 2)
    assert (result.stdout, result.stderr) == (f"{scene.active}\n{scene.stalled}\n", "")


def test_ls_of_an_empty_repository(invoke: Any, invoke_json: Any, repo: Repo) -> None:
    result = invoke("runs", "ls")
    assert (result.stdout, result.stderr) == ("", "no runs\n")
    assert invoke_json("runs", "ls") == []


def test_show_a_run_by_the_beginning_of_its_hash(invoke: Any, scene: Any) -> None:
    text = invoke("runs", "show", scene.first[:10], "--repo", scene.path).stdout
    assert scene.first in text
    assert "the first of all" in text
    assert "      name  'adam'" in text.splitlines()
    rows = [line.split() for line in text.splitlines()]
    assert ["loss", "subset=train", "number", "10", "0..9", "0.1", "0.1", "1"] in rows


def test_show_as_json_is_valid_where_numbers_are_not_finite(invoke_json: Any, scene: Any) -> None:
    shown = invoke_json("runs", "show", scene.first, "--repo", scene.path)
    assert shown["parameters"] == {"hparams": {"lr": 0.1, "opt": {"name": "adam"}, "limit": "Infinity"}}
    sequences = {each["name"]: each for each in shown["sequences"]}
    assert sequences["odd"]["last"] == "NaN"
    assert sequences["loss"]["context"] == {"subset": "train"}
    assert (sequences["notes"]["kind"], sequences["notes"]["last"]) == ("text", None)


def test_show_says_who_writes_a_run(invoke: Any, invoke_json: Any, scene: Any) -> None:
    assert (
        f"active, written by process {scene.pid} on "
        in invoke("runs", "show", scene.active, "--repo", scene.path).stdout
    )
    assert invoke_json("runs", "show", scene.active, "--repo", scene.path)["held_by"]["pid"] == scene.pid


def test_names_cannot_break_the_output(invoke: Any, repo: Repo) -> None:
    with Run(repo=repo, name="two\nlines \x1b[31mred [bold]"):
        pass
    (line,) = invoke("runs", "ls").stdout.splitlines()[1:]
    assert r"two\nlines \x1b[31mred [bold]" in line


def test_an_ambiguous_prefix_lists_the_candidates(invoke: Any, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = iter(["abcd" + digit * 20 for digit in "0123456789ab"])
    monkeypatch.setattr("aimstore.run.new_run_hash", lambda: next(hashes))
    for i in range(12):
        Run(repo=repo, name=f"number {i}").close()
    error = invoke("runs", "show", "abcd", exit=2).stderr
    assert "may be any of 12 runs" in error
    assert f"abcd{'0' * 20}  number 0" in error
    assert "and 2 more" in error


@pytest.mark.parametrize(
    ("given", "message"),
    [("ffffffff", "no run ffffffff"), ("abc", "too short"), ("../..", "not a run hash"), ("ABCDEF", "not a run hash")],
)
def test_a_hash_that_names_no_run(invoke: Any, repo: Repo, given: str, message: str) -> None:
    assert message in invoke("runs", "show", given, exit=2).stderr


@pytest.fixture
def two(repo: Repo) -> list[str]:
    runs = [Run(repo=repo, name=f"number {i}") for i in range(2)]
    for run in runs:
        run.close()
    return [run.hash for run in runs]


def test_rm_asks_first(invoke: Any, repo: Repo, two: list[str]) -> None:
    result = invoke("runs", "rm", *two, input="n\n", exit=1)
    assert "number 0" in result.stderr
    assert "Delete these 2 runs?" in result.stderr
    assert repo.list_runs() == sorted(two)
    invoke("runs", "rm", two[0][:12], input="y\n")
    assert repo.list_runs() == two[1:]


def test_rm_without_asking(invoke_json: Callable[..., Any], repo: Repo, two: list[str]) -> None:
    assert invoke_json("runs", "rm", "--yes", two[0], two[1][:9], two[0]) == {"deleted": two, "failed": {}}
    assert repo.list_runs() == []


def test_rm_deletes_nothing_if_it_does_not_know_all(invoke: Any, repo: Repo, two: list[str]) -> None:
    invoke("runs", "rm", "--yes", two[0], "f" * 24, exit=2)
    assert repo.list_runs() == sorted(two)


def test_rm_refuses_a_run_that_is_being_written(invoke: Any, scene: Any) -> None:
    result = invoke("runs", "rm", "--yes", scene.first, scene.active, "--repo", scene.path, exit=1)
    assert f"run {scene.active} is being written by process {scene.pid} on " in result.stderr
    invoke("runs", "show", scene.first, "--repo", scene.path)


def test_runs_in_an_order_of_their_attributes(invoke: Any, invoke_json: Any, scene: Any) -> None:
    listed = invoke_json("runs", "ls", "--order-by", "run.hparams.lr desc, run.hash", "--repo", scene.path)
    assert [run["hash"] for run in listed][:3] == [*sorted([scene.stalled, scene.active]), scene.first]
    assert scene.archived not in [run["hash"] for run in listed]
    command = ("runs", "ls", "-q", "--all", "--order-by", "run.created_at", "--repo", scene.path)
    assert invoke(*command).stdout.split()[:3] == [scene.first, scene.second, scene.archived]
    assert invoke(*command, "--limit", 1).stdout.split() == [scene.first]
    for options in (["--sort", "name"], ["--reverse"]):
        assert "excludes" in invoke(*command, *options, exit=2).stderr


def test_note_adds_changes_and_deletes_and_show_lists(repo: Repo, invoke: Any, invoke_json: Any) -> None:
    with Run(repo=repo) as run:
        pass
    at = ("--repo", repo.path)
    first = invoke_json("runs", "note", run.hash[:8], "diverged", *at)
    assert first == {"run": run.hash, "note": first["note"], "deleted": False}
    second = invoke_json("runs", "note", run.hash, "fine", *at)["note"]
    assert f"saved note {second}" in invoke("runs", "note", run.hash, "fine again", "--edit", second, *at).stdout
    shown = invoke_json("runs", "show", run.hash, *at)["notes"]
    assert [(note["id"], note["text"]) for note in shown] == [(first["note"], "diverged"), (second, "fine again")]
    assert "fine again" in invoke("runs", "show", run.hash, *at).stdout
    assert f"deleted note {second}" in invoke("runs", "note", run.hash, "--delete", second, *at).stdout
    assert [note.text for note in repo.get_run(run.hash).notes] == ["diverged"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "TEXT is missing"),
        (("text", "--delete", "1"), "--delete takes no TEXT"),
        (("text", "--edit", "77"), "has no note 77; its notes are []"),
        (("--delete", "77"), "has no note 77; its notes are []"),
        (("text", "--edit", "1", "--delete", "1"), "exclude each other"),
    ],
)
def test_note_refuses_what_it_cannot_do(repo: Repo, invoke: Any, arguments: tuple[str, ...], message: str) -> None:
    with Run(repo=repo) as run:
        pass
    assert message in invoke("runs", "note", run.hash, *arguments, "--repo", repo.path, exit=2).output
