"""What `--size` takes, and how folders are measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimstore.bench.sizes import parse_size, size_of, sizes_of
from aimstore.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "default", "value"),
    [
        ("20", 1, 20),
        ("20_000", 1, 20_000),
        ("20k", 1, 20_000),
        ("1.5M", 1, 1_500_000),
        ("1e3", 1, 1_000),
        ("0.25", 1.0, 0.25),
        ("10,100,1k", (1,), (10, 100, 1_000)),
        ("text", "a", "text"),
        ("0", 0, 0),
    ],
)
def test_sizes_are_of_the_type_of_their_default(text: str, default: object, value: object) -> None:
    assert parse_size("runs", text, default) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "default"),
    [
        ("x", 1),
        ("-1", 1),
        ("1.5", 1),
        ("", 1),
        ("inf", 1.0),
        ("1,,2", (1,)),
        ("k", 1),
        ("0", 1),
        ("1,0", (1,)),
        ("1e400", 1),
        ("1001m", 1),
    ],
)
def test_what_is_no_size_is_a_mistake(text: str, default: object) -> None:
    with pytest.raises(ConfigError, match="the size runs is"):
        parse_size("runs", text, default)  # type: ignore[arg-type]


def test_given_sizes_win_over_quick_ones_and_these_over_the_defaults() -> None:
    found = sizes_of({"a": 1, "b": 2, "c": 3}, {"b": 20, "c": 30}, {"c": "300", "of_another": "5"})
    assert found == {"a": 1, "b": 20, "c": 300}


def test_a_folder_holds_what_its_files_hold(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(5_000))
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert size_of(tmp_path) == 5_000
