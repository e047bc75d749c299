"""The settings of a suite for a backend, and the fixtures of its tests.

A subclass sets or overrides the attributes and methods of `Harness`; all but the first have defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeAlias, TypeVar

import pytest

from aimstore.abc import Backend, Container, Mode
from aimstore.testing.data import PATH
from aimstore.testing.process import Process, Task
from aimstore.testing.source import Source, registered_factory

_F = TypeVar("_F", bound=Callable[..., object])

Start: TypeAlias = Callable[..., Process]


def needs(*capabilities: str) -> Callable[[_F], _F]:
    """Skip a test unless the backend declares these capabilities."""

    def mark(test: _F) -> _F:
        test.__dict__["needs"] = capabilities
        return test

    return mark


class Harness:
    """Provides the backend under test.

    Attributes:
        backend_name: the name under which a plug-in registers the backend.
        factory: `"module:attribute"`, called as `factory(root, options)`, in place of a name. It must be importable,
            because tests open the backend in other processes too.
        options: the backend's options, by name; of JSON types.
        examples: number of histories that the state machine tries; more find more faults.
    """

    backend_name: ClassVar[str] = ""
    factory: ClassVar[str] = ""
    options: ClassVar[Mapping[str, Any]] = {}
    examples: ClassVar[int] = 20

    operation: ClassVar[str] = ""
    """The operation that the tests of a class are about; the kit's classes set it."""
    about: ClassVar[tuple[str, ...]] = ()
    """The capabilities that the tests of a class are about, declared or not; the kit's classes set it."""

    def source(self, root: Path) -> Source:
        """The source of the backend for `root`.

        Override it for an engine that does not keep its data in a directory: derive a separate schema, or a prefix in a
            bucket, from `root`, which differs for each test.
        """
        return Source(self.factory or registered_factory(self.backend_name), root, self.options)

    def open_backend(self, root: Path) -> Backend:
        """Open a new instance of the backend. Override it only for a backend that no other process can share."""
        return self.source(root).open()

    def oracle(self, directory: Path) -> Mapping[bytes, bytes] | None:
        """All items of a closed container, read by the engine's own library without any of the backend's code.

        Args:
            directory: the container's path below the backend's root.

        Returns:
            The items, or None if only the backend can read them; then nothing is compared.
        """
        return None

    def files(self, root: Path, path: str) -> Iterable[Path]:
        """The files that hold the data of a closed container, if any. Tests damage copies of them."""
        return sorted(file for file in (root / path).rglob("*") if file.is_file())

    def lose_lock(self, root: Path, path: str) -> bool:
        """Take the lock of `path` from its holder as an accident would, or return False if that is impossible.

        By default, it replaces the lock file of the layout of embedded engines, if it exists.
        """
        *area, name = path.split("/")
        file = root.joinpath(*area[:-1] if area[-1:] == ["chunks"] else area, "locks", name)
        if not file.exists():
            return False
        file.unlink()
        file.touch()
        return True

    # Fixtures

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """The root of this test's backends."""
        return tmp_path / ".aim"

    @pytest.fixture
    def backend(self, root: Path) -> Iterator[Backend]:
        """The backend under test."""
        with self.open_backend(root) as backend:
            yield backend

    @pytest.fixture
    def elsewhere(self, backend: Backend, root: Path) -> Iterator[Backend]:
        """A second instance over the same data if containers outlive an instance; otherwise the same instance."""
        if not backend.capability.persistent:
            yield backend
            return
        with self.open_backend(root) as another:
            yield another

    @pytest.fixture
    def container(self, backend: Backend) -> Iterator[Container]:
        """A new container, open for writing."""
        with backend.open(PATH, Mode.WRITE) as container:
            yield container

    @pytest.fixture
    def start(self, root: Path) -> Iterator[Start]:
        """`start(task, *arguments)` runs a task in another process, which opens its own instance of the backend."""
        started: list[Process] = []

        def start(task: Task[...], *arguments: Any) -> Process:
            started.append(Process(self.source(root), task, *arguments))
            return started[-1]

        yield start
        for process in started:
            process.stop()

    @pytest.fixture(autouse=True)
    def _declared(self, request: pytest.FixtureRequest) -> None:
        wanted = getattr(request.function, "needs", ())
        if wanted:
            capability = request.getfixturevalue("backend").capability
            missing = [name for name in wanted if not getattr(capability, name)]
            if missing:
                pytest.skip(f"not declared: {', '.join(missing)}")
