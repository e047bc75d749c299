"""`aimstore bench`: its outputs, what is a mistake, what becomes of failures and of Ctrl-C."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from aimstore.bench.outcomes import Outcome, Report, from_json
from aimstore.bench.page import LIBRARIES
from aimstore.bench.terminal import report_tables
from aimstore.bench.workload import Figure
from aimstore.cli.bench.outputs import write_text
from aimstore.errors import StorageError
from aimstore.plugins import plugins
from aimstore.testing.waiting import WAIT_SECONDS, until

PROGRAM = [sys.executable, "-c", "from aimstore.cli import main; main(prog_name='aimstore')", "bench"]


# A quick look at everything


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The outputs of `aimstore bench --quick` with three engines."""
    folder = tmp_path_factory.mktemp("quick")
    command = [
        *PROGRAM,
        "--quick",
        "--backends",
        "rocksdb,lmdb,memory",
        "--json",
        "a.json",
        "--html",
        "a.html",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


@pytest.mark.slow
def test_every_workload_is_measured_with_every_engine(quick: Path) -> None:
    report = from_json((quick / "a.json").read_text())
    assert list(report.workloads()) == list(plugins().bench_workloads())
    assert report.contestants == ["rocksdb", "lmdb", "memory"]
    assert report.settings["quick"] is True
    for outcome in report.outcomes:
        assert outcome.failures == {}
        assert {*outcome.samples, *outcome.skipped} == set(report.contestants)
        for name, samples in outcome.samples.items():
            assert len(samples) == 1, (outcome.workload, outcome.case, name)
            assert samples[0]["cpu_s"] >= 0
            assert samples[0]["peak_mb"] >= 0
            assert any(figure.key in samples[0] for figure in outcome.figures)
    assert {(each.workload, *each.skipped) for each in report.outcomes if each.skipped} == {("mixed", "memory")}
    track = report.workloads()["track"][0]
    for name in ("rocksdb", "lmdb"):
        [sample] = track.samples[name]
        assert sample["bytes_per_unit"] > 0
        assert sample["amplification"] > 0


@pytest.mark.slow
def test_the_table_has_every_case(quick: Path) -> None:
    shown = (quick / "stdout").read_text()
    report = from_json((quick / "a.json").read_text())
    for outcome in report.outcomes:
        assert outcome.title in shown
    assert "memory is left out of mixed: it keeps nothing beyond its process" in shown


@pytest.mark.slow
def test_nothing_names_the_host_or_a_path(quick: Path) -> None:
    text = (quick / "a.json").read_text()
    assert str(quick) not in text
    assert str(Path.home()) not in text
    assert not re.search(r'"/[a-z]', text)


@pytest.mark.slow
def test_the_page_needs_nothing_else(quick: Path) -> None:
    page = (quick / "a.html").read_text()
    assert page.startswith("<!doctype html>")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#)""", page)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    for workload in plugins().bench_workloads():
        assert f'<section id="{workload}">' in page
    assert page.count("<svg") > len(plugins().bench_workloads())


# One workload


def test_sizes_options_seed_and_repetitions_are_kept(invoke: Any, plugin: Path, tmp_path: Path) -> None:
    result = tmp_path / "a.json"
    invoke(
        *("plain", "--backends", "lmdb,rocksdb", "--repeat", 3, "--warmup", 0, "--seed", 7, "--json", result),
        *("--size", "plain.runs=5", "--size", "steps=1,10", "--option", "lmdb.map_size=64MiB", "--dir", tmp_path),
    )
    content = json.loads(result.read_text())
    assert content["contestants"] == ["lmdb", "rocksdb"]
    assert content["settings"] == {
        "quick": False,
        "repeat": 3,
        "warmup": 0,
        "seed": 7,
        "options": {"lmdb": {"map_size": "64MiB"}},
    }
    assert content["about"] == {"plain": "s. Says how often it ran before, by a file beside the repository."}
    [outcome] = content["outcomes"]
    assert outcome["sizes"] == {"runs": 5, "share": 0.5, "kind": "a", "steps": [1, 10]}
    assert [sample["runs"] for sample in outcome["samples"]["lmdb"]] == [5, 5, 5]
    assert list(tmp_path.glob("aimstore-bench-*")) == []


def test_json_can_go_to_stdout(invoke: Any, plugin: Path) -> None:
    done = invoke("plain", "--quick", "--backends", "rocksdb", "--json", "-")
    assert from_json(done.stdout).contestants == ["rocksdb"]


def test_all_persistent_engines_are_measured_where_none_is_named(invoke: Any, plugin: Path) -> None:
    contestants = from_json(invoke("plain", "--quick", "--json", "-").stdout).contestants
    assert contestants[0] == "rocksdb"
    assert "lmdb" in contestants
    assert "memory" not in contestants


@pytest.mark.parametrize("columns", [120, 60])
def test_a_terminal_is_shown_what_is_being_done_and_the_time_left_where_there_is_room(
    plugin: Path, columns: int
) -> None:
    leader, follower = pty.openpty()
    command = [sys.executable, "-c", INTERRUPTED.replace("lab_workloads:Waits", "lab_workloads:Plain"), plugin]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": str(columns)}
    done = subprocess.run(
        command, stderr=follower, stdout=subprocess.DEVNULL, env=environment, timeout=WAIT_SECONDS, check=True
    )
    os.close(follower)
    shown = os.read(leader, 1 << 16).decode(errors="replace")
    os.close(leader)
    assert done.returncode == 0
    assert ("left" in shown) is (columns == 120)
    assert "0/1 waits: plain (rocksdb)" in shown


def test_cases_of_one_title_are_told_apart_and_what_failed_is_said(calls: Figure) -> None:
    def outcome(axis: str, **samples: list[dict[str, float]]) -> Outcome:
        return Outcome("w", axis, "10 of 100", (calls,), {}, axis, 1.0, samples)

    found = [outcome("runs", a=[{"calls_per_s": 1.0}]), outcome("matches", a=[{"calls_per_s": 2.0}], b=[])]
    found[1].failures["b"] = "no more"
    report = Report("engines", ["a", "b"], {}, {}, [*found, Outcome("w", "x", "x", (calls,), failures={"a": "no"})])
    console = Console(width=200)
    with console.capture() as captured:
        console.print(report_tables(report))
    lines = [line.split() for line in captured.get().splitlines()]
    assert ["10", "of", "100,", "by", "runs"] in lines
    assert ["10", "of", "100,", "by", "matches"] in lines
    assert ["calls,", "1/s", "1", "–"] in lines
    assert ["calls,", "1/s", "2", "failed"] in lines
    assert ["nothing", "was", "measured"] in lines


def text_of(report: Report) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(report_tables(report))
    return captured.get()


def test_the_text_says_what_is_within_the_noise(make_report: Any) -> None:
    text = text_of(make_report(rocksdb=[1.0, 2.0, 3.0], lmdb=[1.1, 2.5, 3.2], memory=[10.0, 20.0, 30.0]))
    assert "1.1× better, noise" in text
    assert "10× better  " in text
    assert text.count("noise") == 1


def test_the_text_says_that_single_repetitions_tell_no_difference(make_report: Any) -> None:
    said = "fewer than three repetitions cannot tell a difference from noise"
    assert said in text_of(make_report(rocksdb=[1.0], lmdb=[9.0]))
    assert said not in text_of(make_report(rocksdb=[1.0]))


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trak"], "no workload named 'trak'; did you mean 'track'"),
        (["track", "--backends", "rocksbd"], "no backend named 'rocksbd'; did you mean 'rocksdb'"),
        (
            ["track", "--backends", "lmdb", "--option", "lmdb.mapsize=1"],
            "lmdb has no option 'mapsize'; did you mean 'map_size'",
        ),
        (["track", "--backends", "lmdb", "--option", "lmdb.map_size=x"], "lmdb option map_size"),
        (
            ["track", "--backends", "lmdb", "--option", "rocksdb.compression=lz4"],
            "options for rocksdb, which is not measured",
        ),
        (["track", "--backends", "lmdb", "--option", "lmbd.map_size=1"], "did you mean 'lmdb'"),
        (["track", "--option", "map_size=1"], "does not say of which engine"),
        (["track", "--option", "map_size"], "is not ENGINE.KEY=VALUE"),
        (["track", "--size", "cals=5"], "no size 'cals'; did you mean 'calls'"),
        (["track", "--size", "read.points=5"], "no size 'read.points'"),
        (["track", "--size", "calls=many"], "the size calls is a whole number from 1"),
        (["track", "--size", "calls=0"], "the size calls is a whole number from 1"),
        (["track", "--backends", ","], "',' names none"),
        (["track", "--repeat", "0"], "0 is not in the range"),
        (["track", "--quik"], "No such option"),
        (["track", "--json", "nowhere/a.json"], "there is no folder nowhere"),
        (["track", "--html", "."], "is a folder"),
        (["track", "--dir", "nowhere"], "does not exist"),
        (["peers", "--peers", "aimm"], "no peer 'aimm'; did you mean 'aim'"),
        (["peers", "--peers", "none", "--rows", "trak"], "no row 'trak'; did you mean 'track'"),
    ],
)
def test_mistakes_are_said_with_what_is_near(invoke: Any, arguments: list[str], message: str) -> None:
    done = invoke(*arguments, exit=2)
    assert message in " ".join(done.stderr.split())
    assert done.stdout == ""


