"""A run held for writing, and the order of the steps by which it begins and ends.

Begin: lock → markers → row in the metadata database → containers. End: flush → index commit → markers off → unlock. Whatever a
crash leaves behind is recognised by the markers, and by nobody holding the lock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aimstore.abc import Backend, Container, Indexer, Lock, Mode, WriteBatch
from aimstore.encoding.records import encode_record
from aimstore.errors import AimstoreError, ClosedError, LockedError, RunNotFoundError
from aimstore.forking import track_forks
from aimstore.lifecycle import shield, unwatch, watch
from aimstore.metadata import RunProperties
from aimstore.plugins import plugins
from aimstore.sequences.drainer import process_drainer
from aimstore.storage.layout import DELETED_KEY, property_key, read_properties
from aimstore.types import META_PREFIX, meta_path, seqs_path

if TYPE_CHECKING:
    from aimstore.metadata.store import MetadataStore
    from aimstore.sequences.writer import SequenceWriter

logger = logging.getLogger("aimstore")

MIRRORED = ("name", "experiment", "description", "archived", "tags", "created_at", "finalized_at")
"""Structured properties that the meta container repeats, so that the metadata database can be rebuilt."""

PATIENCE = 20.0
"""Seconds to wait for a run that is held for care, by indexing perhaps, before it is refused as one that is written."""

CLOSED = "is closed; open it again with Run(run_hash=…) to go on"


class Parts:
    """What a repository is put together from.

    Attributes:
        path: the `.aim` directory, shown in messages and given to plug-ins.
        backend, indexer: of the configured kinds.
    """

    def __init__(
        self, path: str, backend: Backend, indexer: Indexer, open_database: Callable[[], MetadataStore]
    ) -> None:
        self.path = path
        self.backend = backend
        self.indexer = indexer
        self._open_database = open_database

    @cached_property
    def database(self) -> MetadataStore:
        """The metadata database; its library is loaded on first use, which takes as long as all the rest together."""
        return self._open_database()

    def close(self) -> None:
        """Release what is open for reading; it is opened again when a run that is being written needs it."""
        self.indexer.close()
        if "database" in vars(self):
            vars(self).pop("database").close()
        self.backend.close()


class RunSession:
    """Holds a run's lock, its containers and the writer of its sequences, from `open` to `close`.

    A process that ends closes its sessions first. In a forked child a session is closed, and what it held stays the parent's.
    """

    lock: Lock
    meta: Container
    seqs: Container
    writer: SequenceWriter

    def __init__(self, parts: Parts, run: str, *, brief: bool = False) -> None:
        """`brief`: the run is only taken care of and soon released, so that who wants to write it waits."""
        self.parts = parts
        self.run = run
        self._brief = brief
        self.closed: str | None = "is not open yet"
        track_forks(self)

    def begin(self, created: RunProperties | None = None) -> None:
        """Open the run for writing.

        Args:
            created: the properties of a new run; None resumes one that exists.

        Raises:
            LockedError: somebody else writes it.
            RunNotFoundError: there is no such run.
        """
        with shield, ExitStack() as undo:
            watch(self)  # before the first step, so that a signal leaves nothing half begun
            undo.callback(unwatch, self)
            self._begin(created, undo)
            undo.pop_all()
            self.closed = None

    def _begin(self, created: RunProperties | None, undo: ExitStack) -> None:
        from aimstore.sequences.writer import SequenceWriter  # loads NumPy

        backend, meta, seqs = self.parts.backend, meta_path(self.run), seqs_path(self.run)
        self.lock = undo.enter_context(lock_run(backend, self.run, brief=self._brief))
        if created is None and not backend.exists(meta):
            raise RunNotFoundError(f"no run {self.run} in {self.parts.path}")
        if created is not None or meta not in backend.marked(META_PREFIX):
            undo.callback(unmark, self.parts, self.run)
        backend.mark(meta)
        backend.mark(seqs)
        if created is not None:
            undo.callback(self._forget)
            self.parts.database.create_run(
                self.run,
                name=created.name,
                experiment=created.experiment,
                description=created.description,
                created_at=created.created_at,
                tags=created.tags,
            )
        self.meta = undo.enter_context(backend.open(meta, Mode.WRITE, lock=self.lock))
        if self.meta.exists(DELETED_KEY):
            raise RunNotFoundError(f"run {self.run} in {self.parts.path} is being deleted")
        self.seqs = undo.enter_context(backend.open(seqs, Mode.WRITE))
        unclean = created is None and self._unclean()
        self.mirror(created)
        if created is None:
            self.meta.flush(sync=True)  # before any record: a crash of the machine must not bring back the noted end
        self.writer = SequenceWriter(self.run, self.meta, self.seqs, recover=unclean)
        process_drainer.start(self.writer)

    def _forget(self) -> None:
        """Remove what a run that could not begin has left."""
        self.parts.backend.delete(seqs_path(self.run))
        self.parts.backend.delete(meta_path(self.run))
        with suppress(AimstoreError):  # what failed may well be the database
            self.parts.database.delete_run(self.run)

    def _unclean(self) -> bool:
        """Whether the last process to write the run did not end it; the end leaves a time in the meta container."""
        return not self.meta.exists(property_key("finalized_at"))

    def mirror(self, properties: RunProperties | None) -> None:
        """Repeat `properties` in the meta container; None only notes that the run is being written."""
        batch = WriteBatch()
        if properties is None:
            batch.delete(property_key("finalized_at"))
        else:
            put_properties(batch, properties)
        self.meta.write(batch)

    def check(self) -> None:
        """Return if the run is open here; raises `ClosedError`."""
        if self.closed is not None:
            raise ClosedError(f"run {self.run} {self.closed}")

    def flush(self, *, sync: bool = False) -> None:
        """See `Run.flush`."""
        self.check()
        self.writer.flush(sync=sync)

    def close(self) -> None:
        """Finalize the run. Raises what keeps its records from being written; the run is then still open.

        An index that stays busy, or a metadata database that cannot be written, costs nothing but time: the progress
        markers stay, and the next `reindex` does what is left.
        """
        with shield:
            if self.closed is not None:
                return
            self.finish()
            indexed = self._index()
            try:
                self.close_containers()
            finally:
                self.release(indexed=indexed)
        if indexed:
            plugins().notify("aimstore_run_finalized", run=self.run, repo=self.parts.path)
            plugins().notify("aimstore_run_indexed", run=self.run, repo=self.parts.path)

    def finish(self) -> None:
        """First step of the end: everything is written, and on the disk."""
        self.writer.close()
        self.seqs.flush(sync=True)  # before the end is noted: whoever reads that trusts the summaries
        self._note_end(time.time_ns() // 1000)
        self.meta.flush(sync=True)

    def close_containers(self) -> None:
        """Step after the record was handed to the indexer: only the locks are held now."""
        self.closed = CLOSED
        process_drainer.stop(self.writer)
        try:
            self.seqs.close()
        finally:
            self.meta.close()

    def release(self, *, indexed: bool) -> None:
        """Last step. `indexed`: the index has committed the record, so the progress markers go."""
        try:
            if indexed:
                unmark(self.parts, self.run)
        finally:
            self.lock.release()
            unwatch(self)  # after the last step, so that a signal leaves nothing half ended

    def _note_end(self, finalized: int) -> None:
        properties = replace(mirrored_properties(self.run, read_properties(self.meta)), finalized_at=finalized)
        try:
            row = self.parts.database.finish_run(self.run, finalized)
            if row.created_at is None and properties.created_at is not None:  # the database lost it: this row is new
                self.parts.database.upsert_runs([properties])
            else:
                properties = row
        except AimstoreError as error:
            logger.warning("run %s: the metadata database does not know that it has ended: %s", self.run, error)
        self.mirror(properties)

    def _index(self) -> bool:
        try:
            self.parts.indexer.index(self.run, self.meta)
        except AimstoreError as error:
            logger.warning("run %s is complete but not indexed yet (`aimstore reindex` does it): %s", self.run, error)
            return False
        return True

    def reopen(self) -> None:
        """Go on with a run that was closed because its process seemed to end; one that could not be closed goes on as it is."""
        if self.closed == CLOSED:
            self.begin()

    def _after_fork_in_child(self) -> None:
        if self.closed is None:
            self.closed = "was opened by the parent process; a forked child opens a run of its own"
            self.writer.abandon()


def lock_run(backend: Backend, run: str, *, brief: bool = False, patience: float = PATIENCE) -> Lock:
    """The lock of a run, waited for up to `patience` seconds where somebody has it for care only.

    Raises:
        LockedError: somebody writes the run; at once.
    """
    path = meta_path(run)
    deadline = time.monotonic() + patience
    while True:
        try:
            return backend.lock(path, brief=brief)
        except LockedError as error:
            passing = error.owner is None or error.owner.brief
            if not passing or time.monotonic() >= deadline:
                raise
        with suppress(LockedError):
            return backend.lock(path, timeout=0.05, brief=brief)


def mirrored_properties(run: str, mirrored: Mapping[str, Any]) -> RunProperties:
    """The structured properties as the run's own container repeats them, see `read_properties`."""
    known = {name: value for name, value in mirrored.items() if name in MIRRORED}
    return RunProperties(run, **{**known, "tags": tuple(known.get("tags", ()))})


def marked_runs(backend: Backend) -> list[str]:
    """The runs that have a progress marker, sorted."""
    return [path.removeprefix(META_PREFIX) for path in backend.marked(META_PREFIX)]


def unmark(parts: Parts, run: str) -> None:
    """Remove the progress markers of a run; its own container goes last, for it decides what queries see."""
    parts.backend.unmark(seqs_path(run))
    parts.backend.unmark(meta_path(run))


def put_properties(batch: WriteBatch, properties: RunProperties) -> None:
    """Write the mirror of `properties`; what is None is absent."""
    for name in MIRRORED:
        value = getattr(properties, name)
        if value is None:
            batch.delete(property_key(name))
        else:
            batch.put(property_key(name), encode_record(value))
