"""Tests of opening containers; opening for reading must change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimstore.abc import Backend, Mode
from aimstore.errors import FencedError, LockedError
from aimstore.testing.data import INDEX, OTHER_PATH, PATH, fill, holds
from aimstore.testing.harness import Harness


class OpeningTests(Harness):
    operation = "opening"

    @pytest.mark.parametrize("path", [PATH, OTHER_PATH, INDEX])
    def test_reading_what_is_not_there_raises_and_makes_nothing(self, backend: Backend, root: Path, path: str) -> None:
        before = sorted(root.rglob("*"))
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                backend.open(path)
        assert sorted(root.rglob("*")) == before
        assert not backend.exists(path)
        assert backend.list("") == []
        assert backend.lock_owner(path) is None

    @pytest.mark.parametrize("path", [PATH, OTHER_PATH, INDEX])
    def test_opening_for_writing_makes_an_empty_container(
        self, backend: Backend, elsewhere: Backend, path: str
    ) -> None:
        with backend.open(path, Mode.WRITE) as container:
            assert container.mode is Mode.WRITE
            assert container.path == path
            holds(container, {})
            assert elsewhere.exists(path)
            with elsewhere.open(path) as reader:
                assert reader.mode is Mode.READ
                holds(reader, {})
        with backend.open(path) as reader:
            holds(reader, {})

    def test_containers_are_apart(self, backend: Backend) -> None:
        paths = [PATH, OTHER_PATH, INDEX, PATH.replace("meta", "seqs"), OTHER_PATH.replace("seqs", "meta")]
        opened = [backend.open(path, Mode.WRITE) for path in paths]
        for container in opened:
            fill(container, {b"path": container.path.encode(), b"only " + container.path.encode(): b""})
        for container in opened:
            holds(container, {b"path": container.path.encode(), b"only " + container.path.encode(): b""})
            container.close()
        backend.delete(paths[0])
        for path in paths[1:]:
            with backend.open(path) as reader:
                holds(reader, {b"path": path.encode(), b"only " + path.encode(): b""})

    def test_there_is_one_writer_and_any_number_of_readers(self, backend: Backend, elsewhere: Backend) -> None:
        with backend.open(PATH, Mode.WRITE) as writer:
            items = fill(writer, {b"a": b"1"})
            for second in (backend, elsewhere):
                with pytest.raises(LockedError):
                    second.open(PATH, Mode.WRITE)
            readers = [each.open(PATH) for each in (backend, elsewhere, backend)]
            for reader in readers:
                holds(reader, items)
            for reader in readers:
                reader.close()
            holds(writer, items)
        with elsewhere.open(PATH, Mode.WRITE) as writer:
            holds(writer, items)

    def test_a_lock_handed_in_is_its_owners(self, backend: Backend) -> None:
        lock = backend.lock(PATH)
        for n in range(2):
            with backend.open(PATH, Mode.WRITE, lock=lock) as container:
                container.put(b"%d" % n, b"")
            lock.check()
            with pytest.raises(LockedError):
                backend.open(PATH, Mode.WRITE)
        lock.release()
        backend.open(PATH, Mode.WRITE).close()

    def test_a_lock_of_another_container_or_a_released_one_opens_nothing(self, backend: Backend) -> None:
        with backend.lock(OTHER_PATH) as lock, pytest.raises(ValueError, match=OTHER_PATH):
            backend.open(PATH, Mode.WRITE, lock=lock)
        with pytest.raises(FencedError):
            backend.open(OTHER_PATH, Mode.WRITE, lock=lock)
        assert backend.list("") == []

    def test_a_lock_is_free_again_where_opening_failed(self, backend: Backend) -> None:
        with backend.open(PATH, Mode.WRITE), pytest.raises(LockedError):
            backend.open(PATH, Mode.WRITE)
        assert backend.lock_owner(PATH) is None
