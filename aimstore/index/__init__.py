"""The index: what queries need to know of all finished runs, in one container, found by value.

This room owns the container `meta/index`: the entry of each run (`entry`), the postings that find runs by what is
known of them (`postings`, `ordered`, `candidates`), and who writes them when (`writer`). It imports storage, encodings,
contracts and what lies below them, but neither sequences, query nor the metadata database.

It offers:

- `IndexLimits`, how long the index is waited for and kept;
- `indexer.ContainerIndexer`, which the repository loads as a plug-in;
- `entry.IndexEntry` and `entry.LazyLeaf`, an entry decoded as far as needed, and `entry.pack`, which makes it.
"""

from aimstore.index.limits import INDEX_LIMITS, IndexLimits

__all__ = ["INDEX_LIMITS", "IndexLimits"]
