"""The plug-in manager: finds plug-ins, collects what they offer, loads specs, and notifies plug-ins of events.

Every plug-in is imported, called and notified on its own. A broken plug-in is noted and reported, and does not affect
the others.
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
    """A plug-in that could not be used: the name of its entry point, and the reason."""

    name: str
    error: str


class PluginManager:
    """The plug-ins of one process; most code uses the shared manager from `plugins()`.

    Args:
        entry_points: look for installed plug-ins; otherwise only the built-in plug-ins are known.
        disabled: names of plug-ins that are not loaded; None reads them from the environment variable
            `AIMSTORE_DISABLED_PLUGINS`, separated by commas.

    Raises:
        PluginError: two installed packages have an entry point of the same name.
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

    # Lookups

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the working plug-ins, in the order in which they were loaded."""
        return tuple(name for name, _ in self._pluggy.list_name_plugin() if name not in self._broken)

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """The plug-ins found broken so far, while loading them or calling their hooks."""
        return tuple(self._broken.values())

    def backends(self) -> dict[str, BackendSpec]:
        """The storage engines by name, installed or not. Raises `PluginError` if two plug-ins use one name."""
        return self._specs("aimstore_backends", BackendSpec)

    def indexers(self) -> dict[str, IndexerSpec]:
        """The indexers by name; raises the same errors as `backends`."""
        return self._specs("aimstore_indexers", IndexerSpec)

    def query_engines(self) -> dict[str, QueryEngineSpec]:
        """The query languages by name; raises the same errors as `backends`."""
        return self._specs("aimstore_query_engines", QueryEngineSpec)

    def object_types(self) -> dict[str, ObjectTypeSpec]:
        """The object types by name; raises the same errors as `backends`."""
        return self._specs("aimstore_object_types", ObjectTypeSpec)

    def cli_commands(self) -> dict[str, CommandSpec]:
        """The commands of plug-ins by name; raises the same errors as `backends`."""
        return self._specs("aimstore_cli_commands", CommandSpec)

    def bench_workloads(self) -> dict[str, WorkloadSpec]:
        """The workloads of `aimstore bench` by name; raises the same errors as `backends`."""
        return self._specs("aimstore_bench_workloads", WorkloadSpec)

    def backend(self, name: str) -> BackendSpec:
        """The storage engine `name`. If there is none, raises `PluginError` with the most similar names."""
        return self._named(name, BackendSpec, self.backends())

    def indexer(self, name: str) -> IndexerSpec:
        """The indexer `name`; raises the same errors as `backend`."""
        return self._named(name, IndexerSpec, self.indexers())

    def query_engine(self, name: str) -> QueryEngineSpec:
        """The query language `name`; raises the same errors as `backend`."""
        return self._named(name, QueryEngineSpec, self.query_engines())

    def object_type(self, name: str) -> ObjectTypeSpec:
        """The object type `name`; raises the same errors as `backend`."""
        return self._named(name, ObjectTypeSpec, self.object_types())

    def bench_workload(self, name: str) -> WorkloadSpec:
        """The workload `name`; raises the same errors as `backend`."""
        return self._named(name, WorkloadSpec, self.bench_workloads())

    # Loading and notifying

    def load(self, spec: Spec) -> Any:
        """Return the object that `spec.factory` names; raises `PluginError` with the remedy if the import fails."""
        return load_reference(spec, spec.factory)

    def make_backend(self, spec: BackendSpec, root: Path, options: Mapping[str, Any]) -> Backend:
        """Make the backend of `spec` for a repository at `root`.

        Raises:
            PluginError: the factory cannot be loaded, returns no backend, or raises an error that is neither an
                `AimstoreError` nor an `OSError`.
            AimstoreError, OSError: raised by the factory, such as `ConfigError` for invalid options.
        """
        made: Backend = self._make(spec, Backend, root, dict(options))
        return made

    def make_indexer(self, spec: IndexerSpec, backend: Backend) -> Indexer:
        """Make the indexer of `spec` for a backend; raises the same errors as `make_backend`."""
        made: Indexer = self._make(spec, Indexer, backend)
        return made

    def make_query_engine(self, spec: QueryEngineSpec) -> Query:
        """Make the query engine of `spec`; raises the same errors as `make_backend`."""
        made: Query = self._make(spec, Query)
        return made

    def load_options(self, spec: BackendSpec) -> Any:
        """The class of a backend's options, or None; raises the same errors as `load`. Loads no engine."""
        return load_reference(spec, spec.options) if spec.options else None

    def load_direct(self, spec: BackendSpec) -> Any:
        """A backend's benchmark loops on its bare library, or None; raises the same errors as `load`."""
        return load_reference(spec, spec.direct) if spec.direct else None

    def distribution(self, spec: Spec) -> str:
        """The installed package that offers a spec, by its pip name; "" if the program registered the spec itself."""
        for offers in self._offers.values():
            plugin, known = offers.get(spec.name, ("", None))
            if known is spec:
                return self._distributions.get(plugin, "")
        return ""

    def notify(self, event: str, **values: object) -> None:
        """Call the hook `event`, which must return nothing, in every plug-in, with exactly its arguments.

        Errors of a plug-in are logged; neither the caller nor other plug-ins see them.
        """
        hook = getattr(self._pluggy.hook, event)
        if values.keys() != set(hook.spec.argnames):
            raise TypeError(f"{event} takes {', '.join(hook.spec.argnames)}; got {', '.join(values)}")
        for implementation in hook.get_hookimpls():
            try:
                implementation.function(*(values[name] for name in implementation.argnames))
            except FAULTS:  # a plug-in's error must not affect the run
                _log.exception("plug-in %r failed in %s; the run is not affected", implementation.plugin_name, event)

    def register(self, plugin: object, name: str) -> None:
        """Add a module, or an object with hook implementations as methods.

        Raises:
            PluginError: the name is taken, or an implementation matches no hook. Nothing is added.
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

    # Internals

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
    """The shared manager of the process. The first call scans the entry points and imports the plug-ins' modules."""
    return PluginManager()


def _checked(offer: object, hook: str, kind: type[Spec]) -> list[Spec]:
    if isinstance(offer, list) and all(isinstance(spec, kind) for spec in offer):
        return offer
    raise PluginError(f"{hook} returns a list of {kind.__name__}, not {offer!r:.200}")


def _entry_points(installed: bool, disabled: frozenset[str]) -> list[EntryPoint]:
    from importlib import metadata  # takes 10 ms, which only the first use of a plug-in should cost

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
