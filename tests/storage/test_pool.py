from __future__ import annotations

import pytest

from aimstore.abc import Mode
from aimstore.errors import ClosedError
from aimstore.storage.limits import ReaderPoolLimits
from aimstore.storage.memory import MemoryBackend
from aimstore.storage.pool import ReaderPool


def backend_with(*paths: str) -> MemoryBackend:
    backend = MemoryBackend()
    for path in paths:
        with backend.open(path, Mode.WRITE) as container:
            container.put(b"path", path.encode())
    return backend


def test_a_reader_is_kept_for_the_next_use() -> None:
    pool = ReaderPool(backend_with("a"))
    with pool.reading("a") as first:
        pass
    with pool.reading("a") as second:
        assert second is first
        assert second.get(b"path") == b"a"


def test_idle_readers_are_bounded_and_the_least_recent_goes_first() -> None:
    pool = ReaderPool(backend_with("a", "b", "c"), ReaderPoolLimits(idle_readers=2))
    lent = {}
    for path in ("a", "b", "a", "c"):
        with pool.reading(path) as lent[path]:
            pass
    assert (lent["a"].closed, lent["b"].closed, lent["c"].closed) == (False, True, False)


def test_a_reader_in_use_is_not_closed() -> None:
    pool = ReaderPool(backend_with("a", "b"), ReaderPoolLimits(idle_readers=0))
    with pool.reading("a") as a:
        with pool.reading("b") as b:
            pass
        pool.close()
        assert b.closed
        assert a.get(b"path") == b"a"
    assert a.closed
    with pytest.raises(ClosedError):
        a.get(b"path")


def test_each_lending_shows_what_is_committed() -> None:
    backend = backend_with("a")
    pool = ReaderPool(backend)
    with pool.reading("a") as before:
        scan = before.items()
        with backend.open("a", Mode.WRITE) as writer:
            writer.put(b"new", b"1")
        with pool.reading("a") as after:
            assert after.get(b"new") == b"1"
        assert list(scan) == [(b"path", b"a")]
    with pool.reading("a") as again:
        assert again.get(b"new") == b"1"


def test_a_missing_container_is_said_and_a_deleted_one_forgotten() -> None:
    backend = backend_with("a")
    pool = ReaderPool(backend)
    with pytest.raises(FileNotFoundError), pool.reading("b"):
        pass
    with pool.reading("a"):
        pass
    backend.delete("a")
    with pytest.raises(FileNotFoundError), pool.reading("a"):
        pass
