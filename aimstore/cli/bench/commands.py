"""The commands: compare engines, compare results, record the shape of a repository, compare with other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from aimstore.cli.bench.measuring import Effort, environment_of, measure
from aimstore.cli.bench.options import (
    EXISTING_FILE,
    EXISTING_FOLDER,
    FOLDER,
    NAMES,
    WRITABLE_FILE,
    KeyValue,
    engine_options,
    measuring_options,
)
from aimstore.cli.bench.outputs import STDOUT, Outputs, print_wide, write_text
from aimstore.cli.options import example, json_option, open_repo, repo_option, traceback_option
from aimstore.cli.output import print_json, progress_bar, say
from aimstore.plugins import plugins

DEFAULT_COMMAND: Final = "run"
"""The command that needs no name."""

MEMORY_FOLDER: Final = Path("/dev/shm")  # noqa: S108  the folders made in it have names that nobody can guess
"""Where Linux has a file system in memory."""


class _BenchGroup(click.Group):
    """A group with a default command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] [WORKLOAD]... | COMMAND [ARGS]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands[DEFAULT_COMMAND].format_options(ctx, formatter)
        with formatter.section("Workloads"):
            formatter.write_dl([(name, spec.summary) for name, spec in plugins().bench_workloads().items()])
        with formatter.section("Commands"):
            formatter.write_dl(
                [
                    (name, each.get_short_help_str(100))
                    for name, each in self.commands.items()
                    if name != DEFAULT_COMMAND
                ]
            )


@click.group(
    cls=_BenchGroup,
    epilog=example(
        "aimstore bench --quick",
        "aimstore bench track read --backends rocksdb,lmdb --json a.json --html a.html",
        "aimstore bench query --size query.runs=1000,10000 --option lmdb.map_size=4GiB",
        "aimstore bench --workload shape.json",
        "aimstore bench peers --quick",
    ),
)
@traceback_option
def bench() -> None:
    """Measure storage engines, and other tools.

    Each repetition is a fresh process with a fresh repository, and the engines take turns. The results are medians and quartiles.
    Without WORKLOAD, all workloads are measured, which takes hours; with --quick, it takes minutes.
    """


@bench.command(DEFAULT_COMMAND, hidden=True, epilog=example("aimstore bench run track"))
@click.argument("workloads", nargs=-1, metavar="[WORKLOAD]...")
@click.option(
    "--backends", type=NAMES, help="Engines; the others are compared with the first (default: all that persist)."
)
@click.option(
    "--option", "options", type=KeyValue("ENGINE.KEY=VALUE"), multiple=True, help="Option of an engine; repeatable."
)
@click.option(
    "--size",
    "sizes",
    type=KeyValue("[WORKLOAD.]KEY=VALUE"),
    multiple=True,
    help="Size of the workloads, such as 500, 10k or 10,100,1k; repeatable.",
)
@click.option("--seed", default=1, show_default=True, help="Seed for all random data.")
@click.option(
    "--workload", "shape", type=EXISTING_FILE, help="Replay the shape that `aimstore bench record` wrote to FILE."
)
@measuring_options
def run(
    workloads: tuple[str, ...],
    backends: list[str] | None,
    options: tuple[tuple[str, str], ...],
    sizes: tuple[tuple[str, str], ...],
    seed: int,
    shape: Path | None,
    effort: Effort,
    outputs: Outputs,
) -> None:
    """Measure storage engines."""
    from aimstore.bench import engines
    from aimstore.bench.outcomes import Report

    manager = plugins()
    given = engine_options(options)
    contestants = engines.engines(manager, backends or engines.installed(manager), given, seed)
    names = list(dict.fromkeys(workloads)) or ([] if shape else list(manager.bench_workloads()))
    plans = engines.plans(manager, names, dict(sizes), shape, quick=effort.quick)
    schedule = effort.schedule()
    settings = {**effort.settings(schedule), "seed": seed, "options": given}
    report = Report("engines", [engine.name for engine in contestants], environment_of(schedule), settings)
    measure(report, plans, contestants, schedule, outputs)


