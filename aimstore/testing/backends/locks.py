"""Tests of locks: one holder among all threads and processes, free if it dies, lost only with `FencedError`."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimstore.abc import Backend, Mode
from aimstore.errors import AimstoreError, ClosedError, FencedError, LockedError, LockOwner
from aimstore.testing import tasks
from aimstore.testing.containers.fork import in_a_child
from aimstore.testing.data import INDEX, OTHER_PATH, PATH, fill, holds, numbered
from aimstore.testing.harness import Harness, Start, needs
from aimstore.testing.waiting import WAIT_SECONDS, Background, until


class LockTests(Harness):
    operation = "locks"

    @pytest.mark.parametrize("path", [PATH, INDEX])
    def test_there_is_one_holder_and_it_is_known(self, backend: Backend, elsewhere: Backend, path: str) -> None:
        assert backend.lock_owner(path) is None
        lock = backend.lock(path)
        assert lock.path == path
        lock.check()
        for each in (backend, elsewhere):
            assert each.lock_owner(path) == lock.owner
            for timeout in (0.0, 0.05):
                with pytest.raises(LockedError) as caught:
                    each.lock(path, timeout=timeout)
                assert caught.value.owner == lock.owner
                assert path in str(caught.value)
        lock.check()
        lock.release()
        for each in (backend, elsewhere):
            assert each.lock_owner(path) is None
        elsewhere.lock(path).release()

    def test_locks_of_different_containers_are_apart(self, backend: Backend) -> None:
        with backend.lock(PATH), backend.lock(OTHER_PATH) as other, backend.lock(INDEX):
            assert other.path == OTHER_PATH

    def test_each_acquisition_has_a_token_of_its_own(self, backend: Backend) -> None:
        owners = []
        for _ in range(5):
            with backend.lock(PATH) as lock:
                owners.append(lock.owner)
        assert len({owner.token for owner in owners}) == 5
        assert all(owner.since > 1.6e9 and owner.pid and owner.host for owner in owners)

    def test_a_second_release_does_nothing(self, backend: Backend) -> None:
        first = backend.lock(PATH)
        first.release()
        first.release()
        with backend.lock(PATH) as second:
            first.release()
            second.check()
            with pytest.raises(LockedError):
                backend.lock(PATH)

    def test_a_released_lock_writes_nothing(self, backend: Backend) -> None:
        lock = backend.lock(PATH)
        with backend.open(PATH, Mode.WRITE, lock=lock) as container:
            items = fill(container, numbered(10))
            lock.release()
            with pytest.raises(FencedError):
                lock.check()
            with pytest.raises(FencedError):
                container.put(b"late", b"value")
            with pytest.raises(FencedError):
                container.delete(b"key00000001")
            assert dict(container.items()) == items
        with backend.open(PATH) as reader:
            holds(reader, items)

    def test_a_lost_lock_writes_nothing(self, backend: Backend, root: Path) -> None:
        container = backend.open(PATH, Mode.WRITE)
        items = fill(container, numbered(10))
        if not self.lose_lock(root, PATH):
            container.close()
            pytest.skip("its locks cannot be lost")
        with pytest.raises(FencedError):
            container.put(b"late", b"value")
        container.close()
        with backend.open(PATH) as reader:
            holds(reader, items)

    def test_a_waiter_gets_the_lock_when_it_is_released(self, backend: Backend, elsewhere: Backend) -> None:
        lock = backend.lock(PATH)
        assert not lock.contended()
        had: list[LockOwner] = []

        def wait() -> None:
            with elsewhere.lock(PATH, timeout=WAIT_SECONDS) as mine:
                had.append(mine.owner)

        with Background(wait) as waiter:
            until(lambda: lock.contended() or not waiter.running, "a lock that somebody waits for is not contended")
            assert had == []
            lock.release()
        assert had[0] != lock.owner
        with backend.lock(PATH, timeout=WAIT_SECONDS) as lock:
            assert not lock.contended()

    def test_a_lock_held_for_care_says_so(self, backend: Backend, elsewhere: Backend) -> None:
        for maintenance in (False, True):
            with backend.lock(PATH, maintenance=maintenance) as lock:
                owner = elsewhere.lock_owner(PATH)
                assert owner == lock.owner
                assert owner is not None
                assert owner.maintenance is maintenance

    def test_a_thread_may_release_the_lock_of_another(self, backend: Backend) -> None:
        lock = backend.lock(PATH)
        Background(lock.release).result()
        backend.lock(PATH).release()

    def test_a_child_does_not_hold_its_parents_lock(self, backend: Backend, elsewhere: Backend) -> None:
        lock = backend.lock(PATH)

        def work() -> str:
            for method in (lock.check, lock.contended):
                try:
                    method()
                except ClosedError:
                    continue
                except AimstoreError as error:
                    return f"{method.__name__} raised {error!r}"
                return f"{method.__name__} raised nothing"
            lock.release()
            return "not held"

        assert in_a_child(work) == "not held"
        lock.check()
        assert elsewhere.lock_owner(PATH) == lock.owner
        with pytest.raises(LockedError):
            elsewhere.lock(PATH)
        lock.release()
        elsewhere.lock(PATH).release()

    @needs("multi_process")
    def test_another_process_holds_and_releases(self, backend: Backend, start: Start) -> None:
        holder = start(tasks.hold_lock, PATH)
        owner = LockOwner(*holder.hear())
        assert owner.pid == holder.pid
        assert backend.lock_owner(PATH) == owner
        with pytest.raises(LockedError) as caught:
            backend.open(PATH, Mode.WRITE)
        assert caught.value.owner == owner
        holder.say()
        holder.hear()
        assert backend.lock_owner(PATH) is None
        backend.open(PATH, Mode.WRITE).close()

    @needs("multi_process")
    def test_a_killed_holder_holds_no_longer(self, backend: Backend, start: Start) -> None:
        for path in (PATH, INDEX):
            holder = start(tasks.hold_lock, path)
            holder.hear()
            holder.kill()
            with backend.lock(path, timeout=WAIT_SECONDS) as lock:
                assert backend.lock_owner(path) == lock.owner

    @needs("multi_process")
    def test_a_killed_writer_leaves_its_container_to_the_next(self, backend: Backend, start: Start) -> None:
        writer = start(tasks.write_batches, PATH, "on request")
        writer.hear()
        with pytest.raises(LockedError):
            backend.open(PATH, Mode.WRITE)
        writer.kill()
        with (
            backend.lock(PATH, timeout=WAIT_SECONDS) as lock,
            backend.open(PATH, Mode.WRITE, lock=lock) as container,
        ):
            holds(container, tasks.batches(1))

    @needs("multi_process")
    def test_processes_wait_for_one_another(self, backend: Backend, start: Start) -> None:
        lock = backend.lock(PATH)
        impatient, patient = start(tasks.wait_for_lock, PATH, 0.05), start(tasks.wait_for_lock, PATH, WAIT_SECONDS)
        assert impatient.hear() == patient.hear() == "waiting"
        assert impatient.hear() == "locked"
        until(lock.contended, "a lock that another process waits for is not contended")
        lock.release()
        assert patient.hear() == "held"
        impatient.ends()
        patient.ends()

    @needs("multi_process")
    def test_of_many_processes_one_at_a_time_holds_it(self, start: Start, tmp_path: Path) -> None:
        contenders = [start(tasks.take_turns, INDEX, 25, str(tmp_path / "held")) for _ in range(3)]
        for contender in contenders:
            contender.hear()
        for contender in contenders:
            contender.say()
        for contender in contenders:
            assert contender.hear() == "done"
            contender.ends()
