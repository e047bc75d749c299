"""Threads at one container: each call gives an answer, or says that another thread has closed it."""

from __future__ import annotations

from threading import Barrier
from typing import Any

import pytest

from aimstore.errors import ClosedError
from aimstore.testing.waiting import WAIT_SECONDS, Background

OPTIONS = {"lmdb": {"map_size": "1MiB"}, "rocksdb": {"write_buffer_size": "256KiB"}}
"""So that the map grows, and tables are written, while others read."""


def test_threads_that_read_while_another_closes_get_an_answer_or_closed_error(
    engine: str, open_container: Any, fill: Any
) -> None:
    container = open_container(**OPTIONS[engine])
    items = fill(container, 1000, 8)
    started = Barrier(4)

    def read() -> None:
        started.wait(WAIT_SECONDS)
        with pytest.raises(ClosedError):  # noqa: PT012  whichever of them finds it closed
            while True:
                for key, value in items.items():
                    assert container.get(key) == value
                assert container.get_many(list(items)) == list(items.values())
                assert len(list(container.items(b"key"))) == 1000
                container.flush(sync=True)

    readers = [Background(read) for _ in range(3)]
    started.wait(WAIT_SECONDS)
    fill(container, 3000, 1000, b"more")
    container.close()
    for reader in readers:
        reader.result()
    assert len(list(open_container().keys())) == 4000