@bench.command(epilog=example("aimstore bench compare before.json after.json"))
@click.argument("before", type=EXISTING_FILE)
@click.argument("after", type=EXISTING_FILE)
@click.option("--all", "with_noise", is_flag=True, help="Show changes within the noise, too.")
@json_option
@traceback_option
def compare(before: Path, after: Path, with_noise: bool, as_json: bool) -> None:
    """Show what changed between two results.

    --json wrote BEFORE and AFTER. A change is noise where the ranges between the quartiles overlap.
    """
    from dataclasses import asdict

    from aimstore.bench.changes import changes, changes_table, differences
    from aimstore.bench.outcomes import read

    old, new = read(before), read(after)
    found = changes(old, new)
    if as_json:
        print_json({"changes": [asdict(each) for each in found], "differences": differences(old, new)})
        return
    for line in differences(old, new):
        say(line)
    print_wide(changes_table(found, with_noise=with_noise))


@bench.command(epilog=example("aimstore bench record -o shape.json", "aimstore bench --workload shape.json"))
@repo_option
@click.option("-o", "--output", type=WRITABLE_FILE, required=True, help="Write the shape to FILE; - for stdout.")
@traceback_option
def record(repo: str | None, output: Path) -> None:
    """Record the shape of a repository.

    The shape says how many runs and sequences there are, how long and how large. It holds no values, and numbers instead of
    names.
    """
    from aimstore.bench.shape import record as record_shape
    from aimstore.bench.shape import to_json

    opened = open_repo(repo)
    with progress_bar("looking at runs") as advance:
        shape = record_shape(opened, advance)
    write_text(output, to_json(shape))
    if output != STDOUT:
        runs, shapes = ("run" if shape.count == 1 else "runs"), ("shape" if len(shape.runs) == 1 else "shapes")
        say(
            f"{shape.count:,} {runs} of {len(shape.runs):,} {shapes}; `aimstore bench --workload {output}` replays them"
        )


@bench.command(
    epilog=example("aimstore bench peers --rows track,read", "aimstore bench peers --peers aim --html peers.html")
)
@click.option("--peers", "names", type=NAMES, help="aim, tensorboardx, trackio, wandb, mlflow, or none (default: all).")
@click.option("--rows", type=NAMES, help="Rows of the table (default: all).")
@click.option(
    "--venvs", type=FOLDER, help="Folder for the environments of the tools (default ~/.cache/aimstore/bench)."
)
@click.option("--aim-python", type=EXISTING_FILE, help="A Python that has Aim, for which nothing is installed.")
@click.option("--tmpfs", type=EXISTING_FOLDER, help="A folder in memory, for the row on tmpfs (default /dev/shm).")
@measuring_options
def peers(
    names: list[str] | None,
    rows: list[str] | None,
    venvs: Path | None,
    aim_python: Path | None,
    tmpfs: Path | None,
    effort: Effort,
    outputs: Outputs,
) -> None:
    """Measure aimstore beside other tools.

    Each tool has a virtual environment of its own, made on first use. A tool that cannot be installed is left out, with a
    message.
    """
    from aimstore.bench.outcomes import Report
    from aimstore.bench.peers.contestants import contestants_of
    from aimstore.bench.peers.rows import NOTES, facts, peer_plans

    plans = peer_plans(rows or (), quick=effort.quick, repeat=effort.repeat)
    contestants, versions, missing = contestants_of(names or (), venvs, aim_python, say)
    schedule = effort.schedule(tmpfs=tmpfs or MEMORY_FOLDER, warmup=0)
    settings = {**effort.settings(schedule), "peers": versions, "left_out": missing}
    measured = [contestant.name for contestant in contestants]
    notes = [*NOTES, *(f"{name} is left out: {reason}" for name, reason in missing.items())]
    report = Report("peers", measured, environment_of(schedule), settings, notes=notes, facts=facts(measured))
    measure(report, plans, contestants, schedule, outputs)
