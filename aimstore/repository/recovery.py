"""Finalizes a run whose process died: recomputes the summaries of its sequences from the stored points."""

from __future__ import annotations

from aimstore.abc import Container, WriteBatch
from aimstore.metadata import RunProperties
from aimstore.repository.properties import put_properties
from aimstore.storage.layout import NUMBER, encode_summary, read_sequences, summary_key


def recover(meta: Container, seqs: Container, properties: RunProperties) -> None:
    """Write the summaries of all sequences, and the end of the run, in one synced batch.

    Args:
        meta, seqs: the run's containers, open for writing.
        properties: the run's properties, with the time of its end.

    Raises:
        CorruptionError: a chunk is damaged or missing.
    """
    from aimstore.sequences.summary import recompute_summary  # loads NumPy

    batch = WriteBatch()
    for info in read_sequences(meta):
        points = 0 if info.summary is None else info.summary.points
        summary = recompute_summary(seqs, info.id, is_numeric=info.kind == NUMBER, points=points)
        if summary is None:
            batch.delete(summary_key(info.id))
        elif summary != info.summary:
            batch.put(summary_key(info.id), encode_summary(summary))
    put_properties(batch, properties)
    seqs.flush(sync=True)  # before the end is stored, because readers of the end trust the summaries
    meta.write(batch)
    meta.flush(sync=True)
