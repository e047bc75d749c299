"""Tests of a killed writer: acknowledged batches are complete, no batch is partial, and the container opens."""

from __future__ import annotations

import time

import pytest

from aimstore.abc import Backend, Mode
from aimstore.testing import tasks
from aimstore.testing.data import PATH, holds
from aimstore.testing.harness import Harness, Start, needs


class CrashTests(Harness):
    operation = "crash"

    @needs("persistent")
    @pytest.mark.parametrize("how", ["", "flush", "sync"])
    def test_what_was_acknowledged_survives_a_kill(self, backend: Backend, start: Start, how: str) -> None:
        """Kill the writer of the same container after 1, 30 and 200 more batches."""
        at_least = 0
        for more in (1, 30, 200):
            writer = start(tasks.write_batches, PATH, how)
            for _ in range(more):
                at_least = writer.hear() + 1
            writer.kill()
            for mode in (Mode.READ, Mode.WRITE):
                with backend.open(PATH, mode) as container:
                    items = dict(container.items())
                    count = int(items.get(b"last", b"-1")) + 1
                    assert count >= at_least, f"{at_least} batches were acknowledged, {count} are there"
                    holds(container, tasks.batches(count))

    @needs("persistent")
    def test_no_part_of_a_large_batch_survives_a_kill(self, backend: Backend, start: Start) -> None:
        for part in (0.0, 0.25, 0.5, 0.75, 0.9):
            writer = start(tasks.write_large_batches, PATH)
            writer.hear()
            began = time.monotonic()
            begun = writer.hear()
            time.sleep((time.monotonic() - began) * part)  # into the middle of the current batch
            writer.kill()
            with backend.open(PATH, Mode.WRITE) as container:
                keys = list(container.keys())
                assert len(keys) % 2000 == 0, f"{len(keys)} items of batches of 2000"
                assert begun <= len(keys) // 2000
                assert keys == [b"%08d/%04d" % (n, part) for n in range(len(keys) // 2000) for part in range(2000)]
            with backend.lock(PATH):
                backend.delete(PATH)

    @needs("persistent")
    @pytest.mark.parametrize("how", ["close", "exit", "_exit"])
    def test_what_was_written_survives_its_process_however_it_leaves(
        self, backend: Backend, start: Start, how: str
    ) -> None:
        writer = start(tasks.fill_and_leave, PATH, 50, how)
        assert writer.hear() == 50
        writer.ends()
        with backend.open(PATH) as reader:
            holds(reader, tasks.batches(50))
        with backend.open(PATH, Mode.WRITE) as container:
            holds(container, tasks.batches(50))

    @needs("persistent")
    def test_a_container_whose_deletion_was_cut_short_opens_or_is_gone(self, backend: Backend, start: Start) -> None:
        for rounds in (1, 2, 4):
            deleter = start(tasks.delete_again_and_again, PATH)
            for _ in range(rounds):
                deleter.hear()
            deleter.kill()
            if backend.exists(PATH):
                with backend.open(PATH) as reader:
                    list(reader.items())
            else:
                with pytest.raises(FileNotFoundError):
                    backend.open(PATH)
            with backend.lock(PATH):
                backend.delete(PATH)
            with backend.open(PATH, Mode.WRITE) as container:
                holds(container, {})
