"""`Run`: one training job, written or read. Long because it is one public class, most of it docstrings; the work is elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import EllipsisType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from aimstore.abc import Container
from aimstore.errors import AimstoreError, ClosedError, EncodingError, ReadOnlyError, RunNotFoundError
from aimstore.lifecycle import shield
from aimstore.metadata import RunProperties, default_properties, from_microseconds
from aimstore.plugins import plugins
from aimstore.plugins.objects import storable
from aimstore.sequences.drainer import close_later
from aimstore.sequences.values import matching
from aimstore.session import RunSession, mirrored_properties
from aimstore.storage.layout import NUMBER, SequenceInfo, attributes, read_properties
from aimstore.types import Context, check_run_hash, new_run_hash, seqs_path

if TYPE_CHECKING:
    from aimstore.repo import Repo
    from aimstore.selection import RunSource
    from aimstore.sequences.sequence import Metric, Sequence

Place: TypeAlias = str | int | tuple[str | int, ...] | EllipsisType
"""Where something lies in a run's tree: a key, a path of keys, or `...` for the root."""


class Run:
    """One training job: parameters, structured properties, and sequences of tracked values.

        with Run(repo="path", experiment="baseline") as run:
            run["hparams"] = {"lr": 0.1}
            run.track(0.25, name="loss", step=0, context={"subset": "train"})

    A run is open for writing by one process at a time, from its construction to `close()`, which finalizes it: its data is
    written, its record is indexed, its lock is released. The end of the `with` block, of the interpreter, SIGTERM, and a
    SIGINT that nobody catches finalize it too, and so does dropping the last reference, a moment later. A process that is
    killed loses at most what it tracked since the last drain (25 to 50 ms); `Repo.reindex` finalizes its run.

    All methods may be called from several threads. A forked child cannot use its parent's run, and does not touch it.
    """

    _session: RunSession | None = None

    def __init__(
        self,
        run_hash: str | None = None,
        *,
        repo: Repo | str | os.PathLike[str] | None = None,
        read_only: bool = False,
        experiment: str | None = None,
        name: str | None = None,
        description: str | None = None,
        tags: Iterable[str] = (),
    ) -> None:
        """
        Args:
            run_hash: an existing run, to be resumed or read; None makes a new one.
            repo: a `Repo`; a path, where a repository is made if there is none; None for the nearest `.aim` from the working
                directory upward, or else one made here.
            read_only: do not lock or change anything.
            experiment, name, description, tags: structured properties, of a new run or set on a resumed one.

        Raises:
            InvalidRunHashError, RunNotFoundError: `run_hash` is not one, or there is no such run.
            LockedError: the run is open for writing elsewhere, with who has it since when.
            RepositoryError, ConfigError: the repository cannot be used.
        """
        from aimstore.repo import Repo  # a repository makes runs, and a run finds its repository

        if run_hash is not None:
            check_run_hash(run_hash)
        elif read_only:
            raise RunNotFoundError("a run that is only to be read needs its run_hash")
        self._repo = repo if isinstance(repo, Repo) else Repo.of(repo, create=not read_only)
        self._hash = run_hash or new_run_hash()
        self._known: RunSource | None = None
        if read_only:
            self._repo.catalog.check_exists(self._hash)
            return
        named = {"experiment": experiment, "name": name, "description": description}
        given: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
        if run_hash is None:
            now = int(datetime.now(UTC).timestamp() * 1e6)
            created = replace(default_properties(self._hash), **given)
            self._begin(replace(created, created_at=now, tags=tuple(sorted(set(tags)))))
        else:
            self._begin(None)
            try:
                self._update(finalized_at=None, **given)
                for tag in tags:
                    self.add_tag(tag)
            except BaseException:  # Ctrl-C too: nobody gets hold of this run to close it
                self.close()
                raise

    def _begin(self, created: RunProperties | None) -> None:
        session = RunSession(self._repo.parts, self._hash)
        session.begin(created)
        self._session = session
        plugins().notify("aimstore_run_opened", run=self._hash, repo=session.parts.path, resumed=created is None)

    @classmethod
    def _reading(cls, repo: Repo, run: str, known: RunSource | None = None) -> Run:
        """A run to be read, with what a query already knows of it."""
        self = cls.__new__(cls)
        self._repo = repo
        self._hash = run
        self._known = known
        return self

    # Identity and structured properties

    @property
    def hash(self) -> str:
        """24 lower-case hexadecimal digits."""
        return self._hash

    @property
    def repo(self) -> Repo:
        return self._repo

    @property
    def active(self) -> bool:
        """Whether some process has the run open for writing."""
        here = self._session is not None and self._session.closed is None
        return here or self._repo.catalog.is_active(self._hash)

    @property
    def name(self) -> str:
        return self._properties().name or ""

    @name.setter
    def name(self, value: str) -> None:
        self._update(name=value)

    @property
    def experiment(self) -> str:
        return self._properties().experiment or ""

    @experiment.setter
    def experiment(self, value: str) -> None:
        self._update(experiment=value)

    @property
    def description(self) -> str:
        return self._properties().description or ""

    @description.setter
    def description(self, value: str) -> None:
        self._update(description=value)

    @property
    def archived(self) -> bool:
        """Archived runs are left out by queries that do not ask for `run.archived`."""
        return self._properties().archived

    @archived.setter
    def archived(self, value: bool) -> None:
        self._update(archived=bool(value))

    @property
    def tags(self) -> tuple[str, ...]:
        return self._properties().tags

    def add_tag(self, tag: str) -> None:
        """Add a tag; one that the run has already is no error."""
        with shield:
            self._restore_row()
            self._repo.parts.database.add_tag(self._hash, tag)
            self._mirror()

    def remove_tag(self, tag: str) -> None:
        """Remove a tag; one that the run does not have is no error."""
        with shield:
            self._restore_row()
            self._repo.parts.database.remove_tag(self._hash, tag)
            self._mirror()

    @property
    def created_at(self) -> datetime | None:
        """When the run was made, UTC."""
        return from_microseconds(self._properties().created_at)

    @property
    def finalized_at(self) -> datetime | None:
        """When it was last finalized, UTC; None while it is being written."""
        return None if self.active else from_microseconds(self._properties().finalized_at)

    def _properties(self) -> RunProperties:
        return self._repo.catalog.properties(self._hash) if self._known is None else self._known.row

    def _update(self, **fields: Any) -> None:
        if fields:
            with shield:
                self._restore_row()
                self._repo.parts.database.update_run(self._hash, **fields)
                self._mirror()

    def _restore_row(self) -> None:
        """What the metadata database lost comes back from the run's own container, before one property of it is set."""
        if self._repo.parts.database.get_run(self._hash) is None:
            with self._meta() as meta:
                mirrored = mirrored_properties(self._hash, read_properties(meta))
            self._repo.parts.database.upsert_runs([mirrored])

    def _mirror(self) -> None:
        """Repeat the properties in the run's own container, here or by whoever has it open, at its end."""
        self._known = None  # what a query knew is out of date
        if self._session is not None and self._session.closed is None:
            self._session.mirror(self._repo.catalog.properties(self._hash))
        else:
            self._repo.mirror(self._hash)

    # The tree of parameters

    def __getitem__(self, place: Place) -> Any:
        """The value at a place, subtrees as dicts. Raises `KeyError` where there is nothing; `run[...]` is never missing."""
        path = _path(place)
        if self._known is not None:
            return self._known.record.get(path)
        with self._meta() as meta:
            return attributes(meta)[path]

    def get(self, place: Place, default: Any = None) -> Any:
        """The value at a place, or `default`."""
        try:
            return self[place]
        except KeyError:
            return default

    def __contains__(self, place: Place) -> bool:
        try:
            self[place]
        except KeyError:
            return False
        return True

    def __setitem__(self, place: Place, value: Any) -> None:
        """Replace what is at a place, atomically; dicts unfold, so that later only a part need be read or written.

        Raises:
            EncodingError: the value, or something in it, cannot be stored; the message names its path. Nothing is written.
            ReadOnlyError, ClosedError: the run is not open for writing.
        """
        self.set(place, value)

    def set(self, path: Place, value: Any, *, strict: bool = True) -> None:
        """As `run[path] = value`. Dataclasses, enumerations, paths, sets and the like are stored in their plain form.

        Args:
            strict: refuse what cannot be stored; else its repr is stored in its place.

        Raises:
            EncodingError, ReadOnlyError, ClosedError: as `run[path] = value`.
        """
        full = _path(path)
        with shield:
            tree = attributes(self._writable().meta)
            try:
                tree[full] = _root(value, full)
            except EncodingError:
                tree[full] = _root(storable(value, full, strict=strict), full)

    def __delitem__(self, place: Place) -> None:
        """Remove what is at a place. Raises `KeyError` where there is nothing."""
        with shield:
            del attributes(self._writable().meta)[_path(place)]

    # Sequences

    def track(
        self,
        value: Any,
        name: str | None = None,
        step: int | None = None,
        epoch: int | None = None,
        context: Context | None = None,
    ) -> None:
        """Add a value to the sequence of a name and a context. Returns once it is in memory; see `flush`.

        Args:
            value: a number, also as an array or list with one element; a str, bytes, array, list of objects, or anything
                else that can be stored; None, which belongs to every sequence; or, without `name`, a dict
                that gives a value for each of several names.
            name: of the sequence. All values of one sequence are of one kind.
            step: a whole number of 64 bits; None is the greatest step so far plus one, which there must be. Of several
                values at one step the last holds.
            epoch: an int, or None.
            context: tells sequences of one name apart: `{"subset": "train"}`. Keys are str.

        Raises:
            EncodingError: the value, name, step, epoch or context is not of these; nothing is tracked.
            ReadOnlyError, ClosedError: the run is not open for writing.
            StorageError: writing what was tracked before failed. It is kept and tried again; this value was not taken.
        """
        session = self._session
        if session is None:
            raise self._refusal()
        writer = session.writer
        while True:
            try:
                writer.track(value, name, step, epoch, context)
                return
            except ClosedError:
                if session.writer is writer:
                    raise
                writer = session.writer  # a signal handler closed the run meanwhile, and opened it again

    def flush(self, *, sync: bool = False) -> None:
        """Return when all that was tracked is in the engine's log, which outlives the process; with `sync`, when it is on
        the disk, which outlives the machine's power.

        Raises:
            StorageError: it could not be written; it is kept and tried again.
        """
        with shield:
            self._writable().flush(sync=sync)

    def sequences(self) -> list[Sequence]:
        """All sequences, those of objects too, as they are now."""
        return [self.sequence_of(info) for info in self._infos()]

    def metrics(self) -> list[Metric]:
        """The sequences of numbers, as they are now."""
        return [self.metric_of(info) for info in self._infos() if info.kind == NUMBER]

    def sequence_of(self, info: SequenceInfo) -> Sequence:
        """The sequence that `info` describes, a `Metric` where it holds numbers."""
        from aimstore.sequences.sequence import Sequence  # loads NumPy

        return self.metric_of(info) if info.kind == NUMBER else Sequence(self, info, self._seqs)

    def metric_of(self, info: SequenceInfo) -> Metric:
        """The metric that `info` describes."""
        from aimstore.sequences.sequence import Metric  # loads NumPy

        return Metric(self, info, self._seqs)

    def get_sequence(self, name: str, context: Context | None = None) -> Sequence | None:
        """The sequence of a name and context; None where there is none."""
        return next((self.sequence_of(info) for info in self._named(name, context)), None)

    def get_metric(self, name: str, context: Context | None = None) -> Metric | None:
        """The sequence of numbers of a name and context; None where there is none."""
        return next((self.metric_of(info) for info in self._named(name, context) if info.kind == NUMBER), None)

    def _named(self, name: str, context: Context | None) -> Iterator[SequenceInfo]:
        return iter(matching(self._infos(), name, context))

    def _infos(self) -> tuple[SequenceInfo, ...]:
        if self._session is not None and self._session.closed is None:
            self._session.flush()
        record = self._repo.catalog.record(self._hash) if self._known is None else self._known.record
        return record.sequences

    @contextmanager
    def _meta(self) -> Iterator[Container]:
        if self._session is not None and self._session.closed is None:
            with shield:  # the writer thread may need what reading holds
                yield self._session.meta
        else:
            with self._repo.catalog.reading_meta(self._hash) as meta:
                yield meta

    def _seqs(self) -> AbstractContextManager[Container]:
        return self._repo.catalog.reading(seqs_path(self._hash))

    # Lifecycle

    def close(self) -> None:
        """Finalize the run; a second call does nothing, and neither does the first on a run that is read.

        Raises:
            StorageError: what was tracked cannot be written. The run stays open, so that `close` can be tried again.
        """
        if self._session is not None:
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        session = self._session
        if session is not None and session.closed is None:
            close_later(session)

    def _writable(self) -> RunSession:
        if self._session is None:
            raise self._refusal()
        self._session.check()
        return self._session

    def _refusal(self) -> AimstoreError:
        return ReadOnlyError(f"run {self._hash} is open for reading; Run({self._hash!r}, repo=…) opens it for writing")

    def __repr__(self) -> str:
        state = "reading" if self._session is None else "closed" if self._session.closed else "writing"
        return f"<Run {self._hash} ({state})>"


def _path(place: Place) -> tuple[str | int, ...]:
    if place is ...:
        return ()
    return place if isinstance(place, tuple) else (place,)


def _root(value: Any, path: tuple[str | int, ...]) -> Any:
    if not path and not isinstance(value, dict):
        raise EncodingError(f"run[...] takes a dict of all parameters, not {value!r:.60} ({type(value).__name__})")
    return value
