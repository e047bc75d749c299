"""`MetadataStore`: structured properties of runs, experiments, tags and notes, in a database at any SQLAlchemy URL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, false, func, insert, select, update

from aimstore.abc import Closing
from aimstore.encoding.moments import now_microseconds
from aimstore.errors import EncodingError
from aimstore.metadata import DATABASE_WAITS, DatabaseWaits, Experiment, Note, RunProperties, Tag, schema
from aimstore.metadata.database import Database
from aimstore.metadata.models import experiments, notes, run_tags, runs, tags
from aimstore.metadata.rows import (
    RUN_COLUMNS,
    Restore,
    check_fields,
    check_name,
    check_text,
    checked_rows,
    ensure_run,
    identity,
    insert_missing,
    link,
)
from aimstore.metadata.snapshot import Snapshot
from aimstore.types import check_run_hash

_FINISH: Final = update(runs).where(runs.c.hash == bindparam("key")).values(finalized_at=bindparam("at"))

_MAX_NOTE_ID: Final = 2**31 - 1
"""The greatest id that the column of `notes` can hold in every database."""


class RunFields(TypedDict, total=False):
    """The fields that `MetadataStore.update_run` can set; None clears. Times are microseconds since the epoch, UTC."""

    name: str | None
    experiment: str | None
    description: str | None
    archived: bool
    created_at: int | None
    finalized_at: int | None


class ExperimentFields(TypedDict, total=False):
    """The fields that `MetadataStore.update_experiment` can set."""

    description: str | None
    archived: bool


class TagFields(TypedDict, total=False):
    """The fields that `MetadataStore.update_tag` can set."""

    color: str | None
    description: str | None
    archived: bool


class MetadataStore(Closing):
    """The metadata database of one repository.

    Each method is one short transaction and returns plain data. Methods that write first create or upgrade the schema
    if necessary; methods that read treat a database without a schema as empty. Several threads may share a store. In a
    forked child it opens connections of its own. A signal handler that interrupted a method must not write: it gets a
    StorageError at once, because waiting for the interrupted method would never end.

    Args:
        url: a SQLAlchemy URL, or the path of an SQLite file. A path may contain any character; a URL must quote some,
            differently between versions of SQLAlchemy. In an SQLite URL, `?timeout=5` overrides `waits`.
        lock: returns the lock under which the schema is created and upgraded.
        waits: how long to wait for the database.

    Raises:
        ConfigError: the URL cannot be used, or its driver is not installed. Nothing is opened.
        StorageError: (every method) no permission, no space, or still locked after the wait.
        CorruptionError: (every method) the file at the URL is not a database, or is damaged.
        RepositoryError: (every method) the schema is from a newer version, or the tables belong to another program.
        InvalidRunHashError: (methods that write) the argument is not a run hash.
        EncodingError: (methods that write) a value has the wrong type, or a name is longer than 512 characters.
        ClosedError: (every method) the store is closed.
    """

    def __init__(
        self,
        url: str | Path,
        *,
        lock: Callable[[], AbstractContextManager[object]],
        waits: DatabaseWaits = DATABASE_WAITS,
    ) -> None:
        self._database = Database(url, waits)
        self._lock = lock
        self._ready = False

    def ensure_schema(self) -> None:
        """Create or upgrade the schema. If it is up to date, only one SELECT is executed."""
        schema.ensure(self._database, self._lock)
        self._ready = True

    def close(self) -> None:
        """Release connections; later calls raise `ClosedError`. A second call does nothing."""
        self._database.close()

    def __repr__(self) -> str:
        return f"<MetadataStore {self._database.name!r}>"

    def _write(self) -> AbstractContextManager[Connection]:
        if not self._ready:
            self.ensure_schema()
        return self._database.write()

    def _readable(self) -> bool:
        if not self._ready:
            if schema.revision(self._database) is None:
                return False
            self.ensure_schema()
        return True

    # Runs

    def create_run(
        self,
        run_hash: str,
        *,
        name: str | None = None,
        experiment: str | None = None,
        description: str | None = None,
        created_at: int | None = None,
        tags: Iterable[str] = (),
    ) -> None:
        """Add a run. If it exists, fill in only the missing properties, and add `tags` to its tags."""
        check_run_hash(run_hash)
        values: dict[str, Any] = {"name": name, "description": description, "created_at": created_at}
        check_fields(values)
        if experiment is not None:
            check_name(experiment, "experiment")
        labels = sorted({check_name(tag, "tag") for tag in tags})
        with self._write() as connection:
            if experiment is not None:
                values["experiment_id"] = identity(connection, experiments, experiment)
            if insert_missing(connection, runs, [{"hash": run_hash, "archived": False, **values}]) != 1:
                given = {key: func.coalesce(runs.c[key], value) for key, value in values.items() if value is not None}
                if given:
                    connection.execute(update(runs).where(runs.c.hash == run_hash).values(given))
            for label in labels:
                link(connection, run_hash, label)

    def update_run(
        self, run_hash: str, *, restore: Restore | None = None, **fields: Unpack[RunFields]
    ) -> RunProperties:
        """Set properties of a run in one transaction, and return all its properties after the change.

        Args:
            restore: returns the properties mirrored in the run's own container. It is called only if the run has no
                row. Other writers of the database wait meanwhile, so it must be quick and must not use this store.
                Without `restore`, a missing row gets defaults.
        """
        check_run_hash(run_hash)
        _only(RunFields, fields)
        check_fields(fields)
        values: dict[str, Any] = {**fields}
        experiment = values.pop("experiment", None)
        if experiment is not None:
            check_name(experiment, "experiment")
        with self._write() as connection:
            if "experiment" in fields:
                values["experiment_id"] = None if experiment is None else identity(connection, experiments, experiment)
            statement = update(runs).where(runs.c.hash == run_hash).values(values)
            if not values or not connection.execute(statement).rowcount:
                ensure_run(connection, run_hash, restore)
                if values:
                    connection.execute(statement)
            return Snapshot(connection).row(run_hash)

    def finish_runs(self, ended: Mapping[str, int]) -> None:
        """Set when runs ended, in one transaction. A run without a row is skipped."""
        for moment in ended.values():
            check_fields({"finalized_at": moment})
        changes = [{"key": check_run_hash(run), "at": moment} for run, moment in ended.items()]
        if changes:
            with self._write() as connection:
                connection.execute(_FINISH, changes)

    def finish_run(self, run_hash: str, finalized_at: int, *, restore: Restore | None = None) -> RunProperties:
        """Set when a run ended, and return all its properties after the change. `restore`: as for `update_run`."""
        check_run_hash(run_hash)
        check_fields({"finalized_at": finalized_at})
        values = {"key": run_hash, "at": finalized_at}
        with self._write() as connection:
            if not connection.execute(_FINISH, values).rowcount:
                ensure_run(connection, run_hash, restore)
                connection.execute(_FINISH, values)
            return Snapshot(connection).row(run_hash)

    def upsert_runs(self, properties: Sequence[RunProperties]) -> None:
        """Write all properties of many runs in one transaction. The tags of each run are replaced."""
        rows = checked_rows(properties)
        if not rows:
            return
        groups = sorted({each.experiment for each in properties if each.experiment is not None})
        labels = sorted({tag for each in properties for tag in each.tags})
        keys = [{"key": row["hash"]} for row in rows]
        changes: dict[str, Any] = {column.name: bindparam(column.name) for column in RUN_COLUMNS[1:]}
        with self._write() as connection:
            group_ids: dict[str | None, int | None] = {name: identity(connection, experiments, name) for name in groups}
            label_ids = {name: identity(connection, tags, name) for name in labels}
            for row, each in zip(rows, properties, strict=True):
                row["experiment_id"] = group_ids.get(each.experiment)
            insert_missing(connection, runs, rows)
            connection.execute(
                update(runs).where(runs.c.hash == bindparam("key")).values(changes),
                [{**row, **key} for row, key in zip(rows, keys, strict=True)],
            )
            connection.execute(delete(run_tags).where(run_tags.c.run == bindparam("key")), keys)
            links = [{"run": each.hash, "tag_id": label_ids[tag]} for each in properties for tag in set(each.tags)]
            insert_missing(connection, run_tags, links)

    def get_run(self, run_hash: str) -> RunProperties | None:
        """The properties of a run, or None if it has no row."""
        return self.runs((run_hash,)).get(run_hash)

    def runs(self, hashes: Iterable[str]) -> dict[str, RunProperties]:
        """The properties of those of `hashes` that have a row, from one snapshot."""
        with self.snapshot() as snapshot:
            return snapshot.rows(hashes)

    def all_runs(self) -> dict[str, RunProperties]:
        """The properties of every run that has a row, from one snapshot."""
        with self.snapshot() as snapshot:
            return snapshot.all_rows()

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Lend one state of the database. Writers wait meanwhile, so the caller must be quick."""
        if not self._readable():
            yield Snapshot(None)
            return
        with self._database.read() as connection:
            yield Snapshot(connection)

    def delete_run(self, run_hash: str) -> None:
        """Remove a run's row, its notes and its tag assignments; a missing run is no error."""
        check_run_hash(run_hash)
        with self._write() as connection:
            connection.execute(delete(notes).where(notes.c.run == run_hash))
            connection.execute(delete(run_tags).where(run_tags.c.run == run_hash))
            connection.execute(delete(runs).where(runs.c.hash == run_hash))

    # Tags and experiments

    def add_tag(self, run_hash: str, tag: str, *, restore: Restore | None = None) -> RunProperties:
        """Add a tag to a run, and return all its properties. A new tag is created; adding a tag twice is no error.
        `restore`: as for `update_run`."""
        check_run_hash(run_hash)
        check_name(tag, "tag")
        with self._write() as connection:
            ensure_run(connection, run_hash, restore)
            link(connection, run_hash, tag)
            return Snapshot(connection).row(run_hash)

    def remove_tag(self, run_hash: str, tag: str, *, restore: Restore | None = None) -> RunProperties:
        """Remove a tag from a run, and return all its properties. Removing a tag that the run does not have is no error; the
        tag itself stays. `restore`: as for `update_run`."""
        check_run_hash(run_hash)
        tag_id = select(tags.c.id).where(tags.c.name == check_name(tag, "tag")).scalar_subquery()
        with self._write() as connection:
            ensure_run(connection, run_hash, restore)
            connection.execute(delete(run_tags).where(run_tags.c.run == run_hash, run_tags.c.tag_id == tag_id))
            return Snapshot(connection).row(run_hash)

    def experiments(self) -> list[Experiment]:
        """All experiments, by name."""
        if not self._readable():
            return []
        columns = (experiments.c.name, experiments.c.description, experiments.c.archived)
        with self._database.read() as connection:
            return [Experiment(*row) for row in connection.execute(select(*columns).order_by(experiments.c.name))]

    def tags(self) -> list[Tag]:
        """All tags, by name."""
        if not self._readable():
            return []
        columns = (tags.c.name, tags.c.color, tags.c.description, tags.c.archived)
        with self._database.read() as connection:
            return [Tag(*row) for row in connection.execute(select(*columns).order_by(tags.c.name))]

    def update_experiment(self, name: str, **fields: Unpack[ExperimentFields]) -> None:
        """Set properties of an experiment; a new experiment is created."""
        _only(ExperimentFields, fields)
        self._update_named(experiments, name, {**fields})

    def update_tag(self, name: str, **fields: Unpack[TagFields]) -> None:
        """Set properties of a tag; a new tag is created."""
        _only(TagFields, fields)
        self._update_named(tags, name, {**fields})

    def _update_named(self, table: Table, name: str, values: dict[str, Any]) -> None:
        check_name(name, "name")
        check_fields(values)
        with self._write() as connection:
            key = identity(connection, table, name)
            if values:
                connection.execute(update(table).where(table.c.id == key).values(values))

    # Notes

    def add_note(self, run_hash: str, text: str, *, restore: Restore | None = None) -> int:
        """Add a note to a run, and return its id, which no other note ever has. `restore`: as for `update_run`."""
        check_run_hash(run_hash)
        now = now_microseconds()
        values = {"run": run_hash, "text": check_text(text, "note"), "created_at": now, "updated_at": now}
        with self._write() as connection:
            ensure_run(connection, run_hash, restore)
            key = connection.execute(insert(notes).values(values)).inserted_primary_key
            assert key is not None
            return int(key[0])

    def replace_notes(self, run_hash: str, replacement: Iterable[Note]) -> None:
        """Replace all notes of a run with these, keeping their times; each note gets a new id."""
        check_run_hash(run_hash)
        rows = []
        for note in replacement:
            times = {"created_at": note.created_at, "updated_at": note.updated_at}
            check_fields(times)
            rows.append({"run": run_hash, "text": check_text(note.text, "note"), **times})
        with self._write() as connection:
            ensure_run(connection, run_hash)
            connection.execute(delete(notes).where(notes.c.run == run_hash))
            if rows:
                connection.execute(insert(notes), rows)

    def notes(self, run_hash: str) -> list[Note]:
        """The notes of a run, oldest first."""
        if not self._readable():
            return []
        columns = (notes.c.id, notes.c.text, notes.c.created_at, notes.c.updated_at)
        query = select(*columns).where(notes.c.run == run_hash).order_by(notes.c.created_at, notes.c.id)
        with self._database.read() as connection:
            return [Note(*row) for row in connection.execute(query)]

    def update_note(self, run_hash: str, note: int, text: str) -> bool:
        """Replace the text of the note with the id `note`. Return False if the run has no such note."""
        chosen = _note_of(run_hash, note)
        values = {"text": check_text(text, "note"), "updated_at": now_microseconds()}
        with self._write() as connection:
            return connection.execute(update(notes).where(chosen).values(values)).rowcount > 0

    def delete_note(self, run_hash: str, note: int) -> bool:
        """Delete the note with the id `note`. Return False if the run has no such note."""
        chosen = _note_of(run_hash, note)
        with self._write() as connection:
            return connection.execute(delete(notes).where(chosen)).rowcount > 0


def _note_of(run_hash: str, note: int) -> ColumnElement[bool]:
    """Select the row of one note; the id of another run's note selects nothing."""
    check_run_hash(run_hash)
    if type(note) is not int:
        raise EncodingError(
            f"the id of a note is an int, not {note!r:.60}; the notes of a run have their ids in `Note.id`"
        )
    if not 0 < note <= _MAX_NOTE_ID:
        return false()
    return (notes.c.run == run_hash) & (notes.c.id == note)


def _only(allowed: type, fields: Iterable[str]) -> None:
    unknown = sorted(set(fields) - set(allowed.__annotations__))
    if unknown:
        raise TypeError(f"no such property: {', '.join(unknown)}; there are {', '.join(allowed.__annotations__)}")