@pytest.mark.parametrize(("name", "message"), [("none", "gives no aimstore.bench.Workload"), ("gone", "has no 'Gone'")])
def test_a_workload_that_is_none_is_said(invoke: Any, plugin: Path, name: str, message: str) -> None:
    assert message in invoke(name, exit=2).stderr


@pytest.mark.parametrize("option", ["--html", "--png"])
@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_pages_and_charts_without_their_libraries_are_refused_before_anything_is_measured(
    invoke: Any, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, option: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    done = invoke("plain", option, tmp_path / "a", exit=2)
    assert f"pages and charts need {missing}: pip install 'aimstore[bench]'" in done.stderr
    assert done.stdout == ""


def test_tables_and_json_need_no_extra(
    invoke: Any, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in LIBRARIES:
        monkeypatch.setitem(sys.modules, name, None)
    done = invoke("plain", "--quick", "--backends", "rocksdb", "--json", tmp_path / "a.json")
    assert "plain: one repetition" in done.stdout
    invoke("compare", tmp_path / "a.json", tmp_path / "a.json")


def test_where_stderr_is_no_terminal_progress_is_told_in_lines(
    invoke: Any, plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aimstore.cli.bench.progress.LINE_SECONDS", 0.0)
    lines = invoke("plain", "--backends", "rocksdb", "--repeat", 2, "--warmup", 0).stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["0/2", "1/2"]
    assert all(line.endswith("plain: plain (rocksdb)") for line in lines)


# Failures


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("half", "ValueError: half-way (lab_workloads.py, line "),
        pytest.param("full", "OSError: [Errno 28] No space left on device: 'repetition/data'", marks=pytest.mark.slow),
        pytest.param("killed", "its process was ended by SIGKILL", marks=pytest.mark.slow),
    ],
)
def test_an_engine_that_fails_half_way_is_shown_and_the_others_are_kept(
    invoke: Any, plugin: Path, tmp_path: Path, kind: str, reason: str
) -> None:
    result = tmp_path / "a.json"
    arguments = ("--backends", "rocksdb,lmdb", "--repeat", 3, "--warmup", 0, "--size", f"kind={kind}", "--json", result)
    done = invoke("fails", *arguments, exit=1)
    assert f"lmdb failed in fails (fails) after 1 repetition: {reason}" in " ".join(done.stdout.split())
    [outcome] = from_json(result.read_text()).outcomes
    assert outcome.values("rocksdb", "ms") == [1.0, 2.0, 3.0]
    assert outcome.values("lmdb", "ms") == [1.0]
    assert outcome.failures["lmdb"].startswith(reason)


def test_a_folder_may_be_named_from_where_one_is(
    invoke: Any, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    invoke("plain", "--quick", "--backends", "lmdb", "--dir", "here")
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system, which only root may")
def test_a_full_disk_fails_who_meets_it_and_says_what_to_do(invoke: Any, tmp_path: Path) -> None:
    full, result = tmp_path / "full", tmp_path / "a.json"
    full.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", full], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mounted.stderr.strip()}")
    try:
        arguments = ("--backends", "memory,lmdb", "--quick", "--size", "lifecycle.runs=40")
        done = invoke("read", "lifecycle", *arguments, "--dir", full, "--json", result, exit=1)
        assert list(full.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", full], check=True)
    assert "lmdb failed in lifecycle" in done.stdout
    assert (
        "there is no space left where the repositories are made: free some, or name another folder by --dir"
        in done.stdout
    )
    outcomes = {outcome.workload: outcome for outcome in from_json(result.read_text()).outcomes}
    assert "no space left" in outcomes["lifecycle"].failures["lmdb"].lower()
    assert outcomes["lifecycle"].values("memory", "runs_per_s")
    assert not any(str(tmp_path) in reason for each in outcomes.values() for reason in each.failures.values())


# Outputs that cannot be written

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")


@needs_full
@pytest.mark.parametrize(("named", "saved"), [("--json", True), ("--html", True), ("--html --json", False)])
def test_results_outlive_a_file_that_cannot_be_written(
    invoke: Any, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, saved: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    first, *others = named.split()
    rest = [part for other in others for part in (other, "named.json")]
    done = invoke("plain", "--quick", "--backends", "lmdb", first, FULL, *rest, exit=1)
    assert "plain: one repetition" in done.stdout
    assert "Error: /dev/full cannot be written: No space left on device" in done.stderr
    assert ("the results are in aimstore-bench-results.json" in done.stderr) is saved
    kept = tmp_path / ("aimstore-bench-results.json" if saved else "named.json")
    assert from_json(kept.read_text()).outcomes[0].values("lmdb", "ms") == [5.0]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    write_text(path, "before")

    def full(self: Path, text: str, encoding: str) -> int:
        self.write_bytes(text.encode()[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(StorageError, match=r"a\.json cannot be written: No space left on device"):
        write_text(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_results_are_saved_though_the_reader_has_gone(plugin: Path, tmp_path: Path) -> None:
    program = INTERRUPTED.replace("lab_workloads:Waits", "lab_workloads:Plain")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", program, plugin, "--json", "a.json", "--html", "a.html"]
    done = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=WAIT_SECONDS)
    os.close(writer)
    assert done.returncode == 1
    assert done.stderr == ""
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["a.html", "a.json"]


# Ctrl-C

INTERRUPTED = """
import sys
sys.path.insert(0, sys.argv[1])
from aimstore.cli import main
from aimstore.cli.bench import commands
from aimstore.plugins import PluginManager, WorkloadSpec, hookimpl

class Plugin:
    @hookimpl
    def aimstore_bench_workloads(self):
        return [WorkloadSpec(name="waits", summary="s", factory="lab_workloads:Waits")]

manager = PluginManager()
manager.register(Plugin(), "lab")
commands.plugins = lambda: manager
main(["bench", "waits", "--backends", "rocksdb", "--repeat", "1", "--warmup", "0", "--dir", sys.argv[1], *sys.argv[2:]],
     prog_name="aimstore")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("named", [True, False])
def test_interruption_saves_what_there_is_and_ends_every_process(
    plugin: Path, tmp_path: Path, number: signal.Signals, named: bool
) -> None:
    arguments = ["--json", "a.json"] if named else []
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, plugin, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    pids = plugin / "pids"
    until(
        lambda: process.poll() is not None or (pids.exists() and len(pids.read_text().split()) == 2),
        "the second case does not begin",
    )
    assert process.poll() is None, process.communicate()
    process.send_signal(number)
    out, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 130, errors
    assert errors.count("stopping: ending what was started, then writing the results so far") == 1
    saved = tmp_path / ("a.json" if named else "aimstore-bench-interrupted.json")
    assert f"interrupted; the results until then are in {saved.name}" in errors
    report = from_json(saved.read_text())
    assert report.interrupted
    assert report.outcomes[0].values("rocksdb", "ms") == [1.0]
    assert "interrupted: these are the results until then" in out
    for pid in map(int, pids.read_text().split()):
        assert not running(pid)
    assert list(plugin.glob("aimstore-bench-*")) == []


def running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
