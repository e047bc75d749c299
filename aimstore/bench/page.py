"""The report as one HTML file that needs nothing else: the template is `report.html.jinja`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from aimstore.bench.charts import Chart, Panel, charts
from aimstore.bench.drawing import MARKER_SIGNS, colour, marker_index, svgs
from aimstore.bench.environment import summary
from aimstore.bench.outcomes import Report
from aimstore.bench.tables import CaseTable, case_tables, failures, omissions, repetitions
from aimstore.errors import PluginError

LIBRARIES: Final = ("jinja2", "matplotlib")
"""What pages and pictures need: the extra `bench`."""


@dataclass(frozen=True)
class _Workload:
    """One section of the page."""

    name: str
    about: str
    cases: list[CaseTable]
    charts: list[tuple[Chart, list[tuple[Panel, str]]]]

    @property
    def has_targets(self) -> bool:
        return any(row.target for case in self.cases for row in case.rows)


def check_libraries() -> None:
    """Raise `PluginError` with the command that installs them where the libraries for pages and pictures are missing."""
    missing = [name for name in LIBRARIES if find_spec(name) is None]
    if missing:
        raise PluginError(f"pages and charts need {' and '.join(missing)}: pip install 'aimstore[bench]'")


def page(report: Report) -> str:
    """The whole document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("aimstore.bench", "")
    template = Environment(loader=loader, autoescape=True, undefined=StrictUndefined).get_template("report.html.jinja")
    workloads = _workloads(report)
    rows = [(case, row) for workload in workloads for case in workload.cases for row in case.rows]
    targets = [(case, row) for case, row in rows if row.reached is not None]
    options = report.settings.get("options", {})
    return template.render(
        report=report,
        title="aimstore beside other tools" if report.kind == "peers" else "Storage engines of aimstore",
        repetitions=repetitions(report.outcomes),
        environment=summary(report.environment),
        options=[f"{name}.{key} = {value}" for name, given in options.items() for key, value in given.items()],
        problems=failures(report) + omissions(report),
        targets=targets,
        missed=[(case, row) for case, row in targets if not row.reached],
        workloads=workloads,
        colour=colour,
        marker_sign=lambda contestant: MARKER_SIGNS[marker_index(contestant)],
    )


def _workloads(report: Report) -> list[_Workload]:
    drawn = list(charts(report))
    return [
        _Workload(
            name,
            report.about.get(name, ""),
            case_tables(report, outcomes),
            [(chart, list(zip(chart.panels, svgs(chart), strict=True))) for chart in drawn if chart.workload == name],
        )
        for name, outcomes in report.workloads().items()
    ]
