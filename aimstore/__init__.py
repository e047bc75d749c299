"""A storage framework for experiment data: `Repo` and `Run` for those who log and query, the rest for those who extend it.

Importing the package opens and scans nothing; engines, NumPy and SQLAlchemy are loaded when they are needed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aimstore.objects import Audio, Distribution, Figure, Image, Text
    from aimstore.repo import Repo
    from aimstore.run import Run

__all__ = ["Audio", "Distribution", "Figure", "Image", "Repo", "Run", "Text"]
__version__ = "0.1.0"

_MODULES = {"Repo": "aimstore.repo", "Run": "aimstore.run"}


def __getattr__(name: str) -> object:
    """What `__all__` names, imported when it is first named, so that `aimstore --help` need not wait for them."""
    if name in __all__:
        from importlib import import_module

        return globals().setdefault(name, getattr(import_module(_MODULES.get(name, "aimstore.objects")), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
