"""`Run`: one training job, written or read: parameters, structured properties, notes and sequences."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aimstore.abc import OPEN, Closing, Container
from aimstore.encoding.moments import from_microseconds, now_microseconds
from aimstore.errors import AimstoreError, ClosedError, EncodingError, ReadOnlyError, RunNotFoundError, did_you_mean
from aimstore.metadata import RunProperties, default_properties
from aimstore.plugins import plugins
from aimstore.plugins.objects import storable
from aimstore.process import shield
from aimstore.repository.catalog import Catalog
from aimstore.repository.opening import catalog_of
from aimstore.repository.properties import RunNote, duration_of, end_of, mirror, mirrored_properties
from aimstore.repository.queried import QueriedRun
from aimstore.repository.session import RunSession
from aimstore.sequences.contexts import find_sequences
from aimstore.sequences.drainer import process_drainer
from aimstore.storage.layout import NUMBER, SequenceInfo, attributes, read_properties
from aimstore.types import Context, TreeKey, TreePath, check_run_hash, new_run_hash, seqs_path

if TYPE_CHECKING:
    from aimstore.repo import Repo
    from aimstore.sequences.sequence import Metric, Sequence


class Run(Closing):
    """One training job: parameters, structured properties, and sequences of tracked values.

        with Run(repo="path", experiment="baseline") as run:
            run["hparams"] = {"lr": 0.1}
            run.track(0.25, name="loss", step=0, context={"subset": "train"})

    One process at a time has a run open for writing, from its construction to `close()`. Closing finalizes the run: its
    data is written, its entry is indexed, its lock is released. The end of the `with` block, the end of the interpreter,
    SIGTERM and an uncaught SIGINT finalize the run too, and so does dropping the last reference, a moment later. A killed
    process loses at most what it tracked since the last drain (25 to 50 ms); `Repo.reindex` finalizes its run.

    All methods may be called from several threads. A forked child cannot use its parent's run and does not touch it.
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
        tags: Iterable[str] | str | None = (),
    ) -> None:
        """
        Args:
            run_hash: hash of a run to resume or read; None makes a new run.
            repo: a `Repo`; a path, where a repository is made if there is none; None for the nearest `.aim` from the
                working directory upward, or else a new one in the working directory.
            read_only: open the run for reading only, without locking or changing anything.
            experiment, name, description, tags: structured properties of a new run, or set on a resumed run.

        Raises:
            InvalidRunHashError: `run_hash` is not a run hash.
            RunNotFoundError: there is no such run.
            LockedError: another process or thread has the run open for writing; the message says which and since when.
            RepositoryError, ConfigError: the repository cannot be used.
        """
        if run_hash is not None:
            check_run_hash(run_hash)
        elif read_only:
            raise RunNotFoundError("read_only=True needs the run_hash of the run to read")
        labels = _labels(tags)  # before a repository is made for a run that cannot be
        self._open(catalog_of(repo, create=not read_only), run_hash or new_run_hash())
        if read_only:
            self._catalog.check_exists(self._hash)
            return
        named = {"experiment": experiment, "name": name, "description": description}
        given: dict[str, Any] = {key: value for key, value in named.items() if value is not None}
        if run_hash is None:
            created = replace(default_properties(self._hash), **given)
            self._begin(replace(created, created_at=now_microseconds(), tags=labels))
        else:
            self._begin(None)
            try:
                self._update(finalized_at=None, **given)
                for tag in labels:
                    self.add_tag(tag)
            except BaseException:  # Ctrl-C too, because nobody else can close this run
                self.close()
                raise

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not hasattr(type(self), name):
            settable = [each for each, found in vars(Run).items() if isinstance(found, property) and found.fset]
            raise AttributeError(
                f"a run has no property {name!r}{did_you_mean(name, settable)}; a parameter is set by run[{name!r}] = …"
            )
        super().__setattr__(name, value)

    def _open(self, catalog: Catalog, run_hash: str, known: QueriedRun | None = None) -> None:
        self._catalog = catalog
        self._hash = run_hash
        self._known = known

    def _begin(self, created: RunProperties | None) -> None:
        session = RunSession(self._catalog.context, self._hash)
        session.begin(created)
        self._session = session
        plugins().notify("aimstore_run_opened", run_hash=self._hash, repo=session.context.path, resumed=created is None)

    # Identity and structured properties

    @property
    def hash(self) -> str:
        """24 lower-case hexadecimal digits."""
        return self._hash

    @property
    def repo(self) -> Repo:
        """The repository of the run."""
        return self._catalog.facade()

    @property
    def active(self) -> bool:
        """Whether a process has the run open for writing."""
        return self._is_open() or self._catalog.is_active(self._hash)

    def _is_open(self) -> bool:
        return self._session is not None and self._session.state is OPEN

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
        """Add a tag. Adding a tag that the run has already is no error."""
        with shield:
            self._mirror(self._catalog.context.database.add_tag(self._hash, tag, restore=self._mirrored))

    def remove_tag(self, tag: str) -> None:
        """Remove a tag. Removing a tag that the run does not have is no error."""
        with shield:
            self._mirror(self._catalog.context.database.remove_tag(self._hash, tag, restore=self._mirrored))

    @property
    def created_at(self) -> datetime | None:
        """When the run was created, in UTC."""
        return from_microseconds(self._properties().created_at)

    @property
    def finalized_at(self) -> datetime | None:
        """When the run was last finalized, in UTC; None while a process writes the run."""
        return end_of(self._properties(), active=self.active)

    @property
    def duration(self) -> float | None:
        """Seconds from the creation of the run to its end, or to now while a process writes it; None if it is stalled."""
        return duration_of(self._properties(), active=self.active)

    @property
    def notes(self) -> tuple[RunNote, ...]:
        """The notes of the run, oldest first."""
        with shield:
            return tuple(map(RunNote.of, self._catalog.context.database.notes(self._hash)))

    def add_note(self, text: str) -> int:
        """Add a note and return its id. A run that is open for reading takes notes too."""
        with shield:
            return self._catalog.context.database.add_note(self._hash, text, restore=self._mirrored)

    def update_note(self, note_id: int, text: str) -> None:
        """Replace the text of a note. Raises `KeyError` where the run has no note with that id."""
        with shield:
            found = self._catalog.context.database.update_note(self._hash, note_id, text)
        self._check_note(note_id, found)

    def delete_note(self, note_id: int) -> None:
        """Remove a note. Raises `KeyError` where the run has no note with that id."""
        with shield:
            found = self._catalog.context.database.delete_note(self._hash, note_id)
        self._check_note(note_id, found)

    def _check_note(self, note_id: int, found: bool) -> None:
        if not found:
            raise KeyError(f"run {self._hash} has no note {note_id}; its notes are {[note.id for note in self.notes]}")

    def _properties(self) -> RunProperties:
        return self._catalog.properties(self._hash) if self._known is None else self._known.row

    def _update(self, **fields: Any) -> None:
        if fields:
            with shield:
                database = self._catalog.context.database
                self._mirror(database.update_run(self._hash, restore=self._mirrored, **fields))

    def _mirrored(self) -> RunProperties:
        """The properties as the run's own container repeats them, for a metadata database that lost the run."""
        with self._meta() as meta:
            return mirrored_properties(self._hash, read_properties(meta))

    def _mirror(self, properties: RunProperties) -> None:
        """Repeat the properties in the run's own container; if another process has it open, that process does so."""
        self._known = None  # what a query knew is out of date
        if self._session is not None and self._is_open():
            self._session.mirror(properties)
        else:
            mirror(self._catalog.context, properties)

    # The tree of parameters

    def __getitem__(self, key: TreeKey) -> Any:
        """The value at a key or path, subtrees as dicts. Raises `KeyError` where there is none; `run[...]` always works."""
        path = _path(key)
        if self._known is not None:
            return self._known.entry.get(path)
        with self._meta() as meta:
            return attributes(meta)[path]

    def get(self, key: TreeKey, default: Any = None) -> Any:
        """The value at a key or path, or `default`."""
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: TreeKey) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def __setitem__(self, key: TreeKey, value: Any) -> None:
        """Replace the value at a key or path, atomically. Dicts unfold, so that parts can be read and written later.

        Raises:
            EncodingError: the value, or a part of it, cannot be stored; the message names its path. Nothing is written.
            ReadOnlyError, ClosedError: the run is not open for writing.
        """
        self.set(key, value)

    def set(self, key: TreeKey, value: Any, *, strict: bool = True) -> None:
        """As `run[key] = value`. Dataclasses, enumerations, paths, sets and the like are stored in their plain form.

        Args:
            strict: refuse what cannot be stored; else its repr is stored in its place.

        Raises:
            EncodingError, ReadOnlyError, ClosedError: as for `run[key] = value`.
        """
        path = _path(key)
        with shield:
            tree = attributes(self._writable().meta)
            try:
                tree[path] = _checked_root(path, value)
            except EncodingError:
                tree[path] = _checked_root(path, storable(value, path, strict=strict))

    def __delitem__(self, key: TreeKey) -> None:
        """Remove the value at a key or path. Raises `KeyError` where there is none."""
        with shield:
            del attributes(self._writable().meta)[_path(key)]

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
            value: a number, also as an array or list with one element; a str, bytes, array, list of objects, or anything else
                that can be stored; None, which belongs to every sequence; or, without `name`, a dict that gives a value for
                each of several names.
            name: of the sequence. All values of one sequence are of one kind.
            step: a whole number of 64 bits; None is the greatest step so far plus one, which must exist. Of several values at
                one step the last holds.
            epoch: a whole number, or None.
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

    def _named(self, name: str, context: Context | None) -> list[SequenceInfo]:
        return find_sequences(self._infos(), name, context)

    def _infos(self) -> tuple[SequenceInfo, ...]:
        if self._session is not None and self._is_open():
            self._session.flush()
        entry = self._catalog.entry(self._hash) if self._known is None else self._known.entry
        return entry.sequences

    @contextmanager
    def _meta(self) -> Iterator[Container]:
        if self._session is not None and self._is_open():
            with shield:  # the writer thread may need what reading holds
                yield self._session.meta
        else:
            with self._catalog.reading_meta(self._hash) as meta:
                yield meta

    def _seqs(self) -> AbstractContextManager[Container]:
        return self._catalog.reading(seqs_path(self._hash))

    # Lifecycle

    def close(self) -> None:
        """Finalize the run; a second call does nothing, and neither does the first on a run that is read.

        Raises:
            StorageError: what was tracked cannot be written. The run stays open, so that `close` can be tried again.
        """
        if self._session is not None:
            self._session.close()

    def __del__(self) -> None:
        session = self._session
        if session is not None and session.state is OPEN:
            process_drainer.close_later(session)

    def _writable(self) -> RunSession:
        if self._session is None:
            raise self._refusal()
        self._session.check()
        return self._session

    def _refusal(self) -> AimstoreError:
        return ReadOnlyError(f"run {self._hash} is open for reading; Run({self._hash!r}, repo=…) opens it for writing")

    def __repr__(self) -> str:
        state = "reading" if self._session is None else "writing" if self._is_open() else "closed"
        return f"<Run {self._hash} ({state})>"


