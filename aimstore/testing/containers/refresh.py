"""Tests of visibility: readers see the state at their opening or last refresh, in other processes too."""

from __future__ import annotations

from aimstore.abc import Backend, Container, KeyRange, Mode
from aimstore.testing import tasks
from aimstore.testing.data import PATH, batch_of, fill, holds, numbered
from aimstore.testing.harness import Harness, Start, needs


class RefreshTests(Harness):
    operation = "refresh"

    def test_a_reader_sees_what_was_committed_when_it_opened(self, container: Container, elsewhere: Backend) -> None:
        for n in range(5):
            container.put(b"%d" % n, b"value")
            with elsewhere.open(PATH) as reader:
                assert len(list(reader.keys())) == n + 1

    def test_refresh_shows_every_kind_of_change(self, container: Container, elsewhere: Backend) -> None:
        model = fill(container, numbered(300))
        with elsewhere.open(PATH) as reader:
            holds(reader, model)
            model |= fill(container, {b"key00000000": b"changed", b"new": b"value"})
            reader.refresh()
            holds(reader, model)
            container.write(batch_of({b"new": None, b"key00000001": None}))
            container.delete_range(KeyRange(b"key00000100", b"key00000200"))
            reader.refresh()
            holds(reader, dict(container.items()))
            assert reader.get(b"key00000150") is None
            container.delete_range(KeyRange())
            reader.refresh()
            holds(reader, {})

    def test_refresh_shows_each_of_many_small_changes(self, container: Container, elsewhere: Backend) -> None:
        """Even if a change alters neither the number of bytes nor, within one tick of the clock, the time of a file."""
        container.put(b"key", b"000")
        with elsewhere.open(PATH) as reader:
            for n in range(1, 60):
                container.put(b"key", b"%03d" % n)
                reader.refresh()
                assert reader.get(b"key") == b"%03d" % n

    def test_refreshing_without_a_change_is_no_change(self, container: Container, elsewhere: Backend) -> None:
        items = fill(container, numbered(20))
        container.refresh()
        with elsewhere.open(PATH) as reader:
            for _ in range(3):
                reader.refresh()
                holds(reader, items)

    def test_a_reader_follows_a_writer_that_closes_and_opens_again(self, backend: Backend, elsewhere: Backend) -> None:
        backend.open(PATH, Mode.WRITE).close()
        model: dict[bytes, bytes] = {}
        with elsewhere.open(PATH) as reader:
            for n in range(5):
                with backend.open(PATH, Mode.WRITE) as container:
                    model |= fill(container, numbered(50, name=b"%d" % n))
                reader.refresh()
                holds(reader, model)

    @needs("persistent", "multi_process")
    def test_another_process_sees_what_is_written_here(self, container: Container, start: Start) -> None:
        items = fill(container, numbered(100))
        reader = start(tasks.read, PATH)
        for n in range(4):
            assert reader.hear() == [[key.hex(), value.hex()] for key, value in sorted(items.items())]
            items |= fill(container, {b"more%d" % n: b"value"})
            container.delete(b"key%08d" % n)
            del items[b"key%08d" % n]
            reader.say()
        reader.hear()
        reader.ends()

    @needs("persistent", "multi_process")
    def test_what_another_process_writes_is_seen_here(self, backend: Backend, start: Start) -> None:
        writer = start(tasks.write_batches, PATH, "on request")
        writer.hear()
        with backend.open(PATH) as reader:
            for n in range(1, 5):
                writer.say()
                assert writer.hear() == n
                reader.refresh()
                holds(reader, tasks.batches(n + 1))
