"""A pytest plugin that reports the result of each test of the kit to another process: `-p aimstore.testing.recorder`."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

OPTION: Final = "--aimstore-record"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        OPTION, metavar="FILE", help="write the outcome of each test of the conformance kit, a line of JSON each"
    )


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption(OPTION)
    if file:
        config.pluginmanager.register(_Recorder(file), "aimstore-recorder")


class _Recorder:
    def __init__(self, file: str) -> None:
        self._file = Path(file).open("w")  # noqa: SIM115  closed with the session

    def _write(self, facts: dict[str, Any]) -> None:
        self._file.write(json.dumps(facts) + "\n")
        self._file.flush()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._write({"collected": len(session.items)})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" or report.outcome != "passed":
            self._write(_facts(item, report))
        return report

    def pytest_unconfigure(self) -> None:
        self._file.close()


def _facts(item: pytest.Item, report: pytest.TestReport) -> dict[str, Any]:
    suite: type | None = getattr(item, "cls", None)
    function = getattr(item, "originalname", item.name)
    home = next((base for base in suite.__mro__ if function in vars(base)), None) if suite else None
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        details = report.longrepr[2].removeprefix("Skipped: ")
    else:
        details = report.longreprtext
    return {
        "suite": suite.__name__ if suite else "",
        "test": item.name,
        "part": home.__name__ if home else "",
        "operation": getattr(home, "operation", ""),
        "capabilities": [*getattr(home, "about", ()), *getattr(getattr(item, "function", None), "needs", ())],
        "outcome": report.outcome,
        "seconds": report.duration,
        "details": details,
    }
