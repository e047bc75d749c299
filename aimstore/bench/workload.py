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
    """Whether more or less of a figure is better."""

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
        panel: figures of a case with the same panel are drawn as one line, as the percentiles of a latency are; "" for a figure
            that is drawn by itself.
        limit: target of aimstore with its default engine; None where nothing is set.
        times: target of aimstore, as how many times better than Aim it is.
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
    """One variant of a workload, measured by itself.

    Attributes:
        name: unique within its workload: lower-case letters, digits, "-" and "=".
        title: shown.
        sizes: of this case, which override those of the workload. A name that begins with "_" is not reported.
        axis: of the curve through all cases with the same axis, such as "runs in the repository"; "" for no curve.
        at: the position on that axis.
    """

    name: str
    title: str
    sizes: Mapping[str, Any] = field(default_factory=dict)
    axis: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class Job:
    """The order for one process: a case of a workload, with an engine, in a folder.

    Attributes:
        case: name of the case.
        sizes: of the workload and the case.
        seed: for all random data.
        folder: of the repository.
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
        """Open the repository in the folder, or make one."""
        from aimstore.repo import Repo

        return Repo.init(self.folder, backend=self.backend, options=self.options or None)

    @cached_property
    def random(self) -> random.Random:
        """Random numbers from the seed of the job."""
        return random.Random(self.seed)


class Workload(ABC):
    """Some work, and its figures.

    Every repetition is a fresh process with a new object, on which `setup`, `run` and `teardown` are called in turn. Its
    repository is fresh, too; or, where `prepared` gives a name, it is one that `prepare` made in an earlier process for all
    repetitions, which must leave it as it is. CPU time, peak memory and bytes written are measured from `run` to the end of
    `teardown`, open files at the end of `run`.

    Attributes:
        name: for the command line.
        figures: that `run` returns, in the order in which they are shown.
        sizes: names and default values for `--size`.
        quick: other values for `--quick`, with which an engine should take some seconds.
        persistent: whether a process reads what an earlier one has written.
        multi_process: whether a process reads what another one is writing.
        repo: the repository that `setup` opened.
        cost: keys of the figures of the process that are shown after `figures`; see `aimstore.bench.outcomes.PROCESS_FIGURES`.
    """

    name: ClassVar[str]
    figures: ClassVar[tuple[Figure, ...]]
    sizes: ClassVar[Mapping[str, Size]] = {}
    quick: ClassVar[Mapping[str, Size]] = {}
    persistent: ClassVar[bool] = False
    multi_process: ClassVar[bool] = False
    cost: ClassVar[tuple[str, ...]] = ("cpu_s", "peak_mb")
    repo: Repo

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        """The cases, in the order in which they are measured."""
        return (Case(self.name, self.name),)

    def prepared(self, case: Case, sizes: Mapping[str, Any]) -> str:
        """The name of what `prepare` makes for a case; "" where repetitions begin with nothing. Prepared data is cached per
        engine under this name: include every parameter it depends on."""
        return ""

    def prepare(self, job: Job) -> None:  # noqa: B027  most begin with nothing
        """Make the data that `run` reads, in a process of its own."""

    def setup(self, job: Job) -> None:
        """Get ready in the measured process, before the clock starts. By default, open the repository as `repo`."""
        self.repo = job.open()

    @abstractmethod
    def run(self, job: Job) -> Mapping[str, float]:
        """Do the measured work. Returns the values of `figures` by key; a case may leave some out."""

    def teardown(self, job: Job) -> None:
        """Close what `run` left open, so that it is finalized. By default, close `repo`."""
        self.repo.close()

    def units(self, job: Job) -> float:
        """The number of values, runs or the like that share the stored bytes; 0 where the case stores none."""
        return 0
