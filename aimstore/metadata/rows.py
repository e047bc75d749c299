"""Rows of the metadata database: checked values in, plain data out. Each function uses its caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Select, Table, bindparam, insert, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.exc import IntegrityError

from aimstore.errors import EncodingError
from aimstore.metadata import RunProperties
from aimstore.metadata.models import NAME_LENGTH, experiments, run_tags, runs, tags
from aimstore.types import check_run_hash

IN_SIZE: Final = 500
"""Maximum number of values in one IN list; every database accepts that many parameters."""

Restore: TypeAlias = Callable[[], RunProperties]
"""Returns the properties mirrored in the run's own container, for a row that the database has lost."""

RUN_COLUMNS = (
    runs.c.hash,
    runs.c.name,
    runs.c.description,
    runs.c.experiment_id,
    runs.c.archived,
    runs.c.created_at,
    runs.c.finalized_at,
)
LINK_COLUMNS = (run_tags.c.run, run_tags.c.tag_id)

Row: TypeAlias = tuple[Any, ...]


def raw_rows(connection: Connection, query: Select[Any], values: Mapping[str, Any] | None = None) -> list[Row]:
    """All rows as the driver returns them: half the time of SQLAlchemy's rows, and enough for texts and integers."""
    cursor = connection.execute(query, values).cursor
    assert cursor is not None
    return list(cursor.fetchall())


def names_by_id(connection: Connection, table: Table, wanted: Collection[int] | None = None) -> dict[int, str]:
    """Names of experiments or tags by id: at least those of `wanted`, or all."""
    if wanted is not None and not wanted:
        return {}
    if wanted is not None and len(wanted) <= IN_SIZE:
        return dict(raw_rows(connection, _named(table), {"wanted": list(wanted)}))
    return dict(raw_rows(connection, select(table.c.id, table.c.name)))


@cache
def _named(table: Table) -> Select[Any]:
    """Select names by `wanted` ids. Cached: making a statement takes as long as SQLite takes to answer it."""
    return select(table.c.id, table.c.name).where(table.c.id.in_(bindparam("wanted", expanding=True)))


@cache
def _found(table: Table) -> Select[Any]:
    """Select the id of a `name`; cached too."""
    return select(table.c.id).where(table.c.name == bindparam("name"))


def run_properties(
    found: list[Row], links: list[Row], groups: dict[Any, str], labels: dict[int, str]
) -> dict[str, RunProperties]:
    """Combine rows of `RUN_COLUMNS` and `LINK_COLUMNS` with the names of experiments and tags."""
    tagged: dict[str, tuple[int, ...]] = {}
    for run, tag in links:
        tagged[run] = (*tagged[run], tag) if run in tagged else (tag,)
    sets = {ids: tuple(sorted(labels[tag] for tag in ids)) for ids in set(tagged.values())}  # few, and shared
    sets[()] = ()
    group = groups.get
    own = tagged.get
    return {
        run: RunProperties(
            run, name, group(experiment), description, bool(archived), sets[own(run, ())], created_at, finalized_at
        )
        for run, name, description, experiment, archived, created_at, finalized_at in found
    }


def identity(connection: Connection, table: Table, name: str) -> int:
    """The id of the experiment or tag `name`; creates it if it is new, even while other processes create it too."""
    found = connection.execute(_found(table), {"name": name}).scalar()
    if found is None:
        insert_missing(connection, table, [{"name": name, "archived": False}])
        found = connection.execute(_found(table), {"name": name}).scalar_one()
    return int(found)


def link(connection: Connection, run_hash: str, tag: str) -> None:
    """Add a tag to a run that has a row."""
    insert_missing(connection, run_tags, [{"run": run_hash, "tag_id": identity(connection, tags, tag)}])


def ensure_run(connection: Connection, run_hash: str, restore: Restore | None = None) -> None:
    """Add a row if the run has none, with the properties that `restore` returns, or with defaults."""
    if connection.execute(select(runs.c.hash).where(runs.c.hash == run_hash)).first() is not None:
        return
    if restore is None:
        insert_missing(connection, runs, [{"hash": run_hash, "archived": False}])
        return
    properties = restore()
    (row,) = checked_rows([properties])
    if properties.experiment is not None:
        row["experiment_id"] = identity(connection, experiments, properties.experiment)
    if insert_missing(connection, runs, [row]):
        for tag in properties.tags:
            link(connection, run_hash, tag)


def checked_rows(properties: Iterable[RunProperties]) -> list[dict[str, Any]]:
    """Make a row of `runs` for each of `properties`, without its experiment.

    Raises:
        InvalidRunHashError, EncodingError: a value cannot be stored, such as the name of an experiment or a tag.
    """
    rows = []
    for each in properties:
        row = {
            "hash": check_run_hash(each.hash),
            "name": each.name,
            "description": each.description,
            "archived": each.archived,
            "created_at": each.created_at,
            "finalized_at": each.finalized_at,
        }
        check_fields(row)
        if each.experiment is not None:
            check_name(each.experiment, "experiment")
        for tag in each.tags:
            check_name(tag, "tag")
        rows.append(row)
    return rows


def insert_missing(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> int:
    """Insert those rows whose keys do not exist yet; return their number, or -1 if the driver does not report it."""
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        return connection.execute(_insert_missing(table), rows).rowcount
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # takes 35 ms, which only its users should pay

        return connection.execute(postgresql.insert(table).on_conflict_do_nothing(), rows).rowcount
    inserted = 0
    for row in rows:
        try:
            with connection.begin_nested():
                connection.execute(insert(table), row)
        except IntegrityError:
            continue
        inserted += 1
    return inserted


@cache
def _insert_missing(table: Table) -> Insert:
    return sqlite.insert(table).on_conflict_do_nothing()


def check_fields(values: Mapping[str, Any]) -> None:
    """Raise `EncodingError` if a value has the wrong type for its column; None is allowed for all but `archived`."""
    for key, value in values.items():
        if key == "archived":
            if not isinstance(value, bool):
                raise EncodingError(f"{key} is a bool, not {value!r:.60}")
        elif value is None:
            continue
        elif key.endswith("_at"):
            if type(value) is not int or not -(2**63) <= value < 2**63:
                raise EncodingError(f"{key} is a whole number of microseconds since the epoch, not {value!r:.60}")
        else:
            check_text(value, key)


def check_text(value: object, what: str) -> str:
    """Return `value` if it is a str that can be encoded as UTF-8; else raise `EncodingError`."""
    if not isinstance(value, str):
        raise EncodingError(f"{what} is a str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise EncodingError(f"{what} cannot be stored: {error}") from None
    return value


def check_name(value: object, what: str) -> str:
    """Return `value` if it can name an experiment or a tag; else raise `EncodingError`."""
    name = check_text(value, what)
    if len(name) > NAME_LENGTH:
        raise EncodingError(f"{what} has {NAME_LENGTH} characters at most, not {len(name)}: {name!r:.60}")
    return name
