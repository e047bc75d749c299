"""Compares containers with their engine's own library: both do the same work in turn; the best round counts."""

from __future__ import annotations

import gc
import random
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol, TypeAlias

from aimstore.abc import Backend, Container, Mode, WriteBatch
from aimstore.plugins import plugins
from aimstore.testing.data import PATH, numbered

LIMITS: Final = {"get": 0.5e-6, "scan": 0.2e-6}
"""Maximum seconds that a container may add to the engine's library, for each `get` and for each item of a scan."""


class Loops(Protocol):
    """The same work with the engine's own library, each in the shortest correct loop."""

    def get(self, keys: Sequence[bytes]) -> None:
        """Look up every key, one at a time."""

    def scan(self) -> int:
        """Read the key and value of every item, and raise errors. Returns the number of items."""

    def put(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        """Write the items as one atomic batch."""


Direct: TypeAlias = Callable[[Path, bool], AbstractContextManager[Loops]]
"""`direct(directory, writing)` opens the container in `directory` with the engine's library, and closes it at the end."""


@dataclass(frozen=True)
class Timing:
    """The cost of one kind of work.

    Attributes:
        work: "get", "scan", "put", "open" or "close".
        unit: the unit of the work: "key", "item" or "container".
        seconds: the container's time for each unit.
        direct: the time of the engine's own library; None if it was not measured.
    """

    work: str
    unit: str
    seconds: float
    direct: float | None

    @property
    def overhead(self) -> float | None:
        """Seconds that the container adds; None if the library was not measured."""
        return None if self.direct is None else self.seconds - self.direct

    @property
    def limit(self) -> float | None:
        """Maximum seconds that the container may add; None if there is no limit."""
        return LIMITS.get(self.work)

    def __str__(self) -> str:
        text = f"{self.work:<6}{self.seconds * 1e6:10.2f} µs each {self.unit}"
        if self.overhead is None or self.direct is None:
            return text
        text = f"{text:<36}; the library {self.direct * 1e6:10.2f}, so {self.overhead * 1e6:+.2f} for the container"
        if self.limit is None:
            return text
        judged = "more than" if self.overhead > self.limit else "within"
        return f"{text}; {judged} the {self.limit * 1e6:.1f} it may add"


def run(backend_name: str, options: Mapping[str, Any] | None = None, **how: Any) -> tuple[Timing, ...]:
    """Time a registered backend in a temporary directory, and also its engine's library if its spec has `direct`.

    Args:
        backend_name: the name under which a plug-in registers the backend.
        options: the backend's options, by name.
        how: further arguments, as for `measure`.

    Raises:
        PluginError: there is no such backend, or its library is missing.
        ConfigError: an option does not exist, or has an invalid value.
    """
    spec = plugins().backend(backend_name)
    direct = plugins().load_direct(spec)
    with tempfile.TemporaryDirectory(prefix="aimstore-benchmarks-") as name:
        return measure(lambda root: plugins().make_backend(spec, root, options or {}), Path(name), direct, **how)


def measure(
    open_backend: Callable[[Path], Backend],
    root: Path,
    direct: Direct | None = None,
    *,
    count: int = 20_000,
    size: int = 64,
    rounds: int = 15,
) -> tuple[Timing, ...]:
    """Time the containers of a backend, and also its engine's library if `direct` is given.

    Args:
        open_backend: returns the backend for a root.
        root: an empty directory for the containers.
        direct: the same work without the backend.
        count: number of items in a container.
        size: bytes of each value.
        rounds: number of rounds; the fastest counts.
    """
    items = list(numbered(count, size).items())
    keys = [key for key, _ in items]
    random.Random(3).shuffle(keys)
    bench = _Bench(open_backend, root, direct, rounds)
    timings = [bench.put(items)]
    timings += bench.read(keys, len(items))
    timings += bench.open_and_close()
    return tuple(timings)


class _Bench:
    def __init__(self, open_backend: Callable[[Path], Backend], root: Path, direct: Direct | None, rounds: int) -> None:
        self._open_backend = open_backend
        self._backend = open_backend(root / "read")
        self._root = root
        self._direct = direct
        self._rounds = rounds

    def put(self, items: list[tuple[bytes, bytes]]) -> Timing:
        """Write containers; `read` reads the container of the last round."""
        ours, theirs = [], []
        for number in range(self._rounds):
            with (
                self._open_backend(self._root / f"put-{number}") as backend,
                backend.open(PATH, Mode.WRITE) as container,
            ):
                ours.append(_timed(lambda: container.write(_batch(items))))
            if self._direct is not None:
                place = self._root / f"direct-{number}"
                place.mkdir(parents=True)
                with self._direct(place / "container", True) as loops:
                    theirs.append(_timed(lambda: loops.put(items)))
                shutil.rmtree(place)
            shutil.rmtree(self._root / f"put-{number}", ignore_errors=True)
        with self._backend.open(PATH, Mode.WRITE) as container:
            container.write(_batch(items))
        return _timing("put", "item", len(items), ours, theirs)

    def read(self, keys: list[bytes], count: int) -> list[Timing]:
        gets: tuple[list[float], list[float]] = [], []
        scans: tuple[list[float], list[float]] = [], []
        for _ in range(self._rounds):
            with self._backend.open(PATH) as container:
                _get_all(container, keys)  # so that neither is the first to load the data
                gets[0].append(_timed(lambda: _get_all(container, keys)))
                scans[0].append(_timed(lambda: _expect(_scan_all(container), count)))
            if self._direct is not None:
                with self._direct(self._root / "read" / PATH, False) as loops:
                    loops.get(keys)
                    gets[1].append(_timed(lambda: loops.get(keys)))
                    scans[1].append(_timed(lambda: _expect(loops.scan(), count)))
        return [_timing("get", "key", len(keys), *gets), _timing("scan", "item", count, *scans)]

    def open_and_close(self) -> list[Timing]:
        opening: tuple[list[float], list[float]] = [], []
        closing: tuple[list[float], list[float]] = [], []
        for _ in range(self._rounds):
            start = perf_counter()
            container = self._backend.open(PATH)
            opened = perf_counter()
            container.close()
            opening[0].append(opened - start)
            closing[0].append(perf_counter() - opened)
            if self._direct is not None:
                start = perf_counter()
                with self._direct(self._root / "read" / PATH, False):
                    opened = perf_counter()
                opening[1].append(opened - start)
                closing[1].append(perf_counter() - opened)
        return [_timing("open", "container", 1, *opening), _timing("close", "container", 1, *closing)]


def _get_all(container: Container, keys: list[bytes]) -> None:
    get = container.get
    for key in keys:
        get(key)


def _scan_all(container: Container) -> int:
    found = 0
    for _, _ in container.items():
        found += 1
    return found


def _batch(items: list[tuple[bytes, bytes]]) -> WriteBatch:
    batch = WriteBatch()
    for key, value in items:
        batch.put(key, value)
    return batch


def _expect(found: int, count: int) -> None:
    assert found == count, f"a scan gave {found} of {count} items"


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = perf_counter()
        work()
        return perf_counter() - start
    finally:
        gc.enable()


def _timing(work: str, unit: str, count: int, ours: list[float], theirs: list[float]) -> Timing:
    return Timing(work, unit, min(ours) / count, min(theirs) / count if theirs else None)
