"""Tests of progress markers."""

from __future__ import annotations

from aimstore.abc import Backend, Mode
from aimstore.testing import tasks
from aimstore.testing.data import INDEX, OTHER_PATH, PATH
from aimstore.testing.harness import Harness, Start, needs


class MarkerTests(Harness):
    operation = "markers"

    def test_marks_are_set_listed_and_removed(self, backend: Backend, elsewhere: Backend) -> None:
        for path in (PATH, OTHER_PATH, INDEX, PATH):
            backend.mark(path)
        for each in (backend, elsewhere):
            assert each.marked("") == sorted([PATH, OTHER_PATH, INDEX])
            assert each.marked("meta/chunks/") == [PATH]
            assert each.marked("seqs/chunks/") == [OTHER_PATH]
            assert each.marked("meta/") == sorted([PATH, INDEX])
            assert each.marked("none/") == []
        backend.unmark(PATH)
        backend.unmark(PATH)
        for each in (backend, elsewhere):
            assert each.marked("") == sorted([OTHER_PATH, INDEX])

    def test_marks_and_containers_do_not_depend_on_one_another(self, backend: Backend) -> None:
        backend.mark(PATH)
        backend.open(PATH, Mode.WRITE).close()
        assert backend.marked("") == [PATH]
        with backend.lock(PATH):
            backend.delete(PATH)
            assert backend.marked("") == [PATH]
        backend.unmark(PATH)
        backend.open(PATH, Mode.WRITE).close()
        assert backend.marked("") == []
        assert backend.exists(PATH)

    @needs("persistent", "multi_process")
    def test_other_processes_see_marks_and_leave_them_behind(self, backend: Backend, start: Start) -> None:
        marker = start(tasks.mark, PATH)
        marker.hear()
        assert backend.marked("meta/chunks/") == [PATH]
        marker.say()
        marker.hear()
        assert backend.marked("meta/chunks/") == []
        killed = start(tasks.mark, OTHER_PATH)
        killed.hear()
        killed.kill()
        assert backend.marked("") == [OTHER_PATH]
        backend.unmark(OTHER_PATH)
        assert backend.marked("") == []
