"""Measures aimstore beside Aim, in the same run and on the same machine: `python -m tests.benchmarks`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import report
from .environment import AIM, CACHE, aim_python, describe
from .rows import ROWS
from .runner import run_row


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description=f"Measure aimstore beside Aim {AIM}; each repetition is a fresh process, of one and the other in turn.",
        epilog="example: python -m tests.benchmarks --rows track,read --json figures.json",
    )
    parser.add_argument(
        "--rows", default="", help=f"of these, separated by commas: {', '.join(row.name for row in ROWS)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer calls, two repetitions: figures to look at, not to quote"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples and the environment to FILE")
    parser.add_argument("--disk", type=Path, default=Path(tempfile.gettempdir()), help="a folder on a disk")
    parser.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"), help="a folder in memory")
    aim = parser.add_mutually_exclusive_group()
    aim.add_argument(
        "--aim-venv", type=Path, default=CACHE / f"aim-{AIM}", help="Aim's environment, made where it is missing"
    )
    aim.add_argument("--aim-python", type=Path, help="a Python that has Aim; nothing is installed")
    aim.add_argument("--no-aim", action="store_true", help="measure only aimstore")
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    wanted = set(filter(None, arguments.rows.split(",")))
    if unknown := wanted - {row.name for row in ROWS}:
        print(f"no such row: {', '.join(sorted(unknown))}; --help lists them", file=sys.stderr)
        return 2
    rows = [row for row in ROWS if row.name in wanted or not wanted]
    places = {"disk": arguments.disk, "tmpfs": arguments.tmpfs}
    if not arguments.tmpfs.is_dir():
        rows = [row for row in rows if row.place != "tmpfs"]
        print(f"{arguments.tmpfs} is not there: the rows on tmpfs are left out", file=sys.stderr)
        del places["tmpfs"]
    pythons = {"aimstore": Path(sys.executable)}
    if not arguments.no_aim:
        pythons["aim"] = arguments.aim_python or aim_python(arguments.aim_venv)
    environment = describe(pythons, places)

    console = Console()
    if not console.is_terminal:
        console.width = 150
    found: list[report.Outcome] = []
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        for row in rows:
            repetitions = (2 if arguments.quick else row.repetitions) * (len(pythons) if row.aim else 1)
            task = progress.add_task(row.title, total=repetitions)
            samples = run_row(row, pythons, places, arguments.quick, partial(progress.advance, task))
            found += report.outcomes(row, samples)
    console.print(report.table(found))
    for name, versions in environment["pythons"].items():
        console.print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in versions.items()), highlight=False)
    console.print(f"{environment['processor']}, {environment['cores']} cores, {environment['system']}", highlight=False)
    if arguments.json:
        content = {"quick": arguments.quick, "environment": environment, "figures": report.as_json(found)}
        arguments.json.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
