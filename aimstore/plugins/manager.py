"""The plug-in manager: finds plug-ins, asks each what it offers, loads what is wanted, and tells them of events.

Every plug-in is imported, asked and told on its own: one that is broken is recorded and reported, and breaks nothing
else.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pluggy

from aimstore.abc import Backend, Indexer, Query
from aimstore.errors import AimstoreError, PluginError, did_you_mean
from aimstore.plugins import hookspecs
from aimstore.plugins.loading import FAULTS, load_reference
from aimstore.plugins.specs import (
    BackendSpec,
    CommandSpec,
    IndexerSpec,
    ObjectTypeSpec,
    QueryEngineSpec,
    Spec,
    WorkloadSpec,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint
    from pathlib import Path

ENTRY_POINT_GROUP: Final = "aimstore"
DISABLED_VARIABLE: Final = "AIMSTORE_DISABLED_PLUGINS"
BUILTIN: Final = {"defaults": "aimstore.plugins.defaults"}
"""Plug-ins that need no entry point: name and module."""

_log = logging.getLogger("aimstore")
_S = TypeVar("_S", bound=Spec)


@dataclass(frozen=True)
class BrokenPlugin:
    """A plug-in that could not be used: the name of its entry point, and why."""

    name: str
    error: str


class PluginManager:
    """The plug-ins of one process; most code takes the shared one from `plugins()`.

    Args:
        entry_points: look for installed plug-ins; without it only the built-in ones are known.
        disabled: names of plug-ins that are not loaded; None takes them from the environment variable
            `AIMSTORE_DISABLED_PLUGINS`, separated by commas.

    Raises:
        PluginError: two installed packages have an entry point of one name.
    """

    def __init__(self, *, entry_points: bool = True, disabled: Iterable[str] | None = None) -> None:
        if disabled is None:
            disabled = filter(None, map(str.strip, os.environ.get(DISABLED_VARIABLE, "").split(",")))
        self.disabled: Final = frozenset(disabled)
        self._broken: dict[str, BrokenPlugin] = {}
        self._distributions: dict[str, str] = {}
        self._offers: dict[str, dict[str, tuple[str, Spec]]] = {}
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        for entry_point in _entry_points(entry_points, self.disabled):
            self._distributions[entry_point.name] = _distribution(entry_point)
            self._load_plugin(entry_point)

    # What there is

    @property
    def names(self) -> tuple[str, ...]:
        """The plug-ins that work, in the order of their loading."""
        return tuple(name for name, _ in self._pluggy.list_name_plugin() if name not in self._broken)

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """The plug-ins found broken so far: while loading, or when asked for what they offer."""
        return tuple(self._broken.values())

    def backends(self) -> dict[str, BackendSpec]:
        """The storage engines by name, installed libraries or not; `PluginError` where two plug-ins offer one name."""
        return self._specs("aimstore_backends", BackendSpec)

    def indexers(self) -> dict[str, IndexerSpec]:
        """The indexers by name; errors as `backends`."""
        return self._specs("aimstore_indexers", IndexerSpec)

    def query_engines(self) -> dict[str, QueryEngineSpec]:
        """The query languages by name; errors as `backends`."""
        return self._specs("aimstore_query_engines", QueryEngineSpec)

    def object_types(self) -> dict[str, ObjectTypeSpec]:
        """The types of objects by name; errors as `backends`."""
        return self._specs("aimstore_object_types", ObjectTypeSpec)

    def cli_commands(self) -> dict[str, CommandSpec]:
        """The added commands by name; errors as `backends`."""
        return self._specs("aimstore_cli_commands", CommandSpec)

    def bench_workloads(self) -> dict[str, WorkloadSpec]:
        """The workloads of `aimstore bench` by name; errors as `backends`."""
        return self._specs("aimstore_bench_workloads", WorkloadSpec)

    def backend(self, name: str) -> BackendSpec:
        """The storage engine `name`; `PluginError` with the nearest names where there is none."""
        return self._named(name, BackendSpec, self.backends())

    def indexer(self, name: str) -> IndexerSpec:
        """The indexer `name`; errors as `backend`."""
        return self._named(name, IndexerSpec, self.indexers())

    def query_engine(self, name: str) -> QueryEngineSpec:
        """The query language `name`; errors as `backend`."""
        return self._named(name, QueryEngineSpec, self.query_engines())

    def object_type(self, name: str) -> ObjectTypeSpec:
        """The type of objects `name`; errors as `backend`."""
        return self._named(name, ObjectTypeSpec, self.object_types())

    def bench_workload(self, name: str) -> WorkloadSpec:
        """The workload `name`; errors as `backend`."""
        return self._named(name, WorkloadSpec, self.bench_workloads())

    # What is done with it

    def load(self, spec: Spec) -> Any:
        """What `spec.factory` points to; `PluginError` with the remedy where that cannot be imported."""
        return load_reference(spec, spec.factory)

    def make_backend(self, spec: BackendSpec, root: Path, options: Mapping[str, Any]) -> Backend:
        """What `spec.factory` makes for a repository at `root`.

        Raises:
            PluginError: it cannot be loaded, makes nothing of the kind, or raises what is no error of aimstore or the system.
            AimstoreError, OSError: as the factory raises it: `ConfigError` for options, say.
        """
        made: Backend = self._make(spec, Backend, root, dict(options))
        return made

    def make_indexer(self, spec: IndexerSpec, backend: Backend) -> Indexer:
        """What `spec.factory` makes for a backend; errors as `make_backend`."""
        made: Indexer = self._make(spec, Indexer, backend)
        return made

    def make_query_engine(self, spec: QueryEngineSpec) -> Query:
        """What `spec.factory` makes; errors as `make_backend`."""
        made: Query = self._make(spec, Query)
        return made

    def load_options(self, spec: BackendSpec) -> Any:
        """The class of a backend's options, None where it has none; errors as `load`. Loads no engine."""
        return load_reference(spec, spec.options) if spec.options else None

    def load_direct(self, spec: BackendSpec) -> Any:
        """The loops over a backend's library, for benchmarks; None where it has none; errors as `load`."""
        return load_reference(spec, spec.direct) if spec.direct else None

    def distribution(self, spec: Spec) -> str:
        """The installed package that offers a spec, as pip calls it; "" where that was registered by the program itself."""
        for offers in self._offers.values():
            plugin, known = offers.get(spec.name, ("", None))
            if known is spec:
                return self._distributions.get(plugin, "")
        return ""

    def notify(self, event: str, **values: object) -> None:
        """Tell every plug-in of `event`, one of the hooks that return nothing, with exactly its arguments.

        What a plug-in raises is logged, and neither the caller nor other plug-ins see it.
        """
        hook = getattr(self._pluggy.hook, event)
        if values.keys() != set(hook.spec.argnames):
            raise TypeError(f"{event} takes {', '.join(hook.spec.argnames)}; got {', '.join(values)}")
        for implementation in hook.get_hookimpls():
            try:
                implementation.function(*(values[name] for name in implementation.argnames))
            except FAULTS:  # a plug-in's mistake must not cost the run
                _log.exception("plug-in %r failed in %s; the run is not affected", implementation.plugin_name, event)

    def register(self, plugin: object, name: str) -> None:
        """Add a module, or an object with hook implementations as methods.

        Raises:
            PluginError: the name is taken, or an implementation fits no hook. Nothing is added.
        """
        if self._pluggy.has_plugin(name):
            raise PluginError(f"two plug-ins named {name!r}: {self._pluggy.get_plugin(name)!r} and {plugin!r}")
        try:
            self._pluggy.register(plugin, name)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(f"plug-in {name!r}: {error}") from error
        try:
            self._check(plugin, name)
        except PluginError:
            self._pluggy.unregister(plugin, name)
            raise
        self._offers.clear()

    # How

    def _make(self, spec: Spec, kind: type, *arguments: object) -> Any:
        factory = self.load(spec)
        try:
            made = factory(*arguments)
        except (AimstoreError, OSError):
            raise
        except FAULTS as error:
            raise PluginError(
                f"{spec.kind} {spec.name!r} is broken: {spec.factory} raised {type(error).__name__}: {error}"
            ) from error
        if not isinstance(made, kind):
            raise PluginError(
                f"{spec.kind} {spec.name!r} is broken: {spec.factory} made {made!r:.80}, which is no "
                f"{kind.__module__.rpartition('.')[0]}.{kind.__name__}"
            )
        return made

    def _load_plugin(self, entry_point: EntryPoint) -> None:
        try:
            self.register(entry_point.load(), entry_point.name)
        except FAULTS as error:
            self._value(entry_point.name, error)

    def _value(self, name: str, error: BaseException) -> None:
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        self._broken[name] = BrokenPlugin(name, reason)
        _log.warning("plug-in %r is not used: %s", name, reason)
        _log.debug("plug-in %r", name, exc_info=error)

    def _check(self, plugin: object, name: str) -> None:
        specified = [hook for hook in vars(hookspecs) if hook.startswith("aimstore_")]
        for hook in self._pluggy.get_hookcallers(plugin) or ():
            if not hook.has_spec():
                raise PluginError(
                    f"plug-in {name!r} implements an unknown hook {hook.name!r}{did_you_mean(hook.name, specified)}"
                )
            for implementation in hook.get_hookimpls():
                if implementation.plugin is plugin and (implementation.wrapper or implementation.hookwrapper):
                    raise PluginError(f"plug-in {name!r}: {hook.name} is a wrapper; plug-ins are called one by one")

    def _specs(self, hook: str, kind: type[_S]) -> dict[str, _S]:
        if hook not in self._offers:
            self._offers[hook] = self._ask(hook, kind)
        return {name: cast("_S", spec) for name, (_, spec) in self._offers[hook].items()}

    def _ask(self, hook: str, kind: type[Spec]) -> dict[str, tuple[str, Spec]]:
        offers: dict[str, tuple[str, Spec]] = {}
        for implementation in getattr(self._pluggy.hook, hook).get_hookimpls():
            plugin = implementation.plugin_name
            try:
                specs = _checked(implementation.function(), hook, kind)
            except FAULTS as error:
                self._value(plugin, error)
                continue
            for spec in specs:
                if spec.name in offers:
                    raise PluginError(
                        f"two plug-ins offer a {kind.kind} named {spec.name!r}: {offers[spec.name][0]!r} and "
                        f"{plugin!r}; uninstall one, or disable it: {DISABLED_VARIABLE}={offers[spec.name][0]} or "
                        f"{DISABLED_VARIABLE}={plugin}"
                    )
                offers[spec.name] = plugin, spec
        return offers

    def _named(self, name: str, kind: type[_S], known: dict[str, _S]) -> _S:
        if not isinstance(name, str):
            raise PluginError(
                f"a {kind.kind} is asked for by its name, not by {name!r:.80} ({type(name).__name__})."
                f" Known: {', '.join(sorted(known)) or 'none'}."
            )
        if name in known:
            return known[name]
        text = f"no {kind.kind} named {name!r}{did_you_mean(name, known) or '.'}"
        text += f" Known: {', '.join(sorted(known)) or 'none'}."
        if self.disabled:
            text += f" Disabled by {DISABLED_VARIABLE}: {', '.join(sorted(self.disabled))}."
        for plugin in self.broken:
            text += f" Plug-in {plugin.name!r} is not used: {plugin.error}."
        raise PluginError(text)


