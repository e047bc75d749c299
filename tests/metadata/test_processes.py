"""The metadata database shared by processes: concurrent, killed, forked, interrupted."""

from __future__ import annotations

import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aimstore.errors import StorageError
from aimstore.metadata import DatabaseWaits, RunProperties
from aimstore.metadata.store import MetadataStore

A, B, C = "a" * 24, "b" * 24, "c" * 24


def in_write_transaction(path, statements, done: int) -> None:
    """Leave a transaction open, say so through the pipe `done`, and sleep until killed."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    os.write(done, b"!")
    signal.pause()


def hold(fork, path, *statements):
    """A process in the middle of a transaction of these statements."""
    done, say = os.pipe()
    child = fork(lambda: in_write_transaction(path, statements, say))
    os.close(say)
    assert os.read(done, 1) == b"!"
    os.close(done)
    return child


def test_32_processes_create_the_database_at_once(url, lock, race):
    def start(number: int) -> None:
        with MetadataStore(url, lock=lock) as own:
            own.create_run(f"{number:024x}", experiment="shared", tags=("common", f"own {number}"))

    assert race(32, start) == [0] * 32
    with MetadataStore(url, lock=lock) as store:
        assert store.all_runs() == {
            run: RunProperties(run, experiment="shared", tags=("common", f"own {number}"))
            for number, run in ((number, f"{number:024x}") for number in range(32))
        }
        assert len(store.experiments()) == 1
        assert len(store.tags()) == 33


def test_16_processes_give_one_run_the_same_tags_at_once(store, race):
    store.create_run(A)

    def tag(number: int) -> None:
        for label in range(5):
            store.add_tag(A, f"t{(label + number) % 5}")
        store.update_run(A, archived=True)

    assert race(16, tag) == [0] * 16
    assert store.get_run(A) == RunProperties(A, archived=True, tags=("t0", "t1", "t2", "t3", "t4"))


def test_readers_see_whole_transactions(store, race):
    runs = [f"{number:024x}" for number in range(50)]

    def rewrite(number: int) -> None:
        for turn in range(10):
            name = f"{number}/{turn}"
            store.upsert_runs([RunProperties(run, name, name, tags=(name,)) for run in runs])

    def read(_: int) -> None:
        for _ in range(30):
            seen = {(run.name, run.experiment, run.tags) for run in store.all_runs().values()}
            assert len(seen) == 1
            ((name, experiment, tags),) = seen
            assert name == experiment
            assert tags == (name,)

    rewrite(-1)
    assert race(6, lambda number: (read if number % 2 else rewrite)(number)) == [0] * 6


def test_a_writer_killed_in_a_transaction_leaves_the_state_before_it(store, path, fork):
    store.upsert_runs([RunProperties(f"{number:024x}", "before") for number in range(2000)])
    child = hold(
        fork,
        path,
        "PRAGMA cache_size=1",  # so that changed pages reach the file, and the journal is needed
        "BEGIN IMMEDIATE",
        "UPDATE runs SET name = 'half-way, and rather longer than it was before'",
        "DELETE FROM alembic_version",
    )
    journal = path.with_name(path.name + "-journal")
    assert journal.stat().st_size > 0
    child.kill()
    assert {run.name for run in store.all_runs().values()} == {"before"}
    store.create_run(A)
    assert len(store.all_runs()) == 2001


def test_a_store_killed_in_a_transaction_blocks_nobody(store, fork):
    store.create_run(A)
    ready, say = os.pipe()

    def die() -> None:
        with store._database.write() as connection:
            connection.exec_driver_sql("UPDATE runs SET name = 'lost'")
            os.write(say, b"!")
            signal.pause()

    child = fork(die)
    assert os.read(ready, 1) == b"!"
    child.kill()
    os.close(ready)
    os.close(say)
    store.update_run(A, archived=True)
    assert store.get_run(A) == RunProperties(A, archived=True)


@pytest.mark.parametrize("where", ["constructor", "URL"])
def test_a_database_that_stays_locked_is_an_error_that_says_so(store, url, path, lock, fork, where):
    store.create_run(A)
    hold(fork, path, "BEGIN EXCLUSIVE")
    impatient = (
        MetadataStore(url, lock=lock, waits=DatabaseWaits(lock_seconds=0.05))
        if where == "constructor"
        else MetadataStore(f"{url}?timeout=0.05", lock=lock)
    )
    for use in (impatient.ensure_schema, impatient.all_runs, lambda: impatient.update_run(A, name="x")):
        with pytest.raises(StorageError, match=r"run_metadata.sqlite stayed locked by another process for 0.05 s"):
            use()


def test_a_reader_that_stays_keeps_a_commit_waiting_and_then_nothing_is_written(store, url, path, lock, fork):
    store.create_run(A)
    reader = hold(fork, path, "BEGIN", "SELECT * FROM runs")
    with MetadataStore(url, lock=lock, waits=DatabaseWaits(lock_seconds=0.05)) as impatient:
        with pytest.raises(StorageError, match="stayed locked"):
            impatient.update_run(A, name="x")
        assert impatient.get_run(A) == RunProperties(A)
        reader.kill()
        impatient.update_run(A, name="x")
    assert store.get_run(A) == RunProperties(A, name="x")


class Interrupted(Exception):  # noqa: N818  it is no error
    pass


def test_a_signal_is_handled_while_the_database_is_locked(store, path, fork):
    store.create_run(A)
    hold(fork, path, "BEGIN EXCLUSIVE")

    def interrupt(*_: object) -> None:
        raise Interrupted

    def update() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        store.update_run(A, name="x")  # would wait for 60 s

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(Interrupted):
            update()
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_a_write_inside_a_transaction_of_the_same_thread_fails_at_once(url, lock):
    with MetadataStore(url, lock=lock) as store:
        store.create_run(A)
        for outer in (store._database.read, store._database.write):
            with outer(), pytest.raises(StorageError, match="a signal handler interrupted it"):
                store.update_run(A, name="x")
        with store._database.write():
            assert store.get_run(A) == RunProperties(A)
        store.update_run(A, name="y")


def test_a_forked_child_and_its_parent_both_go_on(store, fork):
    store.create_run(A)

    def use() -> None:
        assert store.get_run(A) == RunProperties(A)
        store.create_run(B)
        store.close()

    assert fork(use).wait() == 0
    store.add_tag(A, "x")
    assert store.all_runs() == {A: RunProperties(A, tags=("x",)), B: RunProperties(B)}


def test_one_file_stays_open_between_operations_and_no_lock(store, path):
    for _ in range(3):
        store.create_run(A)
        store.all_runs()
        assert open_files().count(path) == 1
    other = sqlite3.connect(path, timeout=0)
    other.execute("BEGIN EXCLUSIVE")
    other.close()
    store.close()
    assert path not in open_files()


def test_a_file_that_was_replaced_is_opened_anew(store, path):
    store.create_run(A)
    content = path.read_bytes()
    store.create_run(B)
    path.unlink()
    path.write_bytes(content)
    assert store.all_runs().keys() == {A}
    store.create_run(C)
    assert store.all_runs().keys() == {A, C}


def open_files():
    return [link.resolve() for link in Path("/proc/self/fd").iterdir()]


def test_threads_share_a_store(store):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.create_run(f"{number:024x}", tags=("x",)), range(40)))
    assert len(store.all_runs()) == 40


def test_the_journal_is_kept_and_empty(url, path, lock):
    with MetadataStore(url, lock=lock) as store:
        store.create_run(A)
    assert path.with_name(path.name + "-journal").stat().st_size == 0
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # not WAL, which would be stored
    connection.close()
