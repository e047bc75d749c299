"""Locks across threads and real processes."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from multiprocessing.context import ForkContext
from pathlib import Path
from typing import Any

import pytest

from aimstore.errors import ClosedError, FencedError, LockedError, StorageError
from aimstore.storage import locks
from aimstore.storage.locks import FilesystemLock, lock_owner
from aimstore.testing.waiting import WAIT_SECONDS, until

Hold = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "index"


def take(file: Path, timeout: float = 0.0) -> FilesystemLock:
    return FilesystemLock.acquire("meta/index", file, timeout=timeout)


def test_a_held_lock_says_by_whom_and_leaves_no_file_when_released(file: Path) -> None:
    with take(file) as lock:
        lock.check()
        assert not lock.contended()
        assert lock_owner(file) == lock.owner
        assert (lock.owner.pid, lock.owner.host) == (os.getpid(), socket.gethostname())
    assert not list(file.parent.iterdir())
    assert lock_owner(file) is None
    lock.release()
    for method in (lock.check, lock.contended):
        with pytest.raises(FencedError, match="released"):
            method()


def test_tokens_differ_from_one_acquisition_to_the_next(file: Path) -> None:
    with take(file) as first:
        pass
    with take(file) as second:
        assert first.owner.token != second.owner.token


def test_a_second_lock_in_the_same_process_is_refused_in_any_thread(file: Path) -> None:
    refused: list[BaseException] = []

    def attempt() -> None:
        try:
            take(file)
        except LockedError as error:
            refused.append(error)

    with take(file) as lock:
        attempt()
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        lock.check()
    assert [error.owner for error in refused if isinstance(error, LockedError)] == [lock.owner] * 2


def test_a_lock_may_be_released_by_another_thread(file: Path) -> None:
    lock = take(file)
    thread = threading.Thread(target=lock.release)
    thread.start()
    thread.join()
    take(file).release()


def test_dropping_the_lock_object_frees_the_lock(file: Path) -> None:
    lock = take(file)
    del lock
    take(file).release()


def test_the_refusal_names_the_holding_process(file: Path, hold: Hold) -> None:
    process = hold(file)
    with pytest.raises(LockedError, match=rf"meta/index is locked by process {process.pid} on .* since \d{{4}}-") as e:
        take(file)
    assert e.value.owner is not None
    assert e.value.owner.pid == process.pid
    process.communicate()
    take(file).release()


def test_the_lock_of_a_killed_process_is_free_at_once_and_its_file_is_used_again(file: Path, hold: Hold) -> None:
    process = hold(file)
    process.kill()
    process.wait()
    assert file.exists()
    assert lock_owner(file) is None
    inode = file.stat().st_ino
    with take(file) as lock:
        assert file.stat().st_ino == inode
        assert lock_owner(file) == lock.owner
    assert not file.exists()


@pytest.mark.parametrize("left_behind", ["", "{", "[]", '{"pid": 1}', "\0" * 500])
def test_what_a_file_says_decides_nothing(file: Path, left_behind: str) -> None:
    file.parent.mkdir()
    file.write_text(left_behind)
    assert lock_owner(file) is None
    with take(file) as lock:
        assert lock_owner(file) == lock.owner
        file.write_text(left_behind)
        owner = lock_owner(file)
        assert owner is not None
        assert owner.pid == 0
        with pytest.raises(LockedError, match="by another process"):
            take(file)
        lock.check()


def test_a_lock_file_removed_by_hand_fences_its_holder(file: Path, hold: Hold) -> None:
    lock = take(file)
    file.unlink()
    with pytest.raises(FencedError, match="is lost"):
        lock.check()
    process = hold(file)
    with pytest.raises(FencedError, match="replaced"):
        lock.check()
    lock.release()
    owner = lock_owner(file)
    assert owner is not None
    assert owner.pid == process.pid


def test_a_waiter_announces_itself_and_gets_the_lock(file: Path, forking: ForkContext) -> None:
    def wait() -> None:
        with take(file, timeout=WAIT_SECONDS) as lock:
            assert not lock.contended()
            lock.check()

    lock = take(file)
    process = forking.Process(target=wait)
    process.start()
    while not lock.contended():
        assert process.is_alive()
    lock.release()
    process.join()
    assert process.exitcode == 0
    assert not list(file.parent.iterdir())


def test_a_holder_that_queues_again_comes_after_those_who_wait(file: Path) -> None:
    order: list[str] = []

    def wait() -> None:
        with take(file, timeout=WAIT_SECONDS):
            order.append("waiter")

    lock = take(file)
    thread = threading.Thread(target=wait)
    thread.start()
    until(lock.contended, "a lock that somebody waits for is not contended")
    lock.release()
    with take(file, timeout=WAIT_SECONDS):
        order.append("holder")
    thread.join()
    assert order == ["waiter", "holder"]


def test_a_waiter_gives_up_at_its_timeout_and_leaves_the_queue(file: Path) -> None:
    with take(file) as lock:
        with pytest.raises(LockedError):
            take(file, timeout=0.02)
        assert not lock.contended()
        assert list(file.parent.iterdir()) == [file]


def test_a_killed_waiter_is_forgotten(file: Path, forking: ForkContext) -> None:
    lock = take(file)
    process = forking.Process(target=take, args=(file, 60))
    process.start()
    while not lock.contended():
        assert process.is_alive()
    process.kill()
    process.join()
    assert not lock.contended()
    lock.release()
    take(file, timeout=WAIT_SECONDS).release()


def test_of_many_processes_that_start_at_once_one_wins(file: Path, forking: ForkContext) -> None:
    start, end = forking.Barrier(32), forking.Barrier(32)
    results: Any = forking.SimpleQueue()

    def attempt() -> None:
        start.wait()
        try:
            lock = take(file)
            results.put((os.getpid(), lock.owner.pid))
        except LockedError as error:
            results.put((os.getpid(), error.owner.pid if error.owner else None))
        end.wait()

    processes = [forking.Process(target=attempt) for _ in range(32)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    outcomes = dict(results.get() for _ in processes)
    winners = [pid for pid, owner in outcomes.items() if owner == pid]
    assert len(winners) == 1
    assert set(outcomes.values()) == set(winners)


def test_many_processes_contending_hold_it_one_at_a_time(file: Path, forking: ForkContext) -> None:
    """Half of them wait, half of them try again and again; each enters five times."""
    inside = file.parent.parent / "inside"
    start = forking.Barrier(32)
    entered = forking.Value("i", 0)

    def contend(timeout: float) -> None:
        start.wait()
        mine = 0
        while mine < 5:
            try:
                lock = take(file, timeout)
            except LockedError:
                continue
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails if somebody else is inside
            lock.check()
            entered.value += 1  # not atomic: the lock makes it so
            inside.unlink()
            lock.release()
            mine += 1

    processes = [forking.Process(target=contend, args=(60.0 * (n % 2),)) for n in range(32)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert entered.value == 32 * 5


def test_looking_at_a_lock_never_makes_an_acquirer_fail(file: Path, forking: ForkContext) -> None:
    file.parent.mkdir()
    file.touch()
    done = forking.Event()

    def look() -> None:
        while not done.is_set():
            lock_owner(file)

    lookers = [forking.Process(target=look) for _ in range(3)]
    for process in lookers:
        process.start()
    try:
        for _ in range(300):
            take(file).release()
            file.touch()
    finally:
        done.set()
    for process in lookers:
        process.join()
        assert process.exitcode == 0


def test_a_forked_child_neither_holds_nor_keeps_its_parents_lock(file: Path, forking: ForkContext) -> None:
    """The parent is killed while its child lives on: the lock is free then, and was not before."""
    talk, listen = os.pipe()[::-1]
    stay, go = os.pipe()

    def parent() -> None:
        lock = take(file)
        if os.fork() == 0:
            refusals = 0
            for method in (lock.check, lock.contended):
                try:
                    method()
                except ClosedError:
                    refusals += 1
            lock.release()
            os.write(talk, b"2" if refusals == 2 else b"x")
            os.close(go)
            os.read(stay, 1)
            os._exit(0)
        signal.pause()

    process = forking.Process(target=parent)
    process.start()
    assert os.read(listen, 1) == b"2"
    assert process.pid is not None
    with pytest.raises(LockedError):
        take(file)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    take(file).release()
    for descriptor in (talk, listen, stay, go):
        os.close(descriptor)


def test_a_forked_child_can_wait_for_its_parents_lock(file: Path, forking: ForkContext) -> None:
    lock = take(file)
    process = forking.Process(target=lambda: take(file, timeout=WAIT_SECONDS).release())
    process.start()
    while not lock.contended():
        assert process.is_alive()
    lock.check()
    lock.release()
    process.join()
    assert process.exitcode == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_named(file: Path) -> None:
    file.parent.mkdir(mode=0o500)
    with pytest.raises(StorageError, match=rf"{re.escape(str(file))}: Permission denied"):
        take(file)


def test_a_lock_file_that_cannot_be_made_is_named(file: Path) -> None:
    file.parent.write_text("not a directory")
    with pytest.raises(StorageError, match=re.escape(str(file.parent))):
        take(file)
    with pytest.raises(StorageError, match=re.escape(str(file))):
        lock_owner(file)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.ENOLCK])
def test_a_refusal_of_the_system_leaves_the_lock_free(file: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(locks.os, "pwrite", refuse)
        with pytest.raises(StorageError, match=rf"{re.escape(str(file))}: {os.strerror(code)}") as caught:
            take(file)
    assert caught.value.errno == code
    take(file).release()


def test_a_symbolic_link_in_the_place_of_a_lock_file_is_refused(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("somebody else's")
    file.parent.mkdir()
    file.symlink_to(target)
    with pytest.raises(StorageError, match=re.escape(str(file))):
        take(file)
    assert target.read_text() == "somebody else's"


def test_a_pipe_in_the_place_of_a_lock_file_is_refused(file: Path) -> None:
    file.parent.mkdir()
    os.mkfifo(file)
    with pytest.raises(StorageError, match=f"{re.escape(str(file))}: not a regular file"):
        take(file)


def test_a_file_with_another_name_is_not_written_to(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("somebody else's")
    file.parent.mkdir()
    file.hardlink_to(target)
    with take(file) as lock:
        lock.check()
        assert lock_owner(file) == lock.owner
    assert target.read_text() == "somebody else's"


def test_no_child_keeps_a_lock_file_open_whenever_it_is_forked(file: Path) -> None:
    done = threading.Event()

    def take_turns() -> None:
        while not done.is_set():
            take(file, timeout=WAIT_SECONDS).release()

    threads = [threading.Thread(target=take_turns) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            child = os.fork()
            if child == 0:
                opened = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
                os._exit(any(str(file) in str(name) for name in opened))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_a_lock_of_this_process_is_described_as_its_own(file: Path) -> None:
    with take(file), pytest.raises(LockedError, match="which is this process; close what holds it here"):
        take(file)
