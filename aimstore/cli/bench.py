"""`aimstore bench`: compare engines, compare results, record the shape of a repository, compare with other tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.benching import measure, print_wide, write
from aimstore.cli.options import example, open_repo, repo_option, traceback_option
from aimstore.cli.output import progress_bar, say
from aimstore.plugins import plugins

if TYPE_CHECKING:
    from aimstore.bench.runner import Plan

DEFAULT: Final = "run"
"""The command where none is named."""

MEMORY: Final = Path("/dev/shm")  # noqa: S108  the folders made in it have names that nobody can guess
"""Where Linux has a file system in memory."""


class _Bench(click.Group):
    """A group whose first command need not be named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] [WORKLOAD]... | COMMAND [ARGS]...")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.commands[DEFAULT].format_options(ctx, formatter)
        with formatter.section("Workloads"):
            formatter.write_dl([(name, spec.summary) for name, spec in plugins().bench_workloads().items()])
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, each.get_short_help_str(100)) for name, each in self.commands.items() if name != DEFAULT]
            )


@click.group(
    cls=_Bench,
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

    Each repetition is a fresh process with a fresh repository, of each engine in turn; shown are medians and quartiles. Without
    WORKLOAD, all are measured; that takes long, and --quick does not.
    """


def _comma(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[str]:
    if value is None:
        return []
    found = list(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))
    if not found:
        raise click.BadParameter(f"{value!r} names none")
    return found


def _pairs(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise click.BadParameter(f"{text!r} is not {parameter.metavar}")
        found[name.strip()] = value.strip()
    return found


def _writable(ctx: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:
    """Whether a file can be written there is better known before than after all has been measured."""
    if value is not None and value != Path("-"):
        if not value.absolute().parent.is_dir():
            raise click.BadParameter(f"there is no folder {value.parent} to write {value.name} into")
        if value.is_dir():
            raise click.BadParameter(f"{value} is a folder")
    return value


_Callback = Callable[[click.Context, click.Parameter, Any], Any]


def _option(*names: str, callback: _Callback | None = None, **arguments: Any) -> Callable[[Any], Any]:
    return click.option(*names, callback=callback, **arguments)


def _measuring(command: Any) -> Any:
    """The options of all that measures."""
    options = (
        _option("--repeat", type=click.IntRange(1), metavar="N", help="Repetitions of each; 5, or 1 with --quick."),
        _option(
            "--warmup", type=click.IntRange(0), metavar="N", help="Repetitions before them that do not count; 1 or 0."
        ),
        _option("--quick", is_flag=True, help="Small sizes, to look at and not to quote."),
        _option(
            "--dir",
            "folder",
            type=click.Path(path_type=Path, exists=True, file_okay=False),
            metavar="DIR",
            help="Where repositories are made; the temporary folder by default.",
        ),
        _option(
            "--json",
            "json_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            callback=_writable,
            help="Write every sample, with the environment; - for stdout.",
        ),
        _option(
            "--html",
            type=click.Path(path_type=Path),
            metavar="FILE",
            callback=_writable,
            help="Write a report with charts, in one file.",
        ),
        _option(
            "--png", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write the charts as PNG."
        ),
        traceback_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@bench.command(DEFAULT, hidden=True, epilog=example("aimstore bench run track"))
@click.argument("workloads", nargs=-1, metavar="[WORKLOAD]...")
@_option(
    "--backends",
    metavar="A,B,…",
    callback=_comma,
    help="Engines, the first to compare the others with; all that persist.",
)
@_option("--option", "options", multiple=True, metavar="ENGINE.KEY=VALUE", callback=_pairs, help="Option of an engine.")
@_option(
    "--size",
    "sizes",
    multiple=True,
    metavar="[WORKLOAD.]KEY=VALUE",
    callback=_pairs,
    help="A size of the workloads; lists and 10k are understood.",
)
@_option("--seed", type=int, default=1, show_default=True, help="Of everything random.")
@_option(
    "--workload",
    "shape",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Replay the shape that `aimstore bench record` wrote.",
)
@_measuring
def run(
    workloads: tuple[str, ...],
    backends: list[str],
    options: dict[str, str],
    sizes: dict[str, str],
    seed: int,
    shape: Path | None,
    quick: bool,
    repeat: int | None,
    warmup: int | None,
    **outputs: Any,
) -> None:
    """Measure storage engines."""
    from aimstore.bench import engines
    from aimstore.bench.replay import replay_plans

    manager = plugins()
    names = list(dict.fromkeys(workloads)) or ([] if shape else list(manager.bench_workloads()))
    given = _engine_options(options)
    chosen = backends or engines.installed(manager)
    contestants = engines.engines(manager, chosen, given, seed)
    plans: list[Plan] = []
    if shape is not None:
        own = {
            name.removeprefix("replay."): text
            for name, text in sizes.items()
            if not names or name.startswith("replay.")
        }
        plans += replay_plans(shape, own, quick=quick)
        sizes = {name: text for name, text in sizes.items() if name.removeprefix("replay.") not in own}
    plans += engines.plans(manager, names, sizes, quick=quick)[0]
    settings = {"seed": seed, "options": given}
    measure("engines", plans, contestants, settings, quick=quick, repeat=repeat, warmup=warmup, **outputs)


def _engine_options(options: dict[str, str]) -> dict[str, dict[str, Any]]:
    from aimstore.config import parse_value

    found: dict[str, dict[str, Any]] = {}
    for name, text in options.items():
        engine, dot, key = name.partition(".")
        if not dot or not key:
            raise click.BadParameter(
                f"{name}={text} does not say of which engine: ENGINE.KEY=VALUE", param_hint="'--option'"
            )
        found.setdefault(engine, {})[key] = parse_value(text)
    return found


@bench.command(epilog=example("aimstore bench compare before.json after.json"))
@click.argument("before", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("after", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_option("--all", "everything", is_flag=True, help="Show also what is within the noise.")
@_option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")
@traceback_option
def compare(before: Path, after: Path, everything: bool, as_json: bool) -> None:
    """Show what changed between two results.

    BEFORE and AFTER were written by --json. Where the ranges between the quartiles overlap, it is noise.
    """
    from dataclasses import asdict

    from aimstore.bench.compare import changes, differences, render
    from aimstore.bench.report import read
    from aimstore.cli.output import print_json

    old, new = read(before), read(after)
    found = changes(old, new)
    if as_json:
        print_json({"changes": [asdict(each) for each in found], "differences": differences(old, new)})
        return
    for line in differences(old, new):
        say(line)
    print_wide(render(found, everything=everything))


@bench.command(epilog=example("aimstore bench record -o shape.json", "aimstore bench --workload shape.json"))
@repo_option
@_option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    required=True,
    callback=_writable,
    help="Where the shape is written; - for stdout.",
)
@traceback_option
def record(repo: str | None, output: Path) -> None:
    """Record the shape of a repository.

    How many runs and sequences, how long, and how large what they hold: no values, and numbers instead of names.
    """
    from aimstore.bench.shape import record as record_shape
    from aimstore.bench.shape import to_json

    opened = open_repo(repo)
    with progress_bar("looking at runs") as advance:
        shape = record_shape(opened, advance)
    write(output, to_json(shape))
    if output != Path("-"):
        runs, shapes = ("run" if shape.count == 1 else "runs"), ("shape" if len(shape.runs) == 1 else "shapes")
        say(
            f"{shape.count:,} {runs} of {len(shape.runs):,} {shapes}; `aimstore bench --workload {output}` replays them"
        )


@bench.command(
    epilog=example("aimstore bench peers --rows track,read", "aimstore bench peers --peers aim --html peers.html")
)
@_option(
    "--peers",
    "names",
    metavar="A,B,…",
    callback=_comma,
    help="aim, tensorboardx, trackio, wandb, mlflow; none for none.",
)
@_option("--rows", metavar="A,B,…", callback=_comma, help="Rows of the table; all by default.")
@_option(
    "--venvs",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where their environments are made; ~/.cache/aimstore/bench.",
)
@_option(
    "--aim-python",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="A Python that has Aim; nothing is installed.",
)
@_option(
    "--tmpfs",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="A folder in memory; /dev/shm.",
)
@_measuring
def peers(
    names: list[str],
    rows: list[str],
    venvs: Path | None,
    aim_python: Path | None,
    tmpfs: Path | None,
    quick: bool,
    repeat: int | None,
    warmup: int | None,
    **outputs: Any,
) -> None:
    """Measure aimstore beside other tools.

    Each gets a virtual environment of its own, made on first use. One that cannot be installed is said and left out.
    """
    from aimstore.bench.peers.contestants import contestants_of
    from aimstore.bench.peers.rows import NOTES, facts, peer_plans

    plans = peer_plans(rows, quick=quick, repeat=repeat)
    contestants, versions, missing = contestants_of(names, venvs, aim_python, say)
    measured = [contestant.name for contestant in contestants]
    measure(
        "peers",
        plans,
        contestants,
        {"peers": versions, "left_out": missing},
        quick=quick,
        repeat=repeat,
        warmup=0 if warmup is None else warmup,
        tmpfs=tmpfs or MEMORY,
        notes=[*NOTES, *(f"{name} is left out: {reason}" for name, reason in missing.items())],
        facts=facts(measured),
        **outputs,
    )
