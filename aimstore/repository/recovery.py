"""Finalizing a run whose process died: the summaries of its sequences are computed anew from what was written."""

from __future__ import annotations

from aimstore.abc import Container, WriteBatch
from aimstore.metadata import RunProperties
from aimstore.repository.properties import put_properties
from aimstore.storage.layout import NUMBER, SequenceInfo, Summary, encode_summary, read_sequences, summary_key


def recover(meta: Container, seqs: Container, properties: RunProperties) -> None:
    """Write the summaries of everything that was tracked, and the end of the run, in one batch. All of it is synced.

    Args:
        meta, seqs: the run's containers, open for writing.
        properties: of the run, with the time of its end.

    Raises:
        CorruptionError: a chunk is damaged or missing.
    """
    batch = WriteBatch()
    for info in read_sequences(meta):
        summary = _recomputed(seqs, info)
        if summary is None:
            batch.delete(summary_key(info.id))
        elif summary != info.summary:
            batch.put(summary_key(info.id), encode_summary(summary))
    put_properties(batch, properties)
    seqs.flush(sync=True)  # before the end is noted, because whoever reads the end trusts the summaries
    meta.write(batch)
    meta.flush(sync=True)


def _recomputed(seqs: Container, info: SequenceInfo) -> Summary | None:
    from aimstore.sequences.reader import read_records  # loads NumPy
    from aimstore.sequences.summary import summarize

    columns = read_records(seqs, info.id, records=0 if info.summary is None else info.summary.records)
    return None if columns is None else summarize(columns, number=info.kind == NUMBER)
