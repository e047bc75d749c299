"""The index: what queries need of all finalized runs, in one container, with postings to find runs by value.

This room owns the container `meta/index`: the entry of each run (`entry`), the postings that find runs by their facts
(`postings`, `ordered`, `candidates`), and the writing (`writer`). It imports storage, encodings, contracts and the
rooms below them, but neither sequences, query nor the metadata database.

It offers:

- `IndexLimits`, how long to wait for the index and to keep it open;
- `indexer.ContainerIndexer`, which the repository loads as a plug-in;
- `entry.IndexEntry` and `entry.LazyLeaf`, an entry decoded as far as needed, and `entry.pack`, which makes an entry.
"""

from aimstore.index.limits import INDEX_LIMITS, IndexLimits

__all__ = ["INDEX_LIMITS", "IndexLimits"]
