"""Virtual environments for other tools: made once, kept, and reused."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

CACHE: Final = Path("~/.cache/aimstore/bench")
_COMPLETE: Final = "complete"
"""Name of a file that marks an environment into which everything was installed."""


class NotInstalledError(Exception):
    """A tool cannot be installed here; the message is the reason."""


def python_of(folder: Path, requirements: Sequence[str], python: str | None, say: Callable[[str], None]) -> Path:
    """The Python of an environment with these requirements. Makes the environment where there is none, which needs the network.

    Args:
        folder: of the environment.
        requirements: as pip takes them.
        python: the version of Python that it needs, such as "3.11"; None is any.
        say: called with a message before what takes long.

    Raises:
        NotInstalledError: there is no such Python, or pip failed.
    """
    made = folder / "bin" / "python"
    if (folder / _COMPLETE).exists():
        return made
    base = _interpreter(python)
    say(f"installing {' '.join(requirements)} into {folder}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _run([base, "-m", "venv", "--clear", folder])
        _run([made, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements])
        (folder / _COMPLETE).touch()
    except OSError as error:
        raise NotInstalledError(f"no environment could be made in {folder}: {error}") from error
    return made


def versions_of(python: Path, distributions: Sequence[str]) -> dict[str, str]:
    """The version of Python and of distributions in an environment.

    Raises:
        NotInstalledError: it cannot be run, or lacks one of them.
    """
    code = (
        "import platform, sys; from importlib.metadata import version; print(platform.python_version());"
        "[print(version(name)) for name in sys.argv[1:]]"
    )
    return dict(zip(("python", *distributions), _run([python, "-c", code, *distributions]).split(), strict=True))


def _interpreter(version: str | None) -> str:
    if version is None or version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{version}")
    if found is None:
        raise NotInstalledError(f"it needs Python {version}, and there is no python{version} on the PATH")
    return found


def _run(command: Sequence[str | Path]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NotInstalledError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        said = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        errors = [line for line in said if re.match(r"(ERROR|Error|\w*Error:)", line)] or said[-1:]
        raise NotInstalledError(errors[-1] if errors else f"exit code {done.returncode}")
    return done.stdout
