"""`RunSession`: a run held for writing, and the order of the steps by which it begins and ends.

Begin: lock → markers → row in the metadata database → containers → drain.
End: flush → end stored → index → containers closed → markers removed → unlock.
After a crash at any step, the markers and the free lock show what is left to do.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from aimstore.abc import OPEN, Container, Lock, Mode, State
from aimstore.encoding.moments import now_microseconds
from aimstore.errors import AimstoreError, RunNotFoundError
from aimstore.metadata import RunProperties
from aimstore.plugins import plugins
from aimstore.process import shield, track_forks, unwatch, watch
from aimstore.repository.context import RepositoryContext
from aimstore.repository.properties import mirrored_properties, write_properties
from aimstore.repository.runs import lock_run, mark, marked_runs, unmark
from aimstore.sequences.drainer import process_drainer
from aimstore.storage.layout import DELETED_KEY, property_key, read_properties
from aimstore.types import meta_path, seqs_path

if TYPE_CHECKING:
    from aimstore.sequences.writer import SequenceWriter

logger = logging.getLogger("aimstore")

_RESUME: Final = "open it again with Run(run_hash=…) to go on"


class RunSession:
    """Holds a run's lock, its containers and the writer of its sequences, from `begin` to `close`.

    A process that ends closes its sessions first. In a forked child the state of a session becomes `State.FORKED`; the
    parent keeps everything that the session holds.

    Attributes:
        context: the opened parts of the repository.
        run_hash: the run.
        state: `OPEN` between `begin` and `close`.
        lock, meta, seqs, writer: the resources of an open session.
    """

    lock: Lock
    meta: Container
    seqs: Container
    writer: SequenceWriter

    def __init__(self, context: RepositoryContext, run_hash: str) -> None:
        self.context = context
        self.run_hash = run_hash
        self.state = State.NOT_OPENED
        track_forks(self)

    def check(self) -> None:
        """Return if the session is open; else raise `ClosedError`."""
        if self.state is not OPEN:
            raise self.state.error(f"run {self.run_hash}", _RESUME if self.state is State.CLOSED else "")

    # Begin

    def begin(self, created: RunProperties | None = None) -> None:
        """Open the run for writing.

        Args:
            created: the properties of a new run; None resumes an existing run.

        Raises:
            LockedError: another process or thread is writing the run.
            RunNotFoundError: the run does not exist.
        """
        with shield, ExitStack() as undo:
            watch(self)  # before the first step, so that a signal leaves no step half done
            undo.callback(unwatch, self)
            self._take(created, undo)
            self._open(created, undo)
            process_drainer.start(self.writer)
            undo.pop_all()
            self.state = OPEN

    def _take(self, created: RunProperties | None, undo: ExitStack) -> None:
        """Lock and mark the run, and add the row of a new one."""
        context, backend = self.context, self.context.backend
        self.lock = undo.enter_context(lock_run(context, self.run_hash))
        if created is None and not backend.exists(meta_path(self.run_hash)):
            raise RunNotFoundError(f"no run {self.run_hash} in {context.path}")
        if created is not None or self.run_hash not in marked_runs(backend):
            undo.callback(unmark, backend, self.run_hash)
        mark(backend, self.run_hash)
        if created is not None:
            undo.callback(self._forget)
            context.database.create_run(
                self.run_hash,
                name=created.name,
                experiment=created.experiment,
                description=created.description,
                created_at=created.created_at,
                tags=created.tags,
            )

    def _open(self, created: RunProperties | None, undo: ExitStack) -> None:
        """Open the containers, mark the run in them as being written, and create the writer."""
        from aimstore.sequences.writer import SequenceWriter  # loads NumPy

        backend = self.context.backend
        self.meta = undo.enter_context(backend.open(meta_path(self.run_hash), Mode.WRITE, lock=self.lock))
        if self.meta.exists(DELETED_KEY):
            raise RunNotFoundError(f"run {self.run_hash} in {self.context.path} is being deleted")
        self.seqs = undo.enter_context(backend.open(seqs_path(self.run_hash), Mode.WRITE))
        if created is None:
            ended = self.meta.exists(property_key("finalized_at"))  # otherwise the last process that wrote the run died
            self.meta.delete(property_key("finalized_at"))
            self.meta.flush(sync=True)  # before any point, so that a machine crash cannot restore the end
        else:
            ended = True
            self.mirror(created)
        self.writer = SequenceWriter(self.run_hash, self.meta, self.seqs, recover=not ended)

    def _forget(self) -> None:
        """Remove what a run that could not begin has left behind."""
        self.context.backend.delete(seqs_path(self.run_hash))
        self.context.backend.delete(meta_path(self.run_hash))
        with suppress(AimstoreError):  # the database may be the cause of the failure
            self.context.database.delete_run(self.run_hash)

    # While it is open

    def mirror(self, properties: RunProperties) -> None:
        """Mirror `properties` in the meta container."""
        write_properties(self.meta, properties)

    def flush(self, *, sync: bool = False) -> None:
        """See `Run.flush`."""
        self.check()
        self.writer.flush(sync=sync)

    # End

    def close(self) -> None:
        """Finalize the run. Raises the error that keeps its points from being written; the run then stays open.

        An index that stays busy, or a metadata database that cannot be written, loses nothing: the markers stay until
        the index and the database both know of the end, and the next `reindex` does the rest.
        """
        with shield:
            if self.state is not OPEN:
                return
            self.writer.close()
            self.seqs.flush(sync=True)  # before the end is noted, because whoever reads the end trusts the summaries
            known = self._note_end()
            self.meta.flush(sync=True)
            indexed = self._index()
            try:
                self._close_containers()
            finally:
                self._release(is_settled=known and indexed)
        if indexed:
            plugins().notify("aimstore_run_finalized", run_hash=self.run_hash, repo=self.context.path)
            plugins().notify("aimstore_run_indexed", run_hash=self.run_hash, repo=self.context.path)

    def _note_end(self) -> bool:
        """Note the end of the run in both homes of its properties; whether the metadata database took it."""
        now = now_microseconds()
        mirrored = mirrored_properties(self.run_hash, read_properties(self.meta))
        try:
            properties = self.context.database.finish_run(self.run_hash, now, restore=lambda: mirrored)
        except AimstoreError as error:
            logger.warning(
                "run %s has ended, but the metadata database does not know it; `aimstore reindex` tells it: %s",
                self.run_hash,
                error,
            )
            self.mirror(replace(mirrored, finalized_at=now))
            return False
        self.mirror(properties)
        return True

    def _index(self) -> bool:
        try:
            self.context.indexer.index(self.run_hash, self.meta)
        except AimstoreError as error:
            logger.warning(
                "run %s is complete but not indexed yet; `aimstore reindex` indexes it: %s", self.run_hash, error
            )
            return False
        return True

    def _close_containers(self) -> None:
        self.state = State.CLOSED
        process_drainer.stop(self.writer)
        try:
            self.seqs.close()
        finally:
            self.meta.close()

    def _release(self, *, is_settled: bool) -> None:
        """Give the run up. `is_settled`: the index and the metadata database know of the end, so the markers go."""
        try:
            if is_settled:
                unmark(self.context.backend, self.run_hash)
        finally:
            self.lock.release()
            unwatch(self)  # after the last step, so that a signal leaves no step half done

    def reopen(self) -> None:
        """Open the run again after it was closed because its process seemed to end."""
        if self.state is State.CLOSED:  # a run that could not be closed is still open
            self.begin()

    def _after_fork_in_child(self) -> None:
        if self.state is OPEN:
            self.state = State.FORKED
            self.writer.abandon()
