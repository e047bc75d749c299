"""A storage framework for experiment data: `Repo` and `Run` for those who log and query, the rest for those who extend it.

Importing the package opens and scans nothing; engines, NumPy and SQLAlchemy are loaded when they are needed.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aimstore.repo import Repo
    from aimstore.run import Run

__all__ = ["Repo", "Run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`Repo` and `Run`, imported when they are first named, so that `aimstore --help` need not wait for them."""
    if name in __all__:
        from importlib import import_module

        return globals().setdefault(name, getattr(import_module(f"aimstore.{name.lower()}"), name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
