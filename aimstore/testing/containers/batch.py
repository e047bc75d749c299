"""Tests of batches: operations apply in order, the last operation on a key wins, all or nothing is written."""

from __future__ import annotations

import pytest

from aimstore.abc import Backend, Container, KeyRange, Mode, WriteBatch
from aimstore.testing.data import OTHER_PATH, fill, holds, numbered
from aimstore.testing.harness import Harness


class BatchTests(Harness):
    operation = "batch"

    def test_an_empty_batch_does_nothing(self, container: Container) -> None:
        container.write(WriteBatch())
        holds(container, {})

    def test_the_last_word_on_a_key_holds(self, container: Container) -> None:
        fill(container, {b"a": b"before", b"b": b"before", b"c": b"before", b"d": b"before"})
        batch = WriteBatch()
        batch.put(b"a", b"1")
        batch.put(b"a", b"2")
        batch.put(b"b", b"1")
        batch.delete(b"b")
        batch.delete(b"c")
        batch.put(b"c", b"1")
        batch.delete(b"d")
        batch.put(b"d", b"1")
        batch.delete(b"d")
        batch.delete(b"missing")
        container.write(batch)
        holds(container, {b"a": b"2", b"c": b"1"})

    def test_range_deletes_take_effect_in_order(self, container: Container) -> None:
        fill(container, {b"a": b"old", b"b1": b"old", b"b2": b"old", b"c": b"old"})
        batch = WriteBatch()
        batch.put(b"b3", b"put before")
        batch.put(b"b1", b"put before")
        batch.delete_range(KeyRange.prefix(b"b"))
        batch.put(b"b2", b"put after")
        batch.put(b"c", b"put before")
        batch.delete_range(KeyRange(b"c"))
        container.write(batch)
        holds(container, {b"a": b"old", b"b2": b"put after"})

    def test_several_ranges_in_one_batch(self, container: Container) -> None:
        items = fill(container, numbered(100))
        batch = WriteBatch()
        batch.delete_range(KeyRange(b"key00000010", b"key00000030"))
        batch.put(b"key00000020", b"between")
        batch.delete_range(KeyRange(b"key00000020", b"key00000050"))
        batch.put(b"key00000025", b"after")
        batch.delete_range(KeyRange(b"key00000090"))
        container.write(batch)
        kept = {k: v for n, (k, v) in enumerate(items.items()) if not 10 <= n < 50 and n < 90}
        holds(container, kept | {b"key00000025": b"after"})

    def test_a_batch_may_be_applied_again_and_elsewhere(self, backend: Backend, container: Container) -> None:
        batch = WriteBatch()
        batch.delete_range(KeyRange())
        batch.put(b"a", b"1")
        before = list(batch.ops)
        container.write(batch)
        container.put(b"b", b"2")
        container.write(batch)
        holds(container, {b"a": b"1"})
        with backend.open(OTHER_PATH, Mode.WRITE) as other:
            other.write(batch)
            holds(other, {b"a": b"1"})
        assert batch.ops == before

    def test_a_batch_kept_by_its_writer_may_grow_afterwards(self, container: Container) -> None:
        batch = WriteBatch()
        batch.put(b"a", b"1")
        container.write(batch)
        batch.put(b"b", b"2")
        holds(container, {b"a": b"1"})

    @pytest.mark.parametrize(("count", "size"), [(20_000, 16), (20, 500_000)])
    def test_large_batches(self, container: Container, count: int, size: int) -> None:
        holds(container, fill(container, numbered(count, size)))
