from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from aimstore.errors import ConfigError
from aimstore.plugins.options import OptionDescription, Options, choice, option, size


@dataclass(frozen=True)
class Engine(Options, engine="engine"):
    buffer: int = size(1024, least=16, most=1 << 20)
    sync: Literal["batch", "flush"] = choice("batch", "flush")


@dataclass(frozen=True)
class Plain(Options, engine="plain"):
    pass


def test_what_is_not_given_has_its_default() -> None:
    assert Engine.parse({}) == Engine() == Engine(1024, "batch")
    assert Engine.parse({"sync": "flush"}) == Engine(1024, "flush")
    assert Plain.parse({}) == Plain()


@pytest.mark.parametrize(("text", "nbytes"), [(16, 16), ("16", 16), ("2KiB", 2048), ("2 kb", 2000), ("1MiB", 1 << 20)])
def test_sizes_are_numbers_or_text_with_a_unit(text: Any, nbytes: int) -> None:
    assert Engine.parse({"buffer": text}).buffer == nbytes


@pytest.mark.parametrize("value", [15, "2MiB", True, 16.5, "many", "4 parsec", None, []])
def test_what_is_no_size_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"engine option buffer is a number of bytes .* from 16B to 1MiB, not"):
        Engine.parse({"buffer": value})


@pytest.mark.parametrize("value", ["Batch", "", 1, None, ["batch"]])
def test_what_is_no_choice_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match="engine option sync is one of 'batch', 'flush', not"):
        Engine.parse({"sync": value})


def test_an_unknown_option_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        ConfigError, match=r"engine has no option 'bufer'; did you mean 'buffer'\? \(it has buffer, sync\)"
    ):
        Engine.parse({"bufer": 1})
    with pytest.raises(ConfigError, match=r"plain has no option 'x' \(it has none\)"):
        Plain.parse({"x": 1})


def test_options_are_described() -> None:
    @dataclass(frozen=True)
    class Other(Engine, engine="other"):
        workers: int = option(4, int, "a number")

    *inherited, workers = Other.describe()
    assert inherited == Engine.describe()
    assert workers == OptionDescription("workers", 4, "a number")
    assert [(each.name, each.default) for each in inherited] == [("buffer", "1KiB"), ("sync", "batch")]
    assert Engine.parse({each.name: each.default for each in inherited}) == Engine()
    with pytest.raises(ConfigError, match="other option workers is a number, not 'many'"):
        Other.parse({"workers": "many"})
    assert Plain.describe() == []
