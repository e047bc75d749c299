"""Tests of scans in reverse."""

from __future__ import annotations

import pytest

from aimstore.abc import Container, KeyRange
from aimstore.testing.data import PREFIXES, RANGES, TRICKY_ITEMS, fill, numbered, within
from aimstore.testing.harness import Harness


class ReverseTests(Harness):
    operation = "reverse scan"

    @pytest.mark.parametrize("keys", RANGES)
    def test_a_range_in_reverse_has_its_start_and_not_its_stop(self, container: Container, keys: KeyRange) -> None:
        fill(container, TRICKY_ITEMS)
        assert list(container.scan(keys, reverse=True)) == within(TRICKY_ITEMS, keys, reverse=True)

    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_a_prefix_in_reverse(self, container: Container, prefix: bytes) -> None:
        fill(container, TRICKY_ITEMS)
        expected = sorted((item for item in TRICKY_ITEMS.items() if item[0].startswith(prefix)), reverse=True)
        assert list(container.items(prefix, reverse=True)) == expected
        assert list(container.keys(prefix, reverse=True)) == [key for key, _ in expected]

    def test_both_ways_give_the_same_items(self, container: Container) -> None:
        fill(container, numbered(5000, 40))
        for keys in (KeyRange(), KeyRange(b"key00001000", b"key00004000"), KeyRange(b"key00004999")):
            assert list(container.scan(keys, reverse=True)) == list(container.scan(keys))[::-1]

    def test_bounds_between_keys(self, container: Container) -> None:
        items = fill(container, numbered(50))
        for start in range(0, 50, 7):
            for stop in range(start, 50, 5):
                keys = KeyRange(b"key%08d!" % start, b"key%08d!" % stop)
                assert list(container.scan(keys, reverse=True)) == within(items, keys, reverse=True)