def queried_run(catalog: Catalog, run: QueriedRun) -> Run:
    """A run to read, with what a query knows of it. A run that may still change is read anew each time."""
    return reading_run(catalog, run.hash, run if run.is_final else None)


def reading_run(catalog: Catalog, run_hash: str, known: QueriedRun | None = None) -> Run:
    """A run to read, with what is known of it already. The run must exist."""
    run = Run.__new__(Run)
    run._open(catalog, run_hash, known)
    return run


def _labels(tags: Iterable[str] | str | None) -> tuple[str, ...]:
    """Tags as a user gives them: several, or one as a str; sorted, each once."""
    if tags is None:
        return ()
    if isinstance(tags, str):
        return (tags,)
    if isinstance(tags, Mapping | bytes) or not isinstance(tags, Iterable):
        raise EncodingError(f"tags are a list of str, such as ['baseline'], not {tags!r:.60} ({type(tags).__name__})")
    given: list[Any] = list(tags)
    for tag in given:
        if not isinstance(tag, str):
            raise EncodingError(f"a tag is a str, not {tag!r:.60} ({type(tag).__name__})")
    return tuple(sorted(set(given)))


def _path(key: TreeKey) -> TreePath:
    if key is ...:
        return ()
    return key if isinstance(key, tuple) else (key,)


def _checked_root(path: TreePath, value: Any) -> Any:
    if not path and not isinstance(value, dict):
        raise EncodingError(
            f"run[...] must be set to a dict of all parameters, not {value!r:.60} ({type(value).__name__})"
        )
    return value
