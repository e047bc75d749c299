"""The workload `replay`: runs of a recorded shape, with values that are made up."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from heapq import merge
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aimstore.bench.engines import plans_of
from aimstore.bench.peers.loops.measure import losses
from aimstore.bench.runner import Plan
from aimstore.bench.shape import FORMAT, VERSION, Leaf, RunShape, SequenceShape, Shape, from_json
from aimstore.bench.sizes import sizes_of
from aimstore.bench.workload import Better, Case, Figure, Job, Workload
from aimstore.bench.workloads.common import load_libraries, median_seconds, timed
from aimstore.errors import ConfigError, StorageError
from aimstore.plugins import WorkloadSpec
from aimstore.suggestions import did_you_mean

if TYPE_CHECKING:
    from aimstore.repo import Repo

SPEC: Final = WorkloadSpec(name="replay", summary="Runs of a recorded shape", factory="aimstore.bench.replay:Replay")

_DIFFERENT: Final = 10_007
"""Different values of metrics; longer ones repeat them."""


class Replay(Workload):
    """`write`: every run of the shape, one after the other, its sequences step by step as a training loop would; each run is
    finalized. `read`: what was written so, in a fresh process: every sequence of some runs, and queries over all."""

    name = "replay"
    figures = (
        Figure("calls_per_s", "values tracked", "1/s", Better.MORE),
        Figure("runs_per_s", "runs, from creation to finalized", "1/s", Better.MORE),
        Figure("read_ms", "read all of a run", "ms"),
        Figure("query_ms", "a query over all runs", "ms"),
    )
    sizes = {"runs": 0, "read": 20}
    quick = {"runs": 10, "read": 3}
    persistent = True
    cost = ("bytes_per_unit", "stored_mb", "amplification", "cpu_s", "peak_mb")

    def cases(self, sizes: Mapping[str, Any]) -> Sequence[Case]:
        return (Case("write", "write"), Case("read", "read and query"))

    def prepared(self, case: Case, sizes: Mapping[str, Any]) -> str:
        return "replay" if case.name == "read" else ""

    def prepare(self, job: Job) -> None:
        repo = job.open()
        _write(repo, job)
        repo.close()

    def setup(self, job: Job) -> None:
        load_libraries(job)
        self._repo: Repo = job.open()

    def run(self, job: Job) -> Mapping[str, float]:
        if job.case == "write":
            seconds, (runs, calls) = timed(lambda: _write(self._repo, job))
            return {"calls_per_s": calls / seconds, "runs_per_s": runs / seconds}
        chosen = self._repo.list_runs()[: job.sizes["read"]]
        seconds, _ = timed(lambda: _read(self._repo, chosen))
        query = "run.experiment == 'replay' and run.name != ''"
        return {
            "read_ms": seconds / max(1, len(chosen)) * 1e3,
            "query_ms": median_seconds(lambda: list(self._repo.query_runs(query)), 3) * 1e3,
        }

    def teardown(self, job: Job) -> None:
        self._repo.close()

    def units(self, job: Job) -> float:
        return float(sum(each.records for run in _runs(job) for each in run.sequences)) if job.case == "write" else 0.0


def replay_plans(path: Path, given: Mapping[str, str], *, quick: bool) -> list[Plan]:
    """The cases of the shape in a file.

    Raises:
        ConfigError: it is not one, or there is no such size.
    """
    for name in given:
        if name not in Replay.sizes:
            raise ConfigError(f"replay has no size {name!r}{did_you_mean(name, Replay.sizes)}")
    try:
        shape = from_json(path.read_text(encoding="utf-8"), path.name)
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name} was not written by `aimstore bench record`") from None
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    if not shape.count:
        raise ConfigError(f"{path.name} is the shape of a repository without runs")
    sizes = sizes_of(Replay.sizes, Replay.quick if quick else {}, given)
    workload = Replay()
    return plans_of(SPEC, workload, {**sizes, "_shape": asdict(shape)})


def _runs(job: Job) -> Iterator[RunShape]:
    """Every run, mixed as the seed says; or the first of them."""
    shape: Shape = from_json(json.dumps({"format": FORMAT, "version": VERSION, **job.sizes["_shape"]}))
    runs = [run for run in shape.runs for _ in range(run.count)]
    random.Random(job.seed).shuffle(runs)
    return iter(runs[: job.sizes["runs"] or None])


def _write(repo: Repo, job: Job) -> tuple[int, int]:
    """The number of runs and that of values."""
    from aimstore.run import Run

    values = losses(_DIFFERENT, job.seed)
    runs = calls = 0
    for shape in _runs(job):
        with Run(repo=repo, experiment="replay") as run:
            if shape.leaves:
                run[...] = _tree(shape.leaves, job.random)
            contents = {
                each.nbytes: job.random.randbytes(each.nbytes) for each in shape.sequences if each.kind == "object"
            }
            for step, number in merge(*(_steps(number, each) for number, each in enumerate(shape.sequences))):
                each = shape.sequences[number]
                value: Any = values[calls % _DIFFERENT]
                if each.kind != "float":
                    value = int(value * 1e6) if each.kind == "int" else contents[each.nbytes]
                context = {"context": each.context} if each.context else None
                run.track(value, name=f"metric {each.name}", step=step, context=context)
                calls += 1
        runs += 1
    return runs, calls


def _steps(number: int, sequence: SequenceShape) -> Iterator[tuple[int, int]]:
    stride = sequence.stride or 1
    return ((step, number) for step in range(0, sequence.records * stride, stride))


def _tree(leaves: Sequence[Leaf], numbers: random.Random) -> dict[Any, Any]:
    tree: dict[Any, Any] = {}
    for leaf in leaves:
        node = tree
        for part in leaf.path[:-1]:
            node = node.setdefault(f"k{part}", {})
        node[f"k{leaf.path[-1]}"] = _value(leaf, numbers)
    return tree


def _value(leaf: Leaf, numbers: random.Random) -> Any:
    size = max(0, leaf.nbytes - (2 if leaf.nbytes < 256 else 3))
    match leaf.kind:
        case "bool":
            return numbers.random() < 0.5
        case "int":
            return numbers.randrange(1 << max(1, min(62, 8 * (leaf.nbytes - 1) or 6)))
        case "float":
            return numbers.random()
        case "str":
            return "".join(numbers.choices("abcdefghijklmnopqrstuvwxyz ", k=size))
        case "none":
            return None
        case "list":
            return [numbers.random() for _ in range(max(0, leaf.nbytes - 1) // 9)]
    return numbers.randbytes(size)


def _read(repo: Repo, runs: Sequence[str]) -> None:
    from aimstore.sequences.sequence import Metric

    for run_hash in runs:
        for sequence in repo.get_run(run_hash).sequences():
            if isinstance(sequence, Metric):
                sequence.numpy()
            else:
                for _ in sequence:
                    pass
