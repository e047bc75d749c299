"""The version of the schema: creates the schema, and upgrades an older schema.

An empty database gets the tables of `models.py` at once, marked as `HEAD`. Only an older database is upgraded with
Alembic, whose import takes 110 ms. A test checks that both ways have the same result.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, select
from sqlalchemy.exc import DBAPIError

from aimstore.errors import RepositoryError
from aimstore.metadata.database import Database
from aimstore.metadata.models import alembic_version, tables

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0001"
"""The newest revision in `migrations/versions`; a test compares them."""

SCRIPTS: Final = "aimstore:metadata/migrations"


def revision(database: Database) -> str | None:
    """The revision of the stored schema, or None if there is none. Takes one SELECT if there is a schema."""
    if not database.exists():
        return None
    with database.read() as connection:
        try:
            with connection.begin_nested():  # PostgreSQL aborts a transaction in which a statement failed
                return connection.execute(select(alembic_version.c.version_num)).scalar()
        except DBAPIError:
            if inspect(connection).has_table(alembic_version.name):
                raise
            return None


def ensure(database: Database, lock: Callable[[], AbstractContextManager[object]]) -> None:
    """Create the schema, or upgrade it, under `lock()`. If it is up to date, only one SELECT is executed.

    Raises:
        RepositoryError: the schema is from a newer version, or the tables belong to another program.
        StorageError: the database cannot be read or written.
    """
    found = revision(database)
    if found == HEAD:
        return
    if found is not None:
        _check_known(database, found)
    with lock():
        found = revision(database)
        if found == HEAD:
            return
        if found is None:
            database.create_file()
            with database.write() as connection:
                _create(database, connection)
        else:
            _check_known(database, found)
            with database.write() as connection:
                _migrate(connection)


def _create(database: Database, connection: Connection) -> None:
    present = set(inspect(connection).get_table_names())
    if alembic_version.name not in present:
        foreign = sorted(present & set(tables.tables))
        if foreign:
            raise RepositoryError(
                f"metadata database {database.name} holds tables of another program ({', '.join(foreign)}); "
                "give the repository a database of its own"
            )
        alembic_version.create(connection)  # first: it marks the following tables as ours
    tables.create_all(connection)
    connection.execute(alembic_version.insert(), {"version_num": HEAD})


def _migrate(connection: Connection) -> None:
    from alembic import command  # takes 110 ms, needed once per change of the schema

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def _check_known(database: Database, found: str) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found not in known:
        raise RepositoryError(
            f"metadata database {database.name} has schema {found!r}, from a newer version of aimstore "
            f"(this one knows up to {HEAD!r}); upgrade aimstore: pip install -U aimstore"
        )


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", SCRIPTS)
    return config
