"""`aimstore backends`: list the available storage engines, and what is missing or broken."""

from __future__ import annotations

from dataclasses import asdict
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import click

from aimstore.cli.options import example, json_option, traceback_option
from aimstore.cli.output import Column, print_json, print_table
from aimstore.cli.program import warnings_hidden
from aimstore.errors import PluginError
from aimstore.plugins import plugins

if TYPE_CHECKING:
    from aimstore.plugins import BackendSpec

_BACKENDS: Final = (
    Column("backend", whole=True),
    Column("installed", whole=True, styles={"yes": "green", "no": "yellow"}),
    Column("version", whole=True),
    Column("capabilities", wraps=True),
    Column("summary", wraps=True),
)
_OPTIONS: Final = (
    Column("backend", whole=True),
    Column("option", whole=True),
    Column("default", whole=True),
    Column("takes", wraps=True),
)


@click.command(epilog=example("aimstore backends"))
@json_option
@traceback_option
def backends(as_json: bool) -> None:
    """List the storage engines.

    Shows for each engine the version of its library, its capabilities, and its options with their defaults. Below
    follow the engines that are not installed, with the command that installs them, and the plug-ins that are broken or
    disabled.
    """
    with warnings_hidden():  # the list shows them
        manager = plugins()
        specs = manager.backends()
        for ask in (
            manager.indexers,
            manager.query_engines,
            manager.object_types,
            manager.cli_commands,
            manager.bench_workloads,
        ):
            ask()  # any hook of a plug-in may be broken
    found = [_backend(specs[name]) for name in sorted(specs)]
    broken = [{"name": plugin.name, "error": plugin.error} for plugin in manager.broken]
    disabled = sorted(manager.disabled)
    if as_json:
        print_json({"backends": found, "broken": broken, "disabled": disabled})
        return
    print_table(_BACKENDS, [_cells(each) for each in found])
    options = [_option_cells(each["name"], option) for each in found for option in each["options"]]
    if options:
        click.echo()
        print_table(_OPTIONS, options)
    lines = [f"{each['name']}: {each['error']}" for each in found if each["error"]]
    lines += [f"plug-in {each['name']!r} is broken: {each['error']}" for each in broken]
    lines += [f"plug-in {name!r} is disabled by AIMSTORE_DISABLED_PLUGINS" for name in disabled]
    if lines:
        click.echo("\n" + "\n".join(lines))


def _backend(spec: BackendSpec) -> dict[str, Any]:
    """Describe a backend for JSON. Imports its engine, because only the import shows whether it is installed."""
    manager = plugins()
    library = spec.library or manager.distribution(spec)
    found: dict[str, Any] = {
        "name": spec.name,
        "summary": spec.summary,
        "installed": True,
        "error": "",
        "library": library,
        "version": _version(library),
        "capability": None,
        "options": [],
    }
    try:
        options = manager.load_options(spec)
        found["options"] = [asdict(each) for each in options.describe()] if hasattr(options, "describe") else []
        capability = getattr(manager.load(spec), "capability", None)
        found["capability"] = None if capability is None else asdict(capability)
    except PluginError as error:
        found |= {"installed": False, "error": str(error)}
    return found


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution) if distribution else ""
    except metadata.PackageNotFoundError:
        return ""


def _cells(backend: dict[str, Any]) -> list[str]:
    capability = backend["capability"] or {}
    words = [name.replace("_", " ") for name, value in capability.items() if value is True]
    if capability.get("max_key_size") is not None:
        words.append(f"keys to {capability['max_key_size']} bytes")
    return [
        backend["name"],
        "yes" if backend["installed"] else "no",
        f"{backend['library']} {backend['version']}" if backend["version"] else "-",
        ", ".join(words) or "-",
        backend["summary"],
    ]


def _option_cells(backend: str, option: dict[str, Any]) -> list[str]:
    return [backend, option["name"], str(option["default"]), option["takes"]]
