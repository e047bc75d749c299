"""Tests of writing: `put`, `delete`, reading own writes, refused writes."""

from __future__ import annotations

from typing import Any

import pytest

from aimstore.abc import Backend, Container, Mode
from aimstore.testing.data import PATH, TRICKY_ITEMS, batch_of, fill, holds, numbered
from aimstore.testing.harness import Harness


class WriteTests(Harness):
    operation = "write"

    def test_a_put_replaces_what_was_there(self, container: Container) -> None:
        container.put(b"key", b"old and longer")
        container.put(b"key", b"new")
        holds(container, {b"key": b"new"})

    def test_a_deleted_key_is_gone_and_may_be_put_again(self, container: Container) -> None:
        fill(container, {b"a": b"1", b"b": b"2", b"c": b"3"})
        container.delete(b"b")
        assert container.get(b"b") is None
        holds(container, {b"a": b"1", b"c": b"3"})
        container.put(b"b", b"again")
        holds(container, {b"a": b"1", b"b": b"again", b"c": b"3"})

    def test_deleting_a_missing_key_does_nothing(self, container: Container) -> None:
        container.delete(b"missing")
        container.put(b"a", b"1")
        container.delete(b"missing")
        holds(container, {b"a": b"1"})

    def test_a_writer_reads_its_own_writes_at_once(self, container: Container) -> None:
        for n in range(200):
            container.put(b"%03d" % n, b"%d" % n)
            assert container.get(b"%03d" % n) == b"%d" % n
            assert container.last() == (b"%03d" % n, b"%d" % n)
            assert len(list(container.keys())) == n + 1

    @pytest.mark.parametrize("key", ["text", bytearray(b"key"), memoryview(b"key"), 1, None])
    def test_a_key_that_is_not_bytes_is_refused(self, container: Container, key: Any) -> None:
        with pytest.raises(TypeError):
            container.put(key, b"value")
        with pytest.raises(TypeError):
            container.delete(key)
        holds(container, {})

    @pytest.mark.parametrize("value", ["text", bytearray(b"value"), 1, None])
    def test_a_value_that_is_not_bytes_is_refused(self, container: Container, value: Any) -> None:
        with pytest.raises(TypeError):
            container.put(b"key", value)
        holds(container, {})

    def test_an_empty_key_is_refused(self, container: Container) -> None:
        with pytest.raises(ValueError, match="key"):
            container.put(b"", b"value")
        with pytest.raises(ValueError, match="key"):
            container.delete(b"")
        holds(container, {})

    def test_what_was_written_is_there_when_the_container_is_opened_again(self, backend: Backend) -> None:
        items = TRICKY_ITEMS | numbered(2000, 64)
        with backend.open(PATH, Mode.WRITE) as container:
            fill(container, items)
            container.write(batch_of(dict.fromkeys(list(items)[::3])))
        kept = {key: value for n, (key, value) in enumerate(items.items()) if n % 3}
        for mode in (Mode.READ, Mode.WRITE, Mode.READ):
            with backend.open(PATH, mode) as container:
                holds(container, kept)

    @pytest.mark.parametrize("sync", [False, True])
    def test_flush_returns_and_changes_nothing(self, container: Container, sync: bool) -> None:
        container.flush(sync=sync)
        items = fill(container, TRICKY_ITEMS)
        container.flush(sync=sync)
        container.flush(sync=sync)
        holds(container, items)
