"""Engines as contestants: which there are, what they can do, and the processes that measure them."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from aimstore.abc import Capability
from aimstore.bench.outcomes import with_process_figures
from aimstore.bench.processes import answer_of
from aimstore.bench.replay import REPLAY, Replay
from aimstore.bench.runner import Plan
from aimstore.bench.shape import read_shape
from aimstore.bench.sizes import sizes_of
from aimstore.bench.worker import BOTH, PREPARE, RUN, order_of
from aimstore.bench.workload import Job, Workload
from aimstore.errors import AimstoreError, ConfigError, PluginError, did_you_mean
from aimstore.plugins import PluginManager, WorkloadSpec


class Engine:
    """A storage engine with its options.

    Args:
        name: of the engine.
        options: of the engine.
        capability: of the engine, with these options.
        seed: for all random data.
    """

    def __init__(self, name: str, options: Mapping[str, Any], capability: Capability, seed: int) -> None:
        self.name = name
        self._options = dict(options)
        self._capability = capability
        self._seed = seed

    def refusal(self, plan: Plan) -> str:
        _, workload = _measured(plan)
        if workload.persistent and not self._capability.persistent:
            return "it keeps nothing beyond its process"
        if workload.multi_process and not self._capability.multi_process:
            return "no other process can read while one writes"
        return ""

    def prepare(self, plan: Plan, folder: Path) -> None:
        if self._capability.persistent:
            self._order(plan, folder, PREPARE)

    def repeat(self, plan: Plan, folder: Path) -> dict[str, float]:
        if not plan.prepared or self._capability.persistent:
            return self._order(plan, folder, RUN)
        shutil.rmtree(folder, ignore_errors=True)  # what the last process kept elsewhere is gone
        return self._order(plan, folder, BOTH)

    def _order(self, plan: Plan, folder: Path, phase: str) -> dict[str, Any]:
        spec, _ = _measured(plan)
        job = Job(plan.case.name, plan.sizes, self._seed, folder, self.name, self._options)
        folder.mkdir(parents=True, exist_ok=True)
        return answer_of(
            [sys.executable, "-m", "aimstore.bench.worker"],
            order=json.dumps(order_of(spec, job, phase)),
            cwd=folder.parent,
        )


def _measured(plan: Plan) -> tuple[WorkloadSpec, Workload]:
    spec, workload = plan.data
    return spec, workload


def capability_of(manager: PluginManager, name: str, options: Mapping[str, Any] | None = None) -> Capability:
    """What an engine can do. Imports the engine, and makes a backend, which makes no files, where only that can tell.

    Raises:
        PluginError: there is no such engine, or its library is missing.
        ConfigError: its options are no good.
    """
    factory = manager.load(manager.backend(name))
    found = getattr(factory, "capability", None)
    if isinstance(found, Capability):
        return found
    with factory(Path(tempfile.gettempdir(), "aimstore-bench", ".aim"), dict(options or {})) as backend:
        capability: Capability = backend.capability
        return capability


def installed(manager: PluginManager) -> list[str]:
    """Persistent engines whose libraries are installed: RocksDB, the default, then the others by name."""
    names = []
    for name in manager.backends():
        try:
            if capability_of(manager, name).persistent:
                names.append(name)
        except AimstoreError:  # an engine that needs options is measured only where it is named
            continue
    return sorted(names, key=lambda name: (name != "rocksdb", name))


def engines(
    manager: PluginManager, names: Sequence[str], options: Mapping[str, Mapping[str, Any]], seed: int
) -> list[Engine]:
    """The engines of these names.

    Args:
        options: by engine.

    Raises:
        PluginError: there is no such engine, or its library is missing.
        ConfigError: an option that it does not have, or one for an engine that is not measured.
    """
    for name in options:
        if name not in names:
            manager.backend(name)  # which says so where there is none of that name
            raise ConfigError(f"options for {name}, which is not measured: add it to --backends")
    found = []
    for name in names:
        given = options.get(name, {})
        parser = manager.load_options(manager.backend(name))
        if parser is not None:
            parser.parse(given)
        elif given:
            raise ConfigError(f"{name} has no options")
        found.append(Engine(name, given, capability_of(manager, name, given), seed))
    return found


def plans(
    manager: PluginManager, names: Iterable[str], sizes: Mapping[str, str], shape: Path | None = None, *, quick: bool
) -> list[Plan]:
    """Every case of the replay of a recorded shape, and of the workloads of these names.

    Args:
        sizes: as given, by name; "workload.size" sets that of one workload only.
        shape: the file that holds it; None replays nothing.
        quick: take the sizes for `--quick`.

    Raises:
        PluginError: there is no such workload.
        ConfigError: a size that none of them has, or a file that holds no shape.
    """
    workloads = [(spec := manager.bench_workload(name), _made(manager, spec)) for name in names]
    if shape is not None:
        workloads.insert(0, (REPLAY, Replay(read_shape(shape))))
    _check_sizes(sizes, workloads)
    found = []
    for spec, workload in workloads:
        own = {name.removeprefix(f"{spec.name}."): text for name, text in sizes.items()}
        found += plans_of(spec, workload, sizes_of(workload.sizes, workload.quick if quick else {}, own))
    return found


def _check_sizes(sizes: Mapping[str, str], workloads: Sequence[tuple[WorkloadSpec, Workload]]) -> None:
    names = {name for _, workload in workloads for name in workload.sizes}
    known = names | {f"{spec.name}.{name}" for spec, workload in workloads for name in workload.sizes}
    for name in sizes:
        if name not in known:
            raise ConfigError(
                f"no size {name!r}{did_you_mean(name, known) or '.'} There are {', '.join(sorted(names)) or 'none'}"
            )


def plans_of(spec: WorkloadSpec, workload: Workload, sizes: Mapping[str, Any]) -> list[Plan]:
    """Every case of one workload."""
    about = " ".join((type(workload).__doc__ or "").replace("`", "").split())
    return [
        Plan(
            spec.name,
            case,
            with_process_figures(workload.figures, workload.cost),
            of_case := {**sizes, **case.sizes},
            workload.prepared(case, of_case),
            about=f"{spec.summary.rstrip('.')}. {about}".rstrip(),
            data=(spec, workload),
        )
        for case in workload.cases(sizes)
    ]


def _made(manager: PluginManager, spec: WorkloadSpec) -> Workload:
    workload = manager.load(spec)()
    if not isinstance(workload, Workload):
        raise PluginError(
            f"workload {spec.name!r}: {spec.factory} gives no aimstore.bench.Workload but {workload!r:.80}"
        )
    return workload