@functools.cache
def plugins() -> PluginManager:
    """The manager that the process shares; the first call scans the entry points and imports the plug-ins' modules."""
    return PluginManager()


def _checked(offer: object, hook: str, kind: type[Spec]) -> list[Spec]:
    if isinstance(offer, list) and all(isinstance(spec, kind) for spec in offer):
        return offer
    raise PluginError(f"{hook} returns a list of {kind.__name__}, not {offer!r:.200}")


def _entry_points(installed: bool, disabled: frozenset[str]) -> list[EntryPoint]:
    from importlib import metadata  # 10 ms that only the first use of a plug-in should cost

    found = {name: metadata.EntryPoint(name, module, ENTRY_POINT_GROUP) for name, module in BUILTIN.items()}
    for entry_point in metadata.entry_points(group=ENTRY_POINT_GROUP) if installed else ():
        known = found.setdefault(entry_point.name, entry_point)
        if known.value != entry_point.value and entry_point.name not in disabled:
            raise PluginError(
                f"two plug-ins named {entry_point.name!r}: {known.value} of {_distribution(known)} and "
                f"{entry_point.value} of {_distribution(entry_point)}; uninstall one, or disable both with "
                f"{DISABLED_VARIABLE}={entry_point.name}"
            )
    return [entry_point for name, entry_point in found.items() if name not in disabled]


def _distribution(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist is not None else "aimstore"
