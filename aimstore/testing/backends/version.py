"""Tests of `version`, the change token of a container."""

from __future__ import annotations

from aimstore.abc import Backend, Mode
from aimstore.testing import tasks
from aimstore.testing.data import PATH, fill, numbered
from aimstore.testing.harness import Harness, Start, needs


class VersionTests(Harness):
    operation = "version"

    def test_each_batch_changes_it(self, backend: Backend, elsewhere: Backend) -> None:
        """Even a batch that changes no size, and many batches within one tick of the clock."""
        with backend.open(PATH, Mode.WRITE) as container:
            seen = [elsewhere.version(PATH)]
            for n in range(60):
                container.put(b"key", b"%03d" % n)
                seen.append(elsewhere.version(PATH))
            container.delete(b"key")
            seen.append(elsewhere.version(PATH))
        assert None not in seen
        assert len(set(seen)) == len(seen), "a token came twice"

    def test_what_changes_nothing_leaves_it(self, backend: Backend, elsewhere: Backend) -> None:
        with backend.open(PATH, Mode.WRITE) as container:
            fill(container, numbered(100))
            version = backend.version(PATH)
            with elsewhere.open(PATH) as reader:
                list(reader.items())
            assert backend.version(PATH) == version
        version = backend.version(PATH)
        assert isinstance(version, str)
        for each in (backend, elsewhere):
            with each.open(PATH) as reader:
                list(reader.items())
                reader.refresh()
            each.mark(PATH)
            with each.lock(PATH):
                assert each.version(PATH) == version
            each.unmark(PATH)
            assert each.version(PATH) == version

    def test_a_container_made_anew_has_another(self, backend: Backend) -> None:
        seen = []
        for _ in range(5):
            with backend.open(PATH, Mode.WRITE) as container:
                container.put(b"key", b"value")
            seen.append(backend.version(PATH))
            with backend.lock(PATH):
                backend.delete(PATH)
            assert backend.version(PATH) is None
        assert len(set(seen)) == 5

    def test_a_reader_that_caches_by_it_misses_nothing(self, backend: Backend, elsewhere: Backend) -> None:
        """The reader asks for the token first, then refreshes; while the token stays, so does the data read."""
        with backend.open(PATH, Mode.WRITE) as container:
            container.put(b"key", b"0")
            with elsewhere.open(PATH) as reader:
                cached: tuple[str | None, bytes | None] = (None, None)
                for n in range(1, 100):
                    if n % 3:
                        container.put(b"key", b"%d" % n)
                        written = b"%d" % n
                    version = elsewhere.version(PATH)
                    if version != cached[0]:
                        reader.refresh()
                        cached = version, reader.get(b"key")
                    assert cached[1] == written

    @needs("persistent", "multi_process")
    def test_what_another_process_writes_changes_it(self, backend: Backend, start: Start) -> None:
        writer = start(tasks.write_batches, PATH, "on request")
        seen = []
        for _ in range(5):
            writer.hear()
            seen.append(backend.version(PATH))
            assert backend.version(PATH) == seen[-1]
            writer.say()
        assert len(set(seen)) == 5
