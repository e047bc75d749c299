"""Tests of deleting ranges, native or emulated."""

from __future__ import annotations

import pytest

from aimstore.abc import Backend, Container, KeyRange, Mode, WriteBatch
from aimstore.testing.data import PATH, RANGES, TRICKY_ITEMS, batch_of, fill, holds, numbered
from aimstore.testing.harness import Harness


class RangeDeleteTests(Harness):
    operation = "range delete"
    about = ("native_range_delete",)

    @pytest.mark.parametrize("keys", RANGES)
    def test_what_is_in_the_range_goes_and_the_rest_stays(self, container: Container, keys: KeyRange) -> None:
        fill(container, TRICKY_ITEMS)
        container.delete_range(keys)
        holds(container, {key: value for key, value in TRICKY_ITEMS.items() if key not in keys})

    def test_an_empty_range_does_nothing(self, container: Container) -> None:
        for bound in (b"", b"a", b"\xff"):
            container.delete_range(KeyRange(bound, bound))
        items = fill(container, TRICKY_ITEMS)
        for bound in (b"", b"a", b"zzz"):
            container.delete_range(KeyRange(bound, bound))
        holds(container, items)

    def test_a_reversed_range_is_refused_before_anything_is_written(self, container: Container) -> None:
        items = fill(container, TRICKY_ITEMS)
        with pytest.raises(ValueError, match="reversed"):
            container.delete_range(KeyRange(b"b", b"a"))
        batch = WriteBatch()
        batch.delete(b"a")
        with pytest.raises(ValueError, match="reversed"):
            batch.delete_range(KeyRange(b"b", b"a"))
        holds(container, items)
        container.put(b"still", b"writable")
        holds(container, items | {b"still": b"writable"})

    def test_a_range_of_nothing_is_no_error(self, container: Container) -> None:
        container.delete_range(KeyRange())
        container.delete_range(KeyRange(b"a", b"b"))
        fill(container, {b"a": b"1", b"c": b"2"})
        container.delete_range(KeyRange(b"b", b"c"))
        holds(container, {b"a": b"1", b"c": b"2"})

    def test_ranges_of_many_keys(self, backend: Backend) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            items = fill(container, numbered(5000, 40))
            container.delete_range(KeyRange(b"key00001000", b"key00004500"))
            kept = {key: value for n, (key, value) in enumerate(items.items()) if not 1000 <= n < 4500}
            holds(container, kept)
            kept |= fill(container, {b"key00002000": b"again"})
            container.delete_range(KeyRange(b"key00001500", b"key00001999"))
            holds(container, kept)
        with backend.open(PATH) as reader:
            holds(reader, kept)

    def test_deleting_everything_leaves_an_empty_container_that_can_be_filled(self, backend: Backend) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            for _ in range(3):
                items = fill(container, numbered(2000))
                container.delete_range(KeyRange())
                holds(container, {})
                container.write(batch_of(items))
                holds(container, items)
            container.delete_range(KeyRange())
        with backend.open(PATH) as reader:
            holds(reader, {})
