"""`config.toml`: what it gives back, and how it refuses what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimstore.config import (
    FORMAT_VERSION,
    RepoConfig,
    get_value,
    parse_value,
    read_config,
    set_value,
    write_config,
)
from aimstore.errors import ConfigError, StorageError

SMALLEST = 'format_version = 1\n[storage]\nbackend = "lmdb"\n'
COMMENTED = """\
# top
format_version = 1  # version

[storage]
# which engine
backend = "rocksdb"  # engine

[storage.options]  # options
write_buffer_size = 1  # bytes

[query]
engine = "python"
"""

_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_what_is_written_is_read(path: Path) -> None:
    config = RepoConfig(
        backend="lmdb",
        options={"map_size": "4GiB", "readers": 8, "sync": True, "nested": {"list": [1, 2]}},
        indexer="other",
        query="sql",
        metadata_url="postgresql://host/db",
    )
    write_config(path, config)
    assert read_config(path) == config


def test_the_written_file_has_one_section_for_each_part(path: Path) -> None:
    write_config(path, RepoConfig(options={"write_buffer_size": "4MiB"}))
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert lines == [
        "format_version = 1",
        "[storage]",
        'backend = "rocksdb"',
        "[storage.options]",
        'write_buffer_size = "4MiB"',
        "[indexer]",
        'name = "container"',
        "[query]",
        'engine = "python"',
        "[metadata]",
        'url = ""',
    ]


def test_what_the_file_leaves_out_has_its_default(path: Path) -> None:
    path.write_text(SMALLEST)
    assert read_config(path) == RepoConfig(FORMAT_VERSION, "lmdb", {}, "container", "python", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format_version = \n", "not valid TOML: Invalid value (at line 1, column 18)"),
        ('[storage]\nbackend = "x"\n', "format_version is missing; add the line `format_version = 1` at the top"),
        ("format_version = 1\n", 'storage.backend is missing; add the line `backend = "rocksdb"` under [storage]'),
        (
            "# later\nformat_version = 2\nnew = 1\n",
            ", line 2: written by a newer aimstore (format 2; this one reads up to 1): upgrade aimstore",
        ),
        ("format_version = 0\n", ", line 1: no format 0"),
        ("format_version = true\n", ", line 1: format_version must be an integer, not True"),
        ("format_version = 1\n[storage]\nbackend = 5\n", ", line 3: storage.backend must be a text in quotes, not 5"),
        ("format_version = 1\nstorage = 5\n", ", line 2: storage must be a table, not 5"),
        ("format_version = 1\n\n[[storage]]\nx = 1\n", ", line 3: storage must be a table"),
        (SMALLEST + "options = 5\n", ", line 4: storage.options must be a table, not 5"),
        (SMALLEST + "bakend = 1\n", ", line 4: unknown key 'bakend' in [storage]; did you mean 'backend'?"),
        (SMALLEST + "[qury]\nengine = 1\n", ", line 4: unknown key 'qury'; did you mean 'query'?"),
        ("format_version = 1\nstorage.backnd = 'x'\n", ", line 2: unknown key 'backnd' in [storage]; did you"),
        (SMALLEST + "[query]\nzzz = 1\n", ", line 5: unknown key 'zzz' in [query]. Known: engine."),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_the_fix(path: Path, text: str, message: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_a_missing_file_names_the_command_that_makes_one(path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist; `aimstore init`"):
        read_config(path)


def test_a_file_that_is_not_text_is_refused(path: Path) -> None:
    path.write_bytes(b'format_version = 1 # "\xff"')
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_config(path)


def test_what_the_operating_system_refuses_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        read_config(tmp_path)
    with pytest.raises(StorageError, match="cannot be written"):
        write_config(tmp_path / "missing" / "config.toml", RepoConfig())


def test_setting_a_value_keeps_comments_and_order(path: Path) -> None:
    path.write_text(COMMENTED)
    config = set_value(path, "storage.options.write_buffer_size", 9)
    assert path.read_text() == COMMENTED.replace("write_buffer_size = 1 ", "write_buffer_size = 9 ")
    assert config == read_config(path)
    assert config.options == {"write_buffer_size": 9}


def test_an_option_and_a_section_may_be_new(path: Path) -> None:
    path.write_text(SMALLEST)
    set_value(path, "storage.options.map_size", "4GiB")
    set_value(path, "metadata.url", "sqlite://")
    assert read_config(path) == RepoConfig(backend="lmdb", options={"map_size": "4GiB"}, metadata_url="sqlite://")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("storage.bakend", "x", "unknown key 'bakend' in [storage]; did you mean 'backend'?"),
        ("quary.engine", "x", "unknown key 'quary'; did you mean 'query'?"),
        ("storage.backend", 3, "storage.backend must be a text in quotes, not 3"),
        ("storage.backend.x", 3, "backend is a value, not a table"),
        ("storage.options.x", None, "cannot hold storage.options.x = None"),
        ("format_version", 3, "not a setting"),
        ("", 3, "unknown key ''"),
    ],
)
def test_a_wrong_setting_leaves_the_file_as_it_was(path: Path, key: str, value: object, message: str) -> None:
    path.write_text(COMMENTED)
    with pytest.raises(ConfigError) as caught:
        set_value(path, key, value)
    assert message in str(caught.value)
    assert path.read_text() == COMMENTED
    assert list(path.parent.iterdir()) == [path]


def test_options_that_toml_cannot_express_are_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot hold the options"):
        write_config(path, RepoConfig(options={"x": None}))
    assert not path.exists()


def test_values_are_found_by_dotted_keys(path: Path) -> None:
    path.write_text(COMMENTED)
    assert get_value(path, "storage.options.write_buffer_size") == 1
    assert get_value(path, "storage") == {"backend": "rocksdb", "options": {"write_buffer_size": 1}}
    assert get_value(path, "indexer.name") == "container"
    with pytest.raises(ConfigError, match=r"no key 'storage\.option'; did you mean 'storage\.options'"):
        get_value(path, "storage.option")
    with pytest.raises(ConfigError, match=r"no key 'query\.engine\.x'"):
        get_value(path, "query.engine.x")


def test_a_replaced_file_keeps_its_mode(path: Path) -> None:
    path.write_text(COMMENTED)
    path.chmod(0o664)
    set_value(path, "query.engine", "other")
    assert path.stat().st_mode & 0o777 == 0o664


def test_a_failed_write_leaves_the_former_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path.write_text(COMMENTED)
    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(StorageError, match="No space left on device"):
        write_config(path, RepoConfig())
    assert path.read_text() == COMMENTED
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("4", 4),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"4"', "4"),
        ("4MiB", "4MiB"),
        ("lmdb", "lmdb"),
        ("", ""),
        ("1\nb = 2", "1\nb = 2"),
    ],
)
def test_a_command_line_value_is_toml_or_plain_text(text: str, value: object) -> None:
    assert parse_value(text) == value


@settings(max_examples=50)
@given(options=st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), _scalars, max_size=4))
def test_any_options_come_back_or_are_refused(
    tmp_path_factory: pytest.TempPathFactory, options: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    if None in options.values():
        with pytest.raises(ConfigError):
            write_config(path, RepoConfig(options=options))
    else:
        write_config(path, RepoConfig(options=options))
        assert read_config(path).options == options


def test_reading_needs_no_tomlkit() -> None:
    code = "import sys, aimstore.config; print([name for name in ('tomlkit', 'numpy') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
