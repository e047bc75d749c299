"""Sequences: how the values that a run tracks are written, stored and read.

This room owns the life of a point. `writer` takes it from `track`; `pending`, `series` and `tail` keep it in memory;
`store` writes it into chunks; `outline` and `summary` describe the stored points; `reader` and `sequence` return them.
It imports storage, encodings, contracts and the rooms below them, but neither index, query nor the metadata database.

It offers:

- `process_drainer`, which drains the writers of this process, and the limits of writing (below);
- `writer.SequenceWriter`, `sequence.Sequence` and `sequence.Metric`, and `summary.recompute_summary`, in modules that
  load NumPy. Importing this package does not load NumPy.
"""

from aimstore.sequences.drainer import process_drainer
from aimstore.sequences.limits import DRAIN_LIMITS, WRITER_LIMITS, DrainLimits, OutlineSizes, WriterLimits

__all__ = ["DRAIN_LIMITS", "WRITER_LIMITS", "DrainLimits", "OutlineSizes", "WriterLimits", "process_drainer"]
