"""Creating the schema, bringing it up to date, and refusing what is not ours."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import aimstore.metadata
from aimstore.errors import RepositoryError
from aimstore.metadata import RunProperties, models, schema
from aimstore.metadata.database import Database
from aimstore.metadata.store import MetadataStore

A = "a" * 24

ADD_COLUMN = '''"""One more column."""
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade() -> None:
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("owner", sa.Text()))
    {then}
'''


def stored_schema(path: Path) -> set[str]:
    connection = sqlite3.connect(path)
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'"
    ).fetchall()
    connection.close()
    return {" ".join(sql.split()).replace(" ,", ",") for (sql,) in rows}


def stamp(path: Path, revision: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()


def no_lock():
    raise AssertionError("the lock was taken")


def newer_scripts(tmp_path, monkeypatch, then: str = "") -> None:
    copied = tmp_path / "migrations"
    shutil.copytree(Path(aimstore.metadata.__file__).parent / "migrations", copied)
    (copied / "versions" / "0002_owner.py").write_text(ADD_COLUMN.format(then=then))
    monkeypatch.setattr(schema, "SCRIPTS", str(copied))
    monkeypatch.setattr(schema, "HEAD", "0002")


def test_head_is_the_newest_migration():
    assert ScriptDirectory.from_config(schema._config()).get_heads() == [schema.HEAD]


def test_the_migrations_lead_to_the_same_schema_as_the_models(tmp_path, lock):
    made, migrated = tmp_path / "made.sqlite", tmp_path / "migrated.sqlite"
    schema.ensure(Database(f"sqlite:///{made}"), lock)
    database = Database(f"sqlite:///{migrated}")
    database.create_file()
    with database.write() as connection:
        schema._migrate(connection)
    assert stored_schema(made) == stored_schema(migrated)
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), models.tables) == []


def test_the_migrations_can_be_undone(url, path, lock):
    database = Database(url)
    schema.ensure(database, lock)
    config = schema._config()
    with database.write() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert len(stored_schema(path)) == 1
    schema.ensure(database, lock)
    assert schema.revision(database) == schema.HEAD


def test_a_schema_that_is_there_takes_no_lock(store, url):
    store.ensure_schema()
    with MetadataStore(url, lock=no_lock) as second:
        second.ensure_schema()


def test_an_older_schema_is_upgraded_with_its_data(store, url, path, lock, tmp_path, monkeypatch):
    store.create_run(A, name="kept", tags=("x",))
    newer_scripts(tmp_path, monkeypatch)
    with MetadataStore(url, lock=lock) as upgraded:
        assert upgraded.get_run(A) == RunProperties(A, name="kept", tags=("x",))
    assert schema.revision(Database(url)) == "0002"
    assert any("owner" in sql for sql in stored_schema(path))


def test_an_upgrade_that_fails_changes_nothing(store, url, path, lock, tmp_path, monkeypatch):
    store.create_run(A, name="kept")
    before = stored_schema(path)
    newer_scripts(tmp_path, monkeypatch, then="raise RuntimeError('half-way')")
    with MetadataStore(url, lock=lock) as upgraded, pytest.raises(RuntimeError, match="half-way"):
        upgraded.ensure_schema()
    assert stored_schema(path) == before
    assert schema.revision(Database(url)) == "0001"


def test_a_newer_schema_is_refused_untouched(store, url, path):
    store.create_run(A)
    stamp(path, "9999")
    before = path.read_bytes()
    with MetadataStore(url, lock=no_lock) as older:
        for use in (older.ensure_schema, older.all_runs, lambda: older.add_tag(A, "x")):
            with pytest.raises(RepositoryError, match=r"schema '9999', from a newer version.*upgrade aimstore"):
                use()
    assert path.read_bytes() == before


def test_tables_of_another_program_are_refused_untouched(store, path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE runs (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(RepositoryError, match=r"tables of another program \(runs\)"):
        store.ensure_schema()
    assert path.read_bytes() == before


def test_creation_that_was_cut_off_is_taken_up_again(store, path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.close()
    store.create_run(A)
    assert store.get_run(A) == RunProperties(A)


def test_reading_creates_nothing_and_finds_nothing(url, path):
    with MetadataStore(url, lock=no_lock) as reader:
        assert reader.get_run(A) is None
        assert reader.all_runs() == {}
        assert reader.experiments() == reader.tags() == reader.notes(A) == []
        assert not path.exists()
        path.touch()
        assert reader.all_runs() == {}
        assert path.stat().st_size == 0
