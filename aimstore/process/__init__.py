"""What the life of a process means for what it has open: forks, signals, and its end.

Owns the registries of objects that must hear of a fork (`forking`) or of the end of the process (`lifecycle`), and
`shield`, which holds signals back. Imports errors only; every floor above may use it.
"""

from aimstore.process.forking import ForkAware, keep_alive, track_forks
from aimstore.process.lifecycle import Closable, is_ending, shield, unwatch, watch

__all__ = ["Closable", "ForkAware", "is_ending", "keep_alive", "shield", "track_forks", "unwatch", "watch"]
