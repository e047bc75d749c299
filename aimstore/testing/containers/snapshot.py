"""Tests that a scan sees the container as it was when the scan was created."""

from __future__ import annotations

import pytest

from aimstore.abc import Backend, Container, KeyRange, Mode
from aimstore.testing.data import PATH, batch_of, fill, holds, numbered
from aimstore.testing.harness import Harness


def _disturb(container: Container, items: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """Change a container in every way, in several batches; return its final items."""
    keys = sorted(items)
    container.write(batch_of({keys[0]: None, keys[-1]: None, keys[1]: b"changed", keys[-2]: b"changed"}))
    container.delete_range(KeyRange(keys[len(keys) // 3], keys[len(keys) // 2]))
    container.put(b"\x00new", b"before the first")
    container.flush(sync=True)
    container.put(b"\xffnew", b"after the last")
    container.put(keys[len(keys) // 2], b"changed too")
    return dict(container.items())


class SnapshotTests(Harness):
    operation = "snapshot"

    @pytest.mark.parametrize("count", [10, 3000])
    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("taken", [0, 1, 7])
    def test_nothing_written_later_is_seen(self, container: Container, count: int, reverse: bool, taken: int) -> None:
        items = fill(container, numbered(count, 24))
        scan = container.items(reverse=reverse)
        seen = [next(scan) for _ in range(taken)]
        after = _disturb(container, items)
        seen.extend(scan)
        assert seen == sorted(items.items(), reverse=reverse)
        holds(container, after)

    def test_a_scan_of_a_range_is_a_snapshot_too(self, container: Container) -> None:
        items = fill(container, numbered(100))
        keys = KeyRange(b"key00000030", b"key00000070")
        scans = [container.scan(keys), container.scan(keys, reverse=True)]
        container.delete_range(keys)
        expected = sorted(items.items())[30:70]
        assert [list(scan) for scan in scans] == [expected, expected[::-1]]

    def test_an_empty_snapshot_stays_empty(self, container: Container) -> None:
        scans = [container.items(), container.items(reverse=True), container.keys(b"a")]
        fill(container, {b"a": b"1", b"b": b"2"})
        assert [list(scan) for scan in scans] == [[], [], []]

    def test_each_scan_has_its_own_moment(self, container: Container) -> None:
        scans = []
        for n in range(20):
            container.put(b"%02d" % n, b"%d" % n)
            scans.append(container.keys())
        container.delete_range(KeyRange())
        assert [len(list(scan)) for scan in scans] == list(range(1, 21))

    def test_a_readers_scan_goes_on_across_refresh(self, backend: Backend) -> None:
        with backend.open(PATH, Mode.WRITE) as writer:
            items = fill(writer, numbered(1000))
            with backend.open(PATH) as reader:
                scans = [reader.items(), reader.items(reverse=True)]
                first = [next(scan) for scan in scans]
                after = _disturb(writer, items)
                reader.refresh()
                holds(reader, after)
                rest = [list(scan) for scan in scans]
        expected = sorted(items.items())
        assert [first[0], *rest[0]] == expected
        assert [first[1], *rest[1]] == expected[::-1]
