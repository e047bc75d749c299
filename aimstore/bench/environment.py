"""The environment of a measurement: processor, system, file systems, versions. It has neither host names nor paths."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

LIBRARIES: Final = ("aimstore", "rocksdict", "lmdb", "numpy", "sqlalchemy", "msgpack", "restrictedpython")
"""Distributions whose versions are noted where they are installed."""


def describe(folders: Iterable[Path] = ()) -> dict[str, Any]:
    """The environment of this process.

    Args:
        folders: of repositories, whose file systems are noted; none is the temporary folder.
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "filesystems": sorted({filesystem(folder) for folder in folders or (Path(tempfile.gettempdir()),)}),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": dict(_versions()),
    }


def summary(environment: dict[str, Any]) -> str:
    """The environment in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in environment.get("versions", {}).items())
    known = environment.get
    return (
        f"{known('processor')}, {known('cores')} cores, {known('memory_gb')} GB; {known('system')}; "
        f"{', '.join(known('filesystems', []))}; {known('python')}; {versions}"
    )


def _versions() -> Iterable[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    fields = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line] if info.exists() else []
    names = [value.strip() for key, value in fields if key.strip() == "model name"]
    return names[0] if names else platform.processor() or platform.machine()


def filesystem(path: Path) -> str:
    """Kind of the file system that holds a path, such as "ext4"."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    entries = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    above = [(len(point), kind) for point, kind in entries if path.resolve().is_relative_to(point)]
    return max(above)[1] if above else "unknown"
