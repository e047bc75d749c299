"""Plain forms: what is stored of values that are no values themselves, by a run's parameters and by themselves."""

from __future__ import annotations

import argparse
import enum
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aimstore import Repo, Run, Text
from aimstore.encoding.plain import plain
from aimstore.errors import EncodingError
from aimstore.plugins.objects import to_object


class Mode(enum.Enum):
    TRAIN = "train"
    EVAL = 2
    ODD = (1, 2)


@dataclass
class Optimizer:
    name: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True)
class Config:
    lr: float
    optimizer: Optimizer = field(default_factory=Optimizer)
    mode: Mode = Mode.TRAIN
    data: PurePosixPath = field(default_factory=lambda: PurePosixPath("data/train"))
    splits: frozenset[str] = frozenset({"b", "a"})


CONFIG = {
    "lr": 0.1,
    "optimizer": {"name": "adam", "betas": (0.9, 0.999)},
    "mode": "train",
    "data": "data/train",
    "splits": ["a", "b"],
}


class Model:
    """What a model of Pydantic is to those who store it, Pydantic being no dependency of these tests."""

    model_fields = ("mode", "path")

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def model_dump(self) -> dict[str, Any]:
        if self.broken:
            raise ValueError("no")
        return {"mode": Mode.EVAL, "path": PurePosixPath("a")}


def of_torch(name: str, text: str) -> Any:
    return type(name, (), {"__module__": "torch", "__str__": lambda self: text})()


class DictConfig:
    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content


@pytest.fixture
def omegaconf(monkeypatch: pytest.MonkeyPatch) -> None:
    """What OmegaConf is to those who store its configs."""
    module: Any = ModuleType("omegaconf")
    module.DictConfig, module.ListConfig = DictConfig, type("ListConfig", (), {})
    module.OmegaConf = SimpleNamespace(to_container=lambda config, resolve: config.content)
    monkeypatch.setitem(sys.modules, "omegaconf", module)


VALUES: list[tuple[Any, Any]] = [
    (Config(0.1), CONFIG),
    ([Config(0.1), (Mode.EVAL,)], [CONFIG, (2,)]),
    (Mode.TRAIN, "train"),
    (Mode.EVAL, 2),
    (Mode.ODD, "ODD"),
    (Path("/a/b"), "/a/b"),
    (argparse.Namespace(lr=0.1, mode=Mode.TRAIN), {"lr": 0.1, "mode": "train"}),
    (SimpleNamespace(a={1}), {"a": [1]}),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"x", 1}), ["x", 1]),
    (MappingProxyType({"a": Mode.EVAL}), {"a": 2}),
    (Model(), {"mode": 2, "path": "a"}),
    (np.dtype("float32"), "float32"),
    (of_torch("dtype", "torch.float32"), "torch.float32"),
    (of_torch("device", "cuda:0"), "cuda:0"),
    ({Mode.TRAIN: 1, PurePosixPath("p"): 2}, {"train": 1, "p": 2}),
]


@pytest.mark.parametrize(("value", "form"), VALUES, ids=lambda value: type(value).__name__)
def test_the_plain_form_of(repo: Repo, value: Any, form: Any) -> None:
    assert plain(value) == form
    with Run(repo=repo) as run:
        run["value"] = value
        run["list"] = [value]
        run.track(value, name="tracked") if not isinstance(value, dict) else run.track({"tracked": value})
    found = repo.get_run(run.hash)
    assert found["value"] == form
    assert found["list"] == [form]
    [sequence] = found.sequences()
    assert [value.value for value in sequence] == [form]


def test_a_dataclass_unfolds_into_a_tree(repo: Repo) -> None:
    with Run(repo=repo) as run:
        run[...] = Config(0.1)
        run["inner"] = {"config": Config(0.2)}
    [found] = repo.query_runs("run.optimizer.name == 'adam' and run.inner.config.lr == 0.2")
    assert found["optimizer", "betas", 1] == 0.999


@pytest.mark.usefixtures("omegaconf")
def test_a_config_of_omegaconf_is_a_dict(repo: Repo) -> None:
    with Run(repo=repo) as run:
        run["config"] = DictConfig({"lr": 0.1, "mode": Mode.TRAIN})
    assert run["config"] == {"lr": 0.1, "mode": "train"}


def test_objects_of_registered_types_and_known_values_stay_as_they_are() -> None:
    value = [Text("a"), {"x": np.float32(1.5), 1: b"b"}, OrderedDict(a=1)]
    assert plain(value, to_object=to_object) == value
    assert isinstance(plain(Text("a"), to_object=to_object), Text)


def test_another_librarys_failure_names_the_path() -> None:
    with pytest.raises(EncodingError, match=r"^a\.b: the plain form of a Model failed: no"):
        plain({"b": Model(broken=True)}, ("a",))


def test_keys_that_become_one_are_refused() -> None:
    with pytest.raises(EncodingError, match="two keys of the dict become 'train'"):
        plain({Mode.TRAIN: 1, "train": 2})


def test_what_has_no_plain_form_is_refused_with_its_path_and_what_to_do(repo: Repo) -> None:
    with Run(repo=repo) as run:
        with pytest.raises(
            EncodingError, match=r"^model\.act: .*object.*`run\.set\(key, value, strict=False\)` stores its repr"
        ):
            run["model"] = {"lr": 0.1, "act": object()}
        assert run[...] == {}


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no")


SELF: list[Any] = []
SELF.append(SELF)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (slice(2), "slice(None, 2, None)"),
        ([1, {"a": slice(2)}], [1, {"a": "slice(None, 2, None)"}]),
        ({"a": Config(0.1), "b": int}, {"a": CONFIG, "b": "<class 'int'>"}),
        ({1.5: 1, None: 2, (1,): 3}, {"1.5": 1, "None": 2, "(1,)": 3}),
        ([{1.5: 1}], [{1.5: 1}]),
        ("\ud800", r"'\ud800'"),
        (Silent(), "<Silent, whose repr failed: RuntimeError>"),
        (np.ma.masked, "masked"),
        (np.array([None]), "array([None], dtype=object)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_without_strict_the_repr_stands_for_what_cannot_be_stored(repo: Repo, value: Any, stored: Any) -> None:
    with Run(repo=repo) as run:
        run.set("value", value, strict=False)
        run.set(("deep", "value"), 1)
        assert run["value"] == stored
        assert run["deep"] == {"value": 1}


def test_without_strict_what_contains_itself_is_stored_to_the_limit(repo: Repo) -> None:
    with Run(repo=repo) as run:
        run.set("self", SELF, strict=False)
    assert isinstance(run["self", 0, 0, 0], list)


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"a": v}, lambda v: SimpleNamespace(a=v)])
def test_what_is_nested_too_deeply_is_refused_and_other_runs_are_indexed(
    repo: Repo, wrap: Callable[[Any], Any]
) -> None:
    deep: Any = 1
    for _ in range(199):
        deep = wrap(deep)
    with Run(repo=repo) as run:
        run["deep"] = deep
        for value in (wrap(deep), wrap(wrap(deep))):
            with pytest.raises(EncodingError, match="nested more than 200 deep"):
                run["deep"] = value
        run["x"] = 1
    assert repo.query_runs("run.x == 1").count() == 1
    assert repo.status().stalled == []
