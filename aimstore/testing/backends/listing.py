"""Tests of listing containers, of their sizes, and of deleting them."""

from __future__ import annotations

import random

import pytest

from aimstore.abc import Backend, Mode
from aimstore.errors import StorageError
from aimstore.testing.data import INDEX, OTHER_PATH, PATH, fill, holds, numbered
from aimstore.testing.harness import Harness


class ListingTests(Harness):
    operation = "listing"

    def test_an_unused_backend_holds_nothing(self, backend: Backend) -> None:
        assert backend.list("") == backend.list("meta/chunks/") == backend.marked("") == []
        assert not backend.exists(PATH)
        assert backend.size(PATH) == 0
        assert backend.version(PATH) is None
        backend.delete(PATH)

    def test_paths_are_listed_in_order_by_prefix(self, backend: Backend, elsewhere: Backend) -> None:
        runs = [f"{random.Random(n).getrandbits(96):024x}" for n in range(12)]
        paths = [f"{kind}/chunks/{run}" for run in runs for kind in ("seqs", "meta")] + [INDEX]
        for path in paths:
            backend.open(path, Mode.WRITE).close()
        for each in (backend, elsewhere):
            assert each.list("") == sorted(paths)
            assert each.list("meta/") == sorted(path for path in paths if path.startswith("meta/"))
            assert each.list("meta/chunks/") == sorted(f"meta/chunks/{run}" for run in runs)
            assert each.list("seqs/chunks/") == sorted(f"seqs/chunks/{run}" for run in runs)
            assert each.list("none/") == []
            assert all(map(each.exists, paths))

    def test_locks_and_markers_are_no_containers(self, backend: Backend) -> None:
        backend.mark(PATH)
        with backend.lock(PATH):
            assert backend.list("") == []
            assert not backend.exists(PATH)
            assert backend.version(PATH) is None

    def test_a_deleted_container_is_gone(self, backend: Backend, elsewhere: Backend) -> None:
        for path in (PATH, OTHER_PATH, INDEX):
            with backend.open(path, Mode.WRITE) as container:
                fill(container, numbered(300))
        with backend.lock(PATH):
            backend.delete(PATH)
            backend.delete(PATH)
        for each in (backend, elsewhere):
            assert each.list("") == sorted([OTHER_PATH, INDEX])
            assert not each.exists(PATH)
            assert each.size(PATH) == 0
            assert each.version(PATH) is None
            with pytest.raises(FileNotFoundError):
                each.open(PATH)

    def test_a_container_made_anew_holds_nothing_of_the_deleted_one(self, backend: Backend) -> None:
        for n in range(3):
            with backend.open(PATH, Mode.WRITE) as container:
                holds(container, {})
                fill(container, numbered(100, name=b"%d" % n))
            with backend.lock(PATH):
                backend.delete(PATH)

    def test_a_reader_of_a_deleted_container_reads_on_or_is_told(self, backend: Backend, elsewhere: Backend) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            items = fill(container, numbered(500))
        with elsewhere.open(PATH) as reader:
            with backend.lock(PATH):
                backend.delete(PATH)
            try:
                found = dict(reader.items())
            except StorageError:
                return
            assert found == items

    def test_size_is_that_of_the_data(self, backend: Backend) -> None:
        data = {b"%03d" % n: random.Random(n).randbytes(10_000) for n in range(100)}
        with backend.open(PATH, Mode.WRITE) as container:
            fill(container, data)
        backend.open(OTHER_PATH, Mode.WRITE).close()
        assert 900_000 < backend.size(PATH) < 10_000_000
        assert backend.size(OTHER_PATH) < 1_000_000
