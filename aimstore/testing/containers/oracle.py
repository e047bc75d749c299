"""Tests that the engine's own library finds in a container the data that was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimstore.abc import Backend, KeyRange, Mode
from aimstore.testing import tasks
from aimstore.testing.data import PATH, TRICKY_ITEMS, fill, numbered
from aimstore.testing.harness import Harness, Start, needs


class OracleTests(Harness):
    operation = "oracle"

    def compare(self, root: Path, expected: dict[bytes, bytes]) -> None:
        found = self.oracle(root / PATH)
        if found is None:
            pytest.skip("no oracle is given")
        assert dict(found) == expected

    @needs("persistent")
    def test_the_engine_finds_what_was_written(self, backend: Backend, root: Path) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            items = fill(container, TRICKY_ITEMS | numbered(3000, 64))
            container.delete_range(KeyRange(b"key00001000", b"key00001100"))
            container.delete_range(KeyRange(b"key00001500", b"key00002900"))
            container.delete(b"a")
        gone = [b"a", *(b"key%08d" % n for n in (*range(1000, 1100), *range(1500, 2900)))]
        self.compare(root, {key: value for key, value in items.items() if key not in set(gone)})

    @needs("persistent")
    def test_the_engine_finds_what_a_killed_writer_was_acknowledged(self, root: Path, start: Start) -> None:
        writer = start(tasks.write_batches, PATH, "on request")
        for number in range(20):
            assert writer.hear() == number
            if number < 19:
                writer.say()
        writer.kill()
        self.compare(root, tasks.batches(20))
