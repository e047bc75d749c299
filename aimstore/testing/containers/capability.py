"""Tests that the capabilities which a backend declares are true."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from aimstore.abc import Backend, Capability, Container, KeyRange, Mode, WriteBatch
from aimstore.errors import UnsupportedError
from aimstore.testing import tasks
from aimstore.testing.data import PATH, TRICKY_ITEMS, fill, holds, numbered
from aimstore.testing.harness import Harness, Start, needs


class CapabilityTests(Harness):
    operation = "capability"

    def test_backend_and_container_declare_the_same(self, backend: Backend, container: Container) -> None:
        assert isinstance(backend.capability, Capability)
        assert container.capability == backend.capability
        for field in fields(Capability):
            value = getattr(backend.capability, field.name)
            assert isinstance(value, bool) or (field.name == "max_key_size" and (value is None or value >= 1))

    @needs("persistent")
    def test_persistent_containers_outlive_the_backend(self, root: Path) -> None:
        with self.open_backend(root) as first, first.open(PATH, Mode.WRITE) as container:
            items = fill(container, TRICKY_ITEMS | numbered(1000))
        with self.open_backend(root) as second:
            assert second.list("") == [PATH]
            with second.open(PATH) as reader:
                holds(reader, items)

    @needs("persistent")
    def test_persistent_containers_outlive_their_process(self, backend: Backend, start: Start) -> None:
        writer = start(tasks.fill_and_leave, PATH, 5, "close")
        writer.hear()
        writer.ends()
        with backend.open(PATH, Mode.WRITE) as container:
            holds(container, tasks.batches(5))

    @needs("persistent", "multi_process")
    def test_multi_process_readers_open_beside_the_writer(self, container: Container, start: Start) -> None:
        items = fill(container, TRICKY_ITEMS)
        readers = [start(tasks.read, PATH) for _ in range(2)]
        for reader in readers:
            assert reader.hear() == [[key.hex(), value.hex()] for key, value in sorted(items.items())]

    @needs("durable_sync")
    def test_durable_sync_flushes(self, container: Container, elsewhere: Backend) -> None:
        items = fill(container, numbered(100))
        container.flush(sync=True)
        with elsewhere.open(PATH) as reader:
            holds(reader, items)


class KeySizeTests(Harness):
    operation = "key size"
    about = ("max_key_size",)

    def test_the_longest_key_is_as_long_as_declared(self, container: Container) -> None:
        limit = container.capability.max_key_size
        longest = b"k" * (65_535 if limit is None else limit)
        items = fill(container, {longest: b"longest", b"l": b"next"} if len(longest) > 1 else {longest: b"longest"})
        holds(container, items)
        assert list(container.scan(KeyRange(longest, longest + b"\x00"))) == [(longest, b"longest")]
        if limit is None:
            return
        batch = WriteBatch()
        batch.put(b"m", b"value")
        batch.delete(b"l")
        batch.put(longest + b"k", b"too long")
        with pytest.raises(UnsupportedError):
            container.write(batch)
        with pytest.raises(UnsupportedError):
            container.delete(longest + b"k")
        holds(container, items)
        assert container.get(longest + b"k") is None
        assert list(container.scan(KeyRange(longest + b"k"))) == [item for item in items.items() if item[0] > longest]
