"""A storage framework for experiment data: `Repo` and `Run` for those who log and query, the rest for those who extend it.

Importing the package opens and scans nothing; engines, NumPy and SQLAlchemy are loaded when they are needed.
"""

from aimstore.repo import Repo
from aimstore.run import Run

__all__ = ["Repo", "Run"]
__version__ = "0.1.0"
