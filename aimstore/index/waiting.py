"""Finalized runs that wait for the index: the holder of the index lock indexes them.

A process that finalizes a run and does not get the index lock at once sets a marker, `meta/waiting/<run>.<token>`. The
holder of the lock reads the meta containers of the waiting runs, commits their entries with its own, and removes
exactly the markers that it read. A waiting process whose marker is gone knows that its run is indexed, durably.

The token is random, so a marker that a killed process left behind confirms nothing for a later process. The holder
reads under the index lock: if the run is resumed or deleted after that, a later commit follows.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

from aimstore.abc import Backend
from aimstore.errors import AimstoreError
from aimstore.index.entry import PackedEntry, pack_entry
from aimstore.storage.layout import DELETED_KEY, property_key
from aimstore.types import is_run_hash, meta_path

logger = logging.getLogger("aimstore")

_PREFIX: Final = "meta/waiting/"
_ENDED: Final = property_key("finalized_at")


class WaitingRuns:
    """The runs of a repository that are finalized and wait for the index."""

    def __init__(self, backend: Backend, limit: int) -> None:
        """`limit`: maximum number of runs that one commit indexes."""
        self._backend = backend
        self._limit = limit

    @contextmanager
    def announce(self, run_hash: str) -> Iterator[str]:
        """Mark a finalized run as waiting during the `with` block; yields the marker."""
        marker = f"{_PREFIX}{run_hash}.{secrets.token_hex(4)}"
        self._backend.mark(marker)
        try:
            yield marker
        finally:
            self._backend.unmark(marker)

    def is_indexed(self, marker: str) -> bool:
        """Whether the holder of the index lock has indexed the run and removed the marker."""
        return marker not in self._backend.marked(_PREFIX)

    def take(self, but: Collection[str]) -> tuple[dict[str, PackedEntry], list[str]]:
        """The entries of waiting runs, by run, and the markers to `confirm` once the entries are durable.

        Args:
            but: runs that the caller indexes itself.
        """
        entries: dict[str, PackedEntry] = {}
        markers: list[str] = []
        for marker in self._backend.marked(_PREFIX)[: self._limit]:
            run_hash = marker.removeprefix(_PREFIX).partition(".")[0]
            if run_hash in but or not is_run_hash(run_hash):
                continue
            try:
                entry = self._entry_of(run_hash)
            except AimstoreError as error:
                logger.debug("run %s waits for the index and cannot be read: %s", run_hash, error)
                continue
            markers.append(marker)
            if entry is not None:
                entries[run_hash] = entry
        return entries, markers

    def confirm(self, markers: Collection[str]) -> None:
        """Remove the markers of runs whose entries are durable in the index."""
        for marker in markers:
            self._backend.unmark(marker)

    def _entry_of(self, run_hash: str) -> PackedEntry | None:
        """The entry of a finalized run; None for a run that was resumed or deleted after its process died."""
        try:
            with self._backend.open(meta_path(run_hash)) as meta:
                is_finished = meta.exists(_ENDED) and not meta.exists(DELETED_KEY)
                return pack_entry(run_hash, meta) if is_finished else None
        except FileNotFoundError:
            return None
