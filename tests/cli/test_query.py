from __future__ import annotations

from typing import Any


def test_runs_come_with_the_attributes_that_the_query_names(invoke: Any, invoke_json: Any, scene: Any) -> None:
    expression = "run.hparams.opt.name == 'adam' and run.hparams.lr < 1 and run.name != 'x'"
    found = {run["hash"]: run for run in invoke_json("query", expression, "--repo", scene.path)}
    assert found.keys() == {scene.first, scene.second}
    assert found[scene.first] == {
        "hash": scene.first,
        "experiment": "first",
        "values": {"hparams.opt.name": "adam", "hparams.lr": 0.1, "name": "try one"},
    }
    header, *lines = invoke("query", expression, "--repo", scene.path).stdout.splitlines()
    assert sorted(header.split()) == sorted(["hash", "experiment", "hparams.opt.name", "hparams.lr", "name"])
    assert {line.split()[0] for line in lines} == found.keys()


def test_times_and_missing_values(invoke: Any, invoke_json: Any, scene: Any) -> None:
    expression = "(run.created_at and run.duration) or run.hparams.absent"
    found = invoke_json("query", expression, "--repo", scene.path)
    assert {each["hash"] for each in found} == {scene.first, scene.second, scene.active}
    for each in found:
        assert each["values"]["hparams.absent"] is None
        assert each["values"]["created_at"].endswith("+00:00")
    assert "None" not in invoke("query", expression, "--repo", scene.path).stdout


def test_metrics(invoke: Any, invoke_json: Any, scene: Any) -> None:
    expression = "metric.name == 'loss' and metric.context.subset == 'train' and run.experiment == 'first'"
    (loss,) = invoke_json("query", "--metrics", expression, "--repo", scene.path)
    assert loss["run"] == scene.first
    assert (loss["count"], loss["first_step"], loss["last_step"]) == (10, 0, 9)
    assert (loss["last"], loss["min"], loss["max"]) == (0.1, 0.1, 1.0)
    assert scene.first in invoke("query", "--metrics", expression, "--repo", scene.path).stdout


def test_everything_is_found_without_an_expression(invoke_json: Any, scene: Any) -> None:
    assert len(invoke_json("query", "--repo", scene.path)) == 4


def test_count(invoke: Any, invoke_json: Any, scene: Any) -> None:
    assert invoke("query", "run.hparams.lr > 0", "--count", "--repo", scene.path).stdout == "4\n"
    assert invoke_json("query", "--metrics", "metric.name == 'odd'", "--count", "--repo", scene.path) == {"count": 2}


def test_explain(invoke: Any, scene: Any) -> None:
    text = invoke("query", "run.hparams.lr > 0.2", "--explain", "--repo", scene.path).stdout
    assert "run.hparams.lr > 0.2" in text
    assert "matched    2" in text


def test_limit_says_that_there_are_more(invoke: Any, scene: Any) -> None:
    result = invoke("query", "--limit", 2, "--repo", scene.path)
    assert len(result.stdout.splitlines()) == 3
    assert "there are more" in result.stderr
    assert "there are more" not in invoke("query", "--limit", 4, "--repo", scene.path).stderr


def test_nothing_matches(invoke: Any, scene: Any) -> None:
    result = invoke("query", "run.hparams.lr > 9", "--repo", scene.path)
    assert (result.stdout, result.stderr) == ("", "nothing matches\n")


def test_a_mistake_in_the_query_is_pointed_at(invoke: Any, scene: Any) -> None:
    result = invoke("query", "run.hparams.lr = 1", "--repo", scene.path, exit=2)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert lines[1].index("=") == lines[2].index("^")


def test_a_query_of_metrics_is_told_of_the_option(invoke: Any, scene: Any) -> None:
    assert "use --metrics" in invoke("query", "metric.last < 1", "--repo", scene.path, exit=2).stderr


def test_errors_of_the_query_are_told_on_stderr(invoke: Any, scene: Any) -> None:
    result = invoke("query", "1 / (run.hparams.lr - 0.1) > 0", "--json", "--repo", scene.path)
    assert "raised for 1 of 4" in result.stderr
    assert "ZeroDivisionError" in result.stderr


def test_errors_are_told_where_a_limit_ends_the_search(invoke: Any, scene: Any) -> None:
    expression = "1 / (run.hparams.lr - 0.1) > 0 or 1 / (run.hparams.lr - 0.001) > 0"
    result = invoke("query", expression, "--limit", 1, "--repo", scene.path)
    assert "raised for 2 of" in result.stderr
    assert result.stdout.count("unended") == 1


def test_runs_in_an_order_come_with_what_they_are_ordered_by(invoke: Any, invoke_json: Any, scene: Any) -> None:
    command = ("query", "run.hparams.lr < 0.3", "--order-by", "run.created_at desc", "--repo", scene.path)
    assert [run["hash"] for run in invoke_json(*command)] == [scene.second, scene.first]
    assert invoke(*command).stdout.split("\n")[0].split() == ["hash", "experiment", "hparams.lr", "created_at"]
    assert [run["hash"] for run in invoke_json(*command, "--limit", 1, "--offset", 1)] == [scene.first]
    assert invoke_json(*command, "--limit", 5, "--offset", 1, "--count") == {"count": 1}
    assert "run.created_at desc, skip the first 1" in invoke(*command, "--offset", 1, "--explain").stdout


def test_runs_ordered_by_a_figure_come_with_it(invoke: Any, invoke_json: Any, scene: Any) -> None:
    path = "run.metrics['loss', {'subset': 'train'}].last"
    command = ("query", "--order-by", f"{path}, run.created_at", "--repo", scene.path)
    title = path.removeprefix("run.")
    first, second, *rest = invoke_json(*command)
    assert [run["hash"] for run in (first, second)] == [scene.first, scene.second]
    assert [run["values"][title] for run in (first, second, *rest)] == [0.1, 0.1, None, None]
    assert title in invoke(*command).stdout


def test_a_page_says_where_it_is(invoke: Any, scene: Any) -> None:
    assert (
        "showing 2 from number 2 on; there are more"
        in invoke("query", "--limit", 2, "--offset", 1, "--repo", scene.path).stderr
    )
    assert "nothing matches beyond the first 9" in invoke("query", "--offset", 9, "--repo", scene.path).stderr


def test_sequences(invoke: Any, invoke_json: Any, scene: Any) -> None:
    expression = "sequence.count > 0 and run.experiment == 'first'"
    found = invoke_json("query", "--sequences", expression, "--order-by", "sequence.name desc", "--repo", scene.path)
    assert [(each["name"], each["kind"]) for each in found] == [
        ("odd", "number"),
        ("notes", "text"),
        ("loss", "number"),
    ]
    (notes,) = invoke_json("query", "--sequences", "--kind", "text", expression, "--repo", scene.path)
    assert (notes["run"], notes["last"]) == (scene.first, None)
    assert "notes" in invoke("query", "--sequences", "--kind", "text", "--repo", scene.path).stdout


def test_options_that_exclude_each_other(invoke: Any, scene: Any) -> None:
    for options in (["--metrics", "--sequences"], ["--count", "--explain"], ["--kind", "text"], ["--offset", "-1"]):
        assert "Error" in invoke("query", *options, "--repo", scene.path, exit=2).stderr


def test_a_mistake_in_the_order_is_pointed_at(invoke: Any, scene: Any) -> None:
    lines = invoke("query", "--order-by", "run.name desk", "--repo", scene.path, exit=2).stderr.splitlines()
    assert lines[1].index("desk") == lines[2].index("^")
    assert "desc" in lines[3]
