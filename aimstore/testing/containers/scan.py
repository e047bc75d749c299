"""Tests of scans in key order: bounds, prefixes, completeness."""

from __future__ import annotations

import gc
import random
from typing import Any

import pytest

from aimstore.abc import Backend, Container, KeyRange, Mode
from aimstore.testing.data import PATH, PREFIXES, RANGES, TRICKY_ITEMS, batch_of, fill, numbered, within
from aimstore.testing.harness import Harness


class ScanTests(Harness):
    operation = "scan"

    def test_keys_come_in_the_order_of_bytes(self, container: Container) -> None:
        shuffled = list(TRICKY_ITEMS.items())
        random.Random(7).shuffle(shuffled)
        for key, value in shuffled:
            container.put(key, value)
        assert list(container.items()) == sorted(TRICKY_ITEMS.items())
        assert list(container.keys()) == sorted(TRICKY_ITEMS)

    def test_all_single_bytes_are_keys_in_order(self, container: Container) -> None:
        fill(container, {bytes((n,)): b"%d" % n for n in reversed(range(256))})
        assert list(container.keys()) == [bytes((n,)) for n in range(256)]

    @pytest.mark.parametrize("keys", RANGES)
    def test_a_range_has_its_start_and_not_its_stop(self, container: Container, keys: KeyRange) -> None:
        fill(container, TRICKY_ITEMS)
        assert list(container.scan(keys)) == within(TRICKY_ITEMS, keys)

    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_a_prefix_gives_what_begins_with_it(self, container: Container, prefix: bytes) -> None:
        fill(container, TRICKY_ITEMS)
        expected = sorted(item for item in TRICKY_ITEMS.items() if item[0].startswith(prefix))
        assert list(container.items(prefix)) == expected
        assert list(container.keys(prefix)) == [key for key, _ in expected]

    @pytest.mark.parametrize("reverse", [False, True])
    def test_a_reversed_range_is_refused_and_bounds_are_bytes(self, container: Container, reverse: bool) -> None:
        bounds: Any
        with pytest.raises(ValueError, match="reversed"):
            container.scan(KeyRange(b"b", b"a"), reverse=reverse)
        for bounds in (("a", b"b"), (b"a", "b"), (bytearray(b"a"), None)):
            with pytest.raises(TypeError):
                container.scan(KeyRange(*bounds), reverse=reverse)

    def test_no_item_is_left_out(self, backend: Backend) -> None:
        """The container is written in many overlapping batches, with deletions, and reopened."""
        generator = random.Random(11)
        model: dict[bytes, bytes] = {}
        with backend.open(PATH, Mode.WRITE) as container:
            for _ in range(40):
                changes: dict[bytes, bytes | None] = {}
                for key in generator.sample(range(6000), 250):
                    drop = generator.random() < 0.2
                    changes[b"%05d" % key] = None if drop else generator.randbytes(generator.randrange(200))
                container.write(batch_of(changes))
                model = {k: v for k, v in (model | changes).items() if v is not None}
            assert list(container.items()) == sorted(model.items())
        with backend.open(PATH) as reader:
            assert list(reader.items()) == sorted(model.items())
            keys = KeyRange(b"02000", b"04000")
            assert list(reader.scan(keys)) == within(model, keys)

    def test_large_values_among_small_ones(self, container: Container) -> None:
        items = fill(container, {b"%03d" % n: b"%d" % n * (200_000 if n % 10 == 0 else 1) for n in range(50)})
        assert list(container.items()) == sorted(items.items())

    def test_scans_may_be_open_together(self, container: Container) -> None:
        items = sorted(fill(container, numbered(300)).items())
        scans = [container.items() for _ in range(20)]
        for expected in items:
            assert [next(scan) for scan in scans] == [expected] * 20
        assert [next(scan, None) for scan in scans] == [None] * 20

    def test_a_scan_given_up_is_no_obstacle(self, container: Container) -> None:
        items = fill(container, numbered(3000, 64))
        for reverse in (False, True):
            begun = container.items(reverse=reverse)
            next(begun)
            del begun
            closed = container.items(reverse=reverse)
            next(closed)
            closed.close()
            assert next(closed, None) is None
        gc.collect()
        container.put(b"more", b"value")
        assert len(list(container.keys())) == len(items) + 1

    def test_a_scan_that_has_ended_stays_ended(self, container: Container) -> None:
        fill(container, {b"a": b"1"})
        scan = container.items()
        assert list(scan) == [(b"a", b"1")]
        container.put(b"b", b"2")
        assert list(scan) == []
