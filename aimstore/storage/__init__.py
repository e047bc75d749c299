"""Storage without an engine: what engines build on, and the tree and layout that lie above any container.

The room owns:

- `FilesystemBackend` (`filesystem`): the layout of a repository in a directory, for every embedded engine;
- `EmbeddedContainer` (`embedded`): a container with a directory, options and limits;
- `MemoryBackend` and `MemoryContainer` (`memory`): containers in memory;
- `WrappingContainer` (`wrapper`) and `PrefixContainer` (`prefix`): containers in front of another one;
- `storage_error` (`locks`): errors of the operating system as `StorageError`.

These names are public, for engines and tests. The other modules are internal: `layout` (where things lie in a run's
containers), `tree` and `within` (nested values over a container), `pool` (open readers), `locks` (lock files).

It may import `aimstore.abc`, `encoding`, `plugins` and the floors below them; never an engine, an index or a query.
"""

from aimstore.storage.embedded import EmbeddedContainer
from aimstore.storage.filesystem import ContainerFiles, FilesystemBackend
from aimstore.storage.locks import storage_error
from aimstore.storage.memory import MemoryBackend, MemoryContainer
from aimstore.storage.prefix import PrefixContainer
from aimstore.storage.wrapper import WrappingContainer

__all__ = [
    "ContainerFiles",
    "EmbeddedContainer",
    "FilesystemBackend",
    "MemoryBackend",
    "MemoryContainer",
    "PrefixContainer",
    "WrappingContainer",
    "storage_error",
]
