"""The workload `replay`: runs of a recorded shape, with values that are made up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from heapq import merge
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Any, Final

from aimstore.bench.peers.loops.measure import losses
from aimstore.bench.shape import Leaf, RunShape, SequenceShape, Shape, from_content
from aimstore.bench.workload import Better, Case, Figure, Job, Workload
from aimstore.bench.workloads.common import load_libraries, median_seconds, timed
from aimstore.plugins import WorkloadSpec

if TYPE_CHECKING:
    from aimstore.repo import Repo
    from aimstore.run import Run

REPLAY: Final = WorkloadSpec(name="replay", summary="Runs of a recorded shape", factory="aimstore.bench.replay:Replay")

_DISTINCT_VALUES: Final = 10_007
"""Different values of metrics; longer metrics repeat them."""


class Replay(Workload):
    """`write`: every run of the shape is made, tracked step by step as a training loop would, and finalized before the next one.
    `read`: a fresh process reads every sequence of some of these runs, and queries all runs."""

    name = "replay"
    figures = (
        Figure("values_per_s", "values of runs made, tracked and finalized", "1/s", Better.MORE),
        Figure("runs_per_s", "runs made, tracked and finalized", "1/s", Better.MORE),
        Figure("read_ms", "read all sequences of a run", "ms"),
        Figure("query_ms", "query that all runs match", "ms"),
    )
    sizes = {"runs": 0, "read": 20}
    quick = {"runs": 10, "read": 3}
    persistent = True
    cost = ("bytes_per_unit", "stored_mb", "amplification", "cpu_s", "peak_mb")

    def __init__(self, shape: Shape | None = None) -> None:
        self._shape = shape  # of the cases, which hand it to the measuring process as a size

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        hidden = {"_shape": asdict(self._shape or Shape())}
        return (Case("write", "write", hidden), Case("read", "read and query", hidden))

    def prepared(self, case: Case, sizes: Mapping[str, Any]) -> str:
        return "replay" if case.name == "read" else ""

    def prepare(self, job: Job) -> None:
        repo = job.open()
        _write(repo, job)
        repo.close()

    def setup(self, job: Job) -> None:
        load_libraries(job)
        super().setup(job)

    def run(self, job: Job) -> Mapping[str, float]:
        if job.case == "write":
            seconds, (runs, values) = timed(lambda: _write(self.repo, job))
            return {"values_per_s": values / seconds, "runs_per_s": runs / seconds}
        chosen = self.repo.list_runs()[: job.sizes["read"]]
        seconds, _ = timed(lambda: _read(self.repo, chosen))
        query = "run.experiment == 'replay' and run.name != ''"
        return {
            "read_ms": seconds / max(1, len(chosen)) * 1e3,
            "query_ms": median_seconds(lambda: list(self.repo.query_runs(query)), 3) * 1e3,
        }

    def units(self, job: Job) -> float:
        return float(sum(each.records for run in _runs(job) for each in run.sequences)) if job.case == "write" else 0.0


def _runs(job: Job) -> Iterator[RunShape]:
    """Every run, mixed as the seed says; or the first of them."""
    shape = from_content(job.sizes["_shape"])
    runs = [run for run in shape.runs for _ in range(run.count)]
    Random(job.seed).shuffle(runs)
    return iter(runs[: job.sizes["runs"] or None])


def _write(repo: Repo, job: Job) -> tuple[int, int]:
    """The number of runs and that of values."""
    from aimstore.run import Run

    numbers = cycle(losses(_DISTINCT_VALUES, job.seed))
    runs = values = 0
    for shape in _runs(job):
        with Run(repo=repo, experiment="replay") as run:
            if shape.leaves:
                run[...] = _tree(shape.leaves, job.random)
            values += _track(run, shape, numbers, job.random)
        runs += 1
    return runs, values


def _track(run: Run, shape: RunShape, numbers: Iterator[float], random: Random) -> int:
    """Track every sequence of a run, step by step; the number of values."""
    contents = {each.nbytes: random.randbytes(each.nbytes) for each in shape.sequences if each.kind == "object"}
    values = 0
    for step, index in merge(*(_steps(index, sequence) for index, sequence in enumerate(shape.sequences))):
        sequence = shape.sequences[index]
        value: Any = next(numbers)
        if sequence.kind != "float":
            value = int(value * 1e6) if sequence.kind == "int" else contents[sequence.nbytes]
        context = {"context": sequence.context} if sequence.context else None
        run.track(value, name=f"metric {sequence.name}", step=step, context=context)
        values += 1
    return values


def _steps(index: int, sequence: SequenceShape) -> Iterator[tuple[int, int]]:
    stride = sequence.stride or 1
    return ((step, index) for step in range(0, sequence.records * stride, stride))


def _tree(leaves: Sequence[Leaf], random: Random) -> dict[Any, Any]:
    tree: dict[Any, Any] = {}
    for leaf in leaves:
        node = tree
        for part in leaf.path[:-1]:
            node = node.setdefault(f"k{part}", {})
        node[f"k{leaf.path[-1]}"] = _value(leaf, random)
    return tree


def _value(leaf: Leaf, random: Random) -> Any:
    size = max(0, leaf.nbytes - (2 if leaf.nbytes < 256 else 3))
    match leaf.kind:
        case "bool":
            return random.random() < 0.5
        case "int":
            return random.randrange(1 << max(1, min(62, 8 * (leaf.nbytes - 1) or 6)))
        case "float":
            return random.random()
        case "str":
            return "".join(random.choices("abcdefghijklmnopqrstuvwxyz ", k=size))
        case "none":
            return None
        case "list":
            return [random.random() for _ in range(max(0, leaf.nbytes - 1) // 9)]
    return random.randbytes(size)


def _read(repo: Repo, runs: Sequence[str]) -> None:
    from aimstore.sequences.sequence import Metric

    for run_hash in runs:
        for sequence in repo.get_run(run_hash).sequences():
            if isinstance(sequence, Metric):
                sequence.numpy()
            else:
                for _ in sequence:
                    pass
