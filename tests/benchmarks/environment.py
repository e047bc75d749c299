"""Where it is measured: Aim's own virtual environment, and what the figures depend on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

AIM = "3.29.1"
CACHE = Path("~/.cache/aimstore-benchmarks")


def aim_python(venv: Path) -> Path:
    """The Python of a virtual environment that holds Aim; made where there is none, which takes a minute and the network."""
    venv = venv.expanduser().absolute()
    python = venv / "bin" / "python"
    if not (venv / "complete").exists():
        base = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
        if base is None:
            raise SystemExit(
                f"Aim {AIM} needs Python 3.11 and there is no python3.11 on the PATH: install one, name a Python that has Aim "
                f"with --aim-python, or leave Aim out with --no-aim"
            )
        print(f"making an environment with Aim {AIM} in {venv}", file=sys.stderr)
        subprocess.run([base, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"aim=={AIM}"], check=True)
        (venv / "complete").touch()
    return python


def describe(pythons: dict[str, Path], places: dict[str, Path]) -> dict[str, Any]:
    """Processor, system, versions of each contestant, and the file systems."""
    packages = {"aimstore": ("aimstore", "rocksdict", "numpy"), "aim": ("aim", "aimrocks", "numpy")}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "pythons": {name: _versions(python, packages[name]) for name, python in pythons.items()},
        "places": {name: {"path": os.fspath(path), "filesystem": _filesystem(path)} for name, path in places.items()},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    fields = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line] if info.exists() else []
    names = [value.strip() for key, value in fields if key.strip() == "model name"]
    return names[0] if names else platform.processor() or platform.machine()


def _versions(python: Path, packages: tuple[str, ...]) -> dict[str, str]:
    code = (
        "import platform, sys; from importlib.metadata import version; print(platform.python_version());"
        "[print(version(name)) for name in sys.argv[1:]]"
    )
    ran = subprocess.run([python, "-c", code, *packages], check=True, capture_output=True, text=True)
    return dict(zip(("python", *packages), ran.stdout.split(), strict=True))


def _filesystem(path: Path) -> str:
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    entries = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    above = [(len(point), kind) for point, kind in entries if path.resolve().is_relative_to(point)]
    return max(above)[1] if above else "unknown"
