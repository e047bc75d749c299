"""What a workload is: cases of some work in a repository, and the figures that come of it.

A plug-in offers one by the hook `aimstore_bench_workloads`:

    class Notes(Workload):
        name = "notes"
        figures = (Figure("runs_per_s", "runs", "1/s", Better.MORE),)
        sizes = {"runs": 100}

        def run(self, job: Job) -> dict[str, float]:
            ...
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    from aimstore.repo import Repo

Size: TypeAlias = int | float | str | tuple[int, ...]
"""What `--size` can set: a number, a text, or several whole numbers, one for each point of a curve."""


class Better(Enum):
    """Which of two numbers is the better one."""

    MORE = "more"
    LESS = "less"


@dataclass(frozen=True)
class Figure:
    """One number of a repetition's result.

    Attributes:
        key: its name in the result.
        label: shown, such as "p99.9".
        unit: shown: "1/s", "ms", "µs", "B", "MB", or "" for a plain number.
        better: more or less.
        panel: figures of one panel are drawn in one chart, as the percentiles of a latency are; "" is a chart of its own.
        limit: what aimstore should reach with its default engine; None where nothing is set.
        times: how many times better than Aim it should be.
    """

    key: str
    label: str
    unit: str
    better: Better = Better.LESS
    panel: str = ""
    limit: float | None = None
    times: float | None = None


@dataclass(frozen=True)
class Case:
    """One variety of a workload, measured by itself.

    Attributes:
        name: unique within its workload: lower-case letters, digits, "-" and "=".
        title: shown.
        sizes: of this case, over those of the workload.
        axis: what a curve through several cases is drawn over, such as "runs in the repository"; "" for no curve. Cases of
            one axis are points of one curve.
        at: where on that axis.
    """

    name: str
    title: str
    sizes: Mapping[str, Any] = field(default_factory=dict)
    axis: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Job:
    """What one process is to do: a case of a workload, with an engine, in a folder.

    Attributes:
        case: name of the case.
        sizes: of the workload, with those of the case over them.
        seed: of everything random.
        folder: holds the repository, or is to hold it.
        backend: name of the engine.
        options: of the engine.
    """

    case: str
    sizes: Mapping[str, Any]
    seed: int
    folder: Path
    backend: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def open(self) -> Repo:
        """The repository in the folder, made where there is none."""
        from aimstore.repo import Repo

        return Repo.init(self.folder, backend=self.backend, options=self.options or None)

    @cached_property
    def random(self) -> random.Random:
        """Random numbers of the job's seed."""
        return random.Random(self.seed)


class Workload(ABC):
    """Some work, and what is measured of it. One object lives through one process; `run` is what is measured.

    Every repetition is a fresh process with a fresh repository, in which `setup`, `run` and `teardown` are called; or, where
    `prepared` says so, with one that `prepare` made before in a process of its own, once for all repetitions, which must leave it
    as they found it. Beside what `run` returns, the process is measured from `run` to the end of `teardown`: CPU time, peak
    memory, bytes written, open files.

    Attributes:
        name: of the workload; the command calls it so.
        figures: what `run` returns, in the order in which they are shown. A case may leave some out.
        sizes: names and default values of what can be set by `--size`.
        quick: other values for `--quick`, which should take some seconds with each engine.
        persistent: it reads in one process what another has written.
        multi_process: it reads in one process what another is writing.
        cost: the common figures worth showing, besides those of `figures`; see `aimstore.bench.report.COMMON`.
    """

    name: ClassVar[str]
    figures: ClassVar[tuple[Figure, ...]]
    sizes: ClassVar[Mapping[str, Size]] = {}
    quick: ClassVar[Mapping[str, Size]] = {}
    persistent: ClassVar[bool] = False
    multi_process: ClassVar[bool] = False
    cost: ClassVar[tuple[str, ...]] = ("cpu_s", "peak_mb")

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        """The cases, in the order in which they are measured."""
        return (Case(self.name, self.name),)

    def prepared(self, case: Case, sizes: Mapping[str, Any]) -> str:
        """A name for what `prepare` makes for a case; "" where repetitions begin with nothing. What has one name is made once for
        each engine, whichever workload asks for it, so the name says all that it depends on."""
        return ""

    def prepare(self, job: Job) -> None:  # noqa: B027  most begin with nothing
        """Make what is measured upon."""

    def setup(self, job: Job) -> None:
        """What comes before the clock, in the measured process. By default it makes the repository."""
        job.open().close()

    @abstractmethod
    def run(self, job: Job) -> Mapping[str, float]:
        """The work. Returns values by the keys of `figures`, of those that the case has."""

    def teardown(self, job: Job) -> None:  # noqa: B027  most leave nothing open
        """What comes after: closing what `run` left open, so that it is finalized."""

    def units(self, job: Job) -> float:
        """What the stored bytes are divided by, such as the number of values tracked; 0 where they are not looked at."""
        return 0
