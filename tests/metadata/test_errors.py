"""What users read when the metadata database cannot be used."""

from __future__ import annotations

import shutil

import pytest

from aimstore.errors import ConfigError, CorruptionError, StorageError
from aimstore.metadata import RunProperties
from aimstore.metadata.database import Database
from aimstore.metadata.store import MetadataStore

A = "a" * 24


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("not a url", "not a SQLAlchemy URL"),
        ("nosuchdb://host/name", "knows no database 'nosuchdb'"),
        ("mysql+oursql_missing://host/name", "knows no database 'mysql.oursql_missing'"),
        ("postgresql+pg8000://me:hunter2@host/name", "needs the module 'pg8000', which is not installed"),
        ("sqlite://", "needs the plain path of a file"),
        ("sqlite:///:memory:", "needs the plain path of a file"),
        ("sqlite:////tmp/x.sqlite?timeout=soon", "timeout is a number of seconds, not 'soon'"),
    ],
)
def test_a_url_that_cannot_be_used_is_a_configuration_error(url, reason, lock):
    with pytest.raises(ConfigError, match=reason) as caught:
        MetadataStore(url, lock=lock)
    assert "hunter2" not in str(caught.value)


def test_opening_a_store_touches_nothing(url, path, lock):
    MetadataStore(url, lock=lock)
    assert not path.exists()


def test_a_file_that_is_no_database_is_corruption_and_stays_as_it_is(store, path):
    content = b"this is a text file, and no database" * 40
    path.write_bytes(content)
    for use in (store.ensure_schema, store.all_runs, lambda: store.create_run(A)):
        with pytest.raises(CorruptionError, match=r"run_metadata.sqlite is damaged .*not a database"):
            use()
    assert path.read_bytes() == content


def test_damaged_pages_are_corruption(store, path):
    store.upsert_runs([RunProperties(f"{number:024x}", "name" * 20) for number in range(500)])
    store._database._current.dispose()  # what it has read is in memory
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = b"\xff" * (len(data) - 4096 * 3)
    path.write_bytes(data)
    with pytest.raises(CorruptionError, match="is damaged"):
        store.all_runs()


def test_a_missing_directory_is_named(store, path):
    path.parent.rmdir()
    with pytest.raises(StorageError, match=r"run_metadata.sqlite cannot be created: No such file or directory"):
        store.create_run(A)


def test_a_database_that_vanished_is_an_error_not_an_empty_one(store, path):
    store.create_run(A)
    path.unlink()
    with pytest.raises(StorageError, match=r"cannot be opened: the file is missing"):
        store.all_runs()
    with pytest.raises(StorageError, match=r"cannot be opened: the file is missing"):
        store.create_run(A)
    assert not path.exists()


def test_a_read_only_directory_can_be_read_and_says_why_it_cannot_be_written(public_dir, lock, unprivileged):
    path = public_dir / "run_metadata.sqlite"
    url = f"sqlite:///{path}"
    with MetadataStore(url, lock=lock) as store:
        store.create_run(A, name="kept")
    path.chmod(0o444)
    public_dir.chmod(0o555)

    def use() -> None:
        with MetadataStore(url, lock=lock) as own:
            assert own.all_runs() == {A: RunProperties(A, name="kept")}
            with pytest.raises(StorageError, match="cannot be written: no write permission"):
                own.update_run(A, name="x")

    assert unprivileged(use) == 0


def test_a_directory_without_permission_is_an_error_not_an_empty_database(public_dir, lock, unprivileged):
    inner = public_dir / "closed"
    inner.mkdir()
    url = f"sqlite:///{inner / 'run_metadata.sqlite'}"
    with MetadataStore(url, lock=lock) as store:
        store.create_run(A)
    inner.chmod(0o000)

    def use() -> None:
        with MetadataStore(url, lock=lock) as own, pytest.raises(StorageError, match="cannot be reached: Permission"):
            own.all_runs()

    assert unprivileged(use) == 0
    inner.chmod(0o700)


@pytest.mark.parametrize("name", ["a b&c=d", "50%41", "#1", "what?", "é'\"", ":memory:"])
def test_a_path_may_hold_any_character(tmp_path, lock, name):
    with MetadataStore(tmp_path / name, lock=lock) as store:
        store.create_run(A)
        assert store.get_run(A) == RunProperties(A)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "lock") == [name, f"{name}-journal"]


def test_a_copied_database_is_complete(store, path, tmp_path, lock):
    store.create_run(A, tags=("x",))
    copy = tmp_path / "copy.sqlite"
    shutil.copy(path, copy)
    with MetadataStore(copy, lock=lock) as second:
        assert second.get_run(A) == RunProperties(A, tags=("x",))


def test_the_name_of_a_server_hides_its_password():
    pytest.importorskip("psycopg", reason="psycopg, a driver for PostgreSQL, is not installed")
    database = Database("postgresql+psycopg://me:hunter2@localhost:1/none")
    assert database.name == "postgresql+psycopg://me:***@localhost:1/none"
    with pytest.raises(StorageError) as caught, database.read():
        pass
    assert "hunter2" not in str(caught.value)
