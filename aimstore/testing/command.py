"""The command `aimstore conformance`: tests a storage engine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Final

import click

from aimstore.testing import benchmarks
from aimstore.testing.report import Advance, Report, Result, run

_EXPLAINED: Final = 5
"""Number of failures shown with their reason; the others mostly have the same reason. `--json` shows all."""

_EPILOG: Final = (
    "\b\nExamples:\n  $ aimstore conformance mine\n  $ aimstore conformance mine --benchmarks"
    "\n  $ aimstore conformance mine --option cache_size=4MiB --json"
)


def _options(ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, Any]:
    options = {}
    for each in given:
        name, equals, text = each.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{each!r} is not NAME=VALUE")
        try:
            options[name] = json.loads(text)
        except json.JSONDecodeError:
            options[name] = text
    return options


@click.command(epilog=_EPILOG)
@click.argument("backend")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_options,
    help="Option of the engine; may be repeated.",
)
@click.option(
    "--examples",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="Number of random histories to compare with a dict.",
)
@click.option(
    "--benchmarks",
    "timed",
    is_flag=True,
    help="Also time the engine, and its own library if the plug-in names it.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")
@click.pass_context
def conformance(
    ctx: click.Context, backend: str, options: dict[str, Any], examples: int, timed: bool, as_json: bool
) -> None:
    """Run the conformance tests for a storage engine, and report its capabilities.

    BACKEND is a name that `aimstore backends` lists. The exit code is 1 if a test fails.
    """
    with _progress() as advance:
        report = run(backend, options=options, examples=examples, advance=advance)
    timings = benchmarks.run(backend, options) if timed else ()
    if as_json:
        click.echo(json.dumps(_as_data(report) | {"benchmarks": [asdict(each) for each in timings]}, indent=2))
    else:
        click.echo("\n".join([*_lines(report), *(("", *map(str, timings)) if timings else ())]))
    if not report.conforms:
        ctx.exit(1)


@contextmanager
def _progress() -> Iterator[Advance | None]:
    if not sys.stderr.isatty():
        yield None
        return

    def advance(done: int, total: int) -> None:
        click.echo(f"\r{done} of {total} tests", nl=False, err=True)

    yield advance
    click.echo("\r\x1b[K", nl=False, err=True)


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.backend} {'conforms' if report.conforms else 'DOES NOT CONFORM'}"
    yield ""
    yield f"{'operation':<20}{'passed':>8}{'failed':>8}{'skipped':>8}"
    for operation, results in report.by_operation().items():
        yield f"{operation:<20}{_count(results, 'passed'):>8}{_count(results, 'failed'):>8}{_count(results, 'skipped'):>8}"
    yield ""
    yield f"{'capability':<20}{'declared':>10}  tests of it"
    for name, results in report.by_capability().items():
        passed, failed = _count(results, "passed"), _count(results, "failed")
        found = f"{passed} passed, {failed} failed" if passed or failed else "-"
        yield f"{name:<20}{_shown(getattr(report.capability, name)):>10}  {found}"
    for result in report.failures[:_EXPLAINED]:
        yield ""
        yield f"FAILED {result.operation}: {result.test}"
        yield from (f"    {line}" for line in result.details.splitlines()[-12:])
    if report.failures[_EXPLAINED:]:
        yield ""
    yield from (f"FAILED {result.operation}: {result.test}" for result in report.failures[_EXPLAINED:])


def _shown(declared: bool | int | None) -> str:
    if declared is None:
        return "no limit"
    return ("yes" if declared else "no") if isinstance(declared, bool) else f"{declared} B"


def _count(results: tuple[Result, ...], outcome: str) -> int:
    return sum(result.outcome == outcome for result in results)


def _as_data(report: Report) -> dict[str, Any]:
    return {
        "backend": report.backend,
        "conforms": report.conforms,
        "capability": asdict(report.capability),
        "results": [asdict(result) for result in report.results],
    }
