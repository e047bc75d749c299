"""Options are typed, and errors name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aimstore.errors import ConfigError
from aimstore_rocksdb.backend import RocksDBBackend
from aimstore_rocksdb.config import RocksDBOptions


def test_defaults() -> None:
    assert RocksDBOptions.parse({}) == RocksDBOptions()
    assert RocksDBOptions().write_buffer_size <= 4 << 20  # what a reader may have to replay


@pytest.mark.parametrize(
    ("text", "size"), [("4MiB", 4 << 20), ("512 KiB", 512 << 10), ("1gib", 1 << 30), ("2MB", 2_000_000), (70000, 70000)]
)
def test_sizes_are_numbers_or_text_with_a_unit(text: Any, size: int) -> None:
    assert RocksDBOptions.parse({"write_buffer_size": text}).write_buffer_size == size


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("write_buffer_size", "4 parsecs"),
        ("write_buffer_size", 0),
        ("write_buffer_size", True),
        ("block_size", -1),
        ("block_cache_size", 1.5),
        ("max_open_files", 3),
        ("max_open_files", "many"),
        ("compression", "gzip"),
        ("log_recovery", None),
    ],
)
def test_a_wrong_value_names_its_option(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"rocksdb option {name} .*not {value!r}"):
        RocksDBOptions.parse({name: value})


def test_an_unknown_option_gives_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no option 'write_bufer'; did you mean 'write_buffer_size'"):
        RocksDBOptions.parse({"write_bufer": 1})


def test_a_backend_checks_its_options_when_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="compression"):
        RocksDBBackend(tmp_path, {"compression": "rar"})


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_data_can_be_read_whatever_it_was_compressed_with(
    open_container: Any, fill: Any, tmp_path: Path, compression: str
) -> None:
    with open_container(compression=compression) as writer:
        items = fill(writer, 100)
    with open_container(compression="zstd") as reopened:
        assert dict(reopened.items()) == items
    table = sum(file.stat().st_size for file in (tmp_path / "db").glob("*.sst"))
    assert (table > 100_000) == (compression == "none")
