"""What `import aimstore` costs: no engine, no heavy library, no look for plug-ins."""

from __future__ import annotations

import subprocess
import sys

from aimstore.plugins import plugins

HEAVY = {"RestrictedPython", "alembic", "click", "importlib.metadata", "matplotlib", "numpy", "pandas", "PIL"}
HEAVY |= {"plotly", "rich", "sqlalchemy", "tomlkit"}

IMPORTED = """
import sys
before = set(sys.modules)
import aimstore
from aimstore import Audio, Distribution, Figure, Image, Repo, Run, Text
from aimstore.plugins import plugins
assert plugins.cache_info().currsize == 0
print(*set(sys.modules) - before)
"""


LOOKED_UP = """
import sys
from aimstore.plugins import plugins
for spec in plugins().backends().values():
    plugins().load_options(spec)
print(*sys.modules)
"""


def loaded_by(program: str) -> set[str]:
    """The modules whose names it prints, and the packages they are of."""
    names = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    return {*names, *(name.partition(".")[0] for name in names)}


def test_importing_loads_no_engine_and_nothing_heavy() -> None:
    loaded = loaded_by(IMPORTED)
    assert "aimstore.repo" in loaded
    assert loaded & (HEAVY | {"aimstore_lmdb", "aimstore_rocksdb", "lmdb", "rocksdict"}) == set()


def test_looking_engines_up_with_their_options_loads_none() -> None:
    libraries = {spec.library for spec in plugins().backends().values()} - {""}
    assert libraries >= {"lmdb", "rocksdict"}
    loaded = loaded_by(LOOKED_UP)
    assert "aimstore_lmdb.config" in loaded
    assert loaded & libraries == set()
