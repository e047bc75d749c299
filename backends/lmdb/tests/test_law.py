"""The law of containers with a map that has to grow again and again, and with keys and bounds around the longest."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

from aimstore.abc import KeyRange, Mode
from aimstore.testing.data import within
from aimstore.testing.stateful import StatefulTests

LONG = b"a" * 510
KEYS = [b"a", LONG, LONG + b"\x00", LONG + b"a", LONG + b"b", b"b"]
BOUNDS = [b"", *KEYS, LONG + b"a\x00", LONG + b"aa", LONG + b"b" * 90, LONG + b"\xff" * 2]


class TestAGrowingMap(StatefulTests):
    backend_name = "lmdb"
    options: ClassVar = {"map_size": "64KiB"}
    examples = 30


def test_bounds_may_be_longer_than_keys_can_be(open_container: Any) -> None:
    model = {key: b"value of " + key for key in KEYS}
    with open_container() as writer:
        for key, value in model.items():
            writer.put(key, value)
        for reader, start, stop in product([writer, open_container(Mode.READ)], BOUNDS, [None, *BOUNDS]):
            if stop is None or start <= stop:
                for reverse in (False, True):
                    keys = KeyRange(start, stop)
                    assert list(reader.scan(keys, reverse=reverse)) == within(model, keys, reverse=reverse)
        assert writer.get_many([b"", *BOUNDS]) == [model.get(key) for key in [b"", *BOUNDS]]
        assert [writer.get(key) for key in [b"", *BOUNDS]] == [model.get(key) for key in [b"", *BOUNDS]]
