"""Options are typed, and errors name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aimstore.errors import ConfigError
from aimstore_lmdb.backend import LMDBBackend
from aimstore_lmdb.config import LMDBOptions


def test_defaults() -> None:
    assert LMDBOptions.parse({}) == LMDBOptions()
    assert LMDBOptions().sync == "batch"  # a crash of the machine damages nothing, unless somebody chooses so


@pytest.mark.parametrize(
    ("text", "size"), [("4GiB", 4 << 30), ("512 KiB", 512 << 10), ("1tib", 1 << 40), (70000, 70000)]
)
def test_sizes_are_numbers_or_text_with_a_unit(text: Any, size: int) -> None:
    assert LMDBOptions.parse({"map_size": text}).map_size == size


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("map_size", "4 parsecs"),
        ("map_size", 0),
        ("map_size", True),
        ("map_size", "1000 TiB"),
        ("sync", "never"),
        ("sync", 1),
    ],
)
def test_a_wrong_value_names_its_option(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"lmdb option {name} .*not {value!r}"):
        LMDBOptions.parse({name: value})


def test_an_unknown_option_gives_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no option 'mapsize'; did you mean 'map_size'"):
        LMDBOptions.parse({"mapsize": 1})


def test_a_backend_checks_its_options_when_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sync"):
        LMDBBackend(tmp_path, {"sync": "always"})


@pytest.mark.parametrize("sync", ["batch", "flush"])
def test_data_can_be_read_however_it_was_put_on_the_disk(open_container: Any, fill: Any, sync: str) -> None:
    with open_container(sync=sync) as writer:
        items = fill(writer, 100)
        writer.flush(sync=True)
    with open_container() as reopened:
        assert dict(reopened.items()) == items


def test_a_writer_with_other_options_is_served_beside_a_reader(open_container: Any, fill: Any) -> None:
    from aimstore.abc import Mode

    with open_container() as writer:
        items = fill(writer, 100)
    reader = open_container(Mode.READ)
    scan = reader.items()
    with open_container(sync="flush", map_size="2GiB") as writer:
        writer.put(b"more", b"value")
        assert dict(scan) == items
        assert reader.get(b"more") == b"value"
