"""Tests of reading single keys: `get`, `get_many`, `exists`, `first`, `last`."""

from __future__ import annotations

import pytest

from aimstore.abc import Container
from aimstore.testing.data import PREFIXES, TRICKY_ITEMS, TRICKY_KEYS, fill
from aimstore.testing.harness import Harness


class ReadTests(Harness):
    operation = "read"

    def test_a_key_gives_its_value_and_any_other_gives_none(self, container: Container) -> None:
        fill(container, TRICKY_ITEMS)
        for key, value in TRICKY_ITEMS.items():
            assert container.get(key) == value
            assert container.exists(key)
        for key in (b"missing", b"a\x01", b"\xff\xff\xff\xff", b"\x00\x00\x00"):
            assert container.get(key) is None
            assert not container.exists(key)

    def test_an_empty_container_has_nothing(self, container: Container) -> None:
        assert container.get(b"a") is None
        assert container.get_many([b"a", b"b"]) == [None, None]
        assert container.first() is container.last() is None
        assert list(container.items()) == []
        assert list(container.keys()) == []

    def test_an_empty_value_is_a_value(self, container: Container) -> None:
        container.put(b"key", b"")
        assert container.get(b"key") == b""
        assert container.exists(b"key")
        assert container.get_many([b"key"]) == [b""]
        assert list(container.items()) == [(b"key", b"")]

    def test_many_keys_give_their_values_in_the_order_asked_for(self, container: Container) -> None:
        fill(container, TRICKY_ITEMS)
        wanted = [*TRICKY_KEYS[::-1], b"missing", TRICKY_KEYS[3], TRICKY_KEYS[3], b"\xff\xff\xff\xff"]
        assert container.get_many(iter(wanted)) == [TRICKY_ITEMS.get(key) for key in wanted]
        assert container.get_many([]) == []

    @pytest.mark.parametrize("size", [0, 1, 255, 65_536, 5_000_000])
    def test_values_of_any_size_come_back_as_written(self, container: Container, size: int) -> None:
        value = (bytes(range(256)) * (size // 256 + 1))[:size]
        container.put(b"key", value)
        assert container.get(b"key") == value
        assert container.get_many([b"key"]) == [value]
        assert list(container.items()) == [(b"key", value)]

    def test_what_comes_back_is_bytes(self, container: Container) -> None:
        fill(container, TRICKY_ITEMS)
        key, value = next(container.items())
        found = [key, value, container.get(b"a"), *container.get_many([b"a"]), *container.keys(b"b")]
        assert {type(each) for each in found} == {bytes}

    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_first_and_last_are_the_ends_of_what_begins_with_a_prefix(
        self, container: Container, prefix: bytes
    ) -> None:
        fill(container, TRICKY_ITEMS)
        expected = sorted(item for item in TRICKY_ITEMS.items() if item[0].startswith(prefix))
        assert container.first(prefix) == (expected[0] if expected else None)
        assert container.last(prefix) == (expected[-1] if expected else None)
