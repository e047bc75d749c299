"""Tests of damaged files: bytes come back as written, or an error is raised."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from aimstore.abc import Backend, Container, Mode
from aimstore.errors import CorruptionError
from aimstore.testing.data import PATH, numbered
from aimstore.testing.harness import Harness, needs

PLACES: Final = (0.0, 0.02, 0.3, 0.5, 0.7, 0.98, 1.0)
"""Where a file is damaged, as a fraction of its length."""


def _flip(place: float) -> Callable[[bytes], bytes]:
    def damage(content: bytes) -> bytes:
        at = round(place * (len(content) - 1))
        return content[:at] + bytes((content[at] ^ 0x55,)) + content[at + 1 :]

    return damage


class CorruptionTests(Harness):
    operation = "corruption"

    @needs("persistent")
    @pytest.mark.parametrize("place", PLACES)
    def test_a_damaged_byte_is_noticed_wherever_it_matters(
        self, backend: Backend, root: Path, tmp_path: Path, place: float
    ) -> None:
        items = numbered(800, 200)
        with backend.open(PATH, Mode.WRITE) as container:
            for start in range(0, 800, 100):
                for key in list(items)[start : start + 100]:
                    container.put(key, items[key])
        damaged = 0
        for file in self.files(root, PATH):
            content = file.read_bytes()
            if content:
                damaged += 1
                copy = tmp_path / f"copy-{damaged}"
                shutil.copytree(root, copy)
                (copy / file.relative_to(root)).write_bytes(_flip(place)(content))
                with self.open_backend(copy) as another:
                    for mode in Mode:
                        _whole_or_error(another, mode, items, f"{file.name} damaged at {place:.0%}")
        if not damaged:
            pytest.skip("its containers are not in files")


def _whole_or_error(backend: Backend, mode: Mode, items: dict[bytes, bytes], where: str) -> None:
    try:
        container = backend.open(PATH, mode)
    except CorruptionError:
        return
    expected = sorted(items.items())
    with container:
        for reverse in (False, True):
            found = _all(container, reverse=reverse)
            assert found is None or found == (expected[::-1] if reverse else expected), f"a scan: {where}"
        for key, value in items.items():
            with suppress(CorruptionError):
                assert container.get(key) == value, f"get: {where}"


def _all(container: Container, *, reverse: bool) -> list[tuple[bytes, bytes]] | None:
    try:
        return list(container.items(reverse=reverse))
    except CorruptionError:
        return None
