"""The rooms of the package: imports run downward, each contract notices an upward import, and no circle is left."""

from __future__ import annotations

import copy
import importlib
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract
from importlinter.contracts.protected import ProtectedContract

import aimstore

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {each["name"]: each for each in SETTINGS["contracts"]}
KINDS = {"layers": LayersContract, "forbidden": ForbiddenContract, "protected": ProtectedContract}
ROOMS = [path.parent.name for path in Path(aimstore.__file__).parent.glob("*/__init__.py")]


configure()


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        *SETTINGS["root_packages"],
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )


def is_kept(contract: dict[str, Any], graph: grimp.ImportGraph) -> bool:
    options = {key: str(value) if value is True else value for key, value in contract.items()}
    checked = KINDS[contract["type"]](contract["name"], SETTINGS, options)
    return checked.check(copy.deepcopy(graph), verbose=False).kept  # type: ignore[no-any-return]


def offences(contract: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Imports that break a contract: of each layer one from the layer above it, or one of what is forbidden."""
    if contract["type"] == "layers":
        prefix = f"{contract['containers'][0]}." if "containers" in contract else ""
        layers = [[name.strip(" ()") for name in layer.split("|")] for layer in contract["layers"]]
        for above, below in pairwise(layers):
            yield prefix + below[0], prefix + above[0]
        for layer in layers:
            for one, other in pairwise(layer):
                yield prefix + one, prefix + other
    elif contract["type"] == "forbidden":
        for name in contract["forbidden_modules"]:
            yield contract["source_modules"][0], name
    else:
        for name in contract["protected_modules"]:
            yield "aimstore.errors", name


CASES = [(name, *offence) for name, contract in CONTRACTS.items() for offence in offences(contract)]


@pytest.mark.parametrize("name", CONTRACTS)
def test_each_contract_holds(name: str, graph: grimp.ImportGraph) -> None:
    assert is_kept(CONTRACTS[name], graph)


@pytest.mark.parametrize(("name", "importer", "imported"), CASES, ids=lambda value: str(value).split(":")[0])
def test_each_contract_fails_when_an_import_against_it_is_added(
    name: str, importer: str, imported: str, graph: grimp.ImportGraph
) -> None:
    changed = copy.deepcopy(graph)
    changed.add_import(importer=importer, imported=imported)
    assert not is_kept(CONTRACTS[name], changed)


def test_no_modules_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    own = {name for name in graph.modules if not graph.is_module_squashed(name)}
    modules = {name for name in own if not graph.find_children(name)}
    imports = {name: graph.find_modules_directly_imported_by(name) & modules for name in modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_each_room_says_what_it_owns_imports_and_offers(room: str) -> None:
    module = importlib.import_module(f"aimstore.{room}")
    assert len((module.__doc__ or "").splitlines()) > 1
    assert list(module.__all__) == sorted(
        module.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    for name in module.__all__:
        assert getattr(module, name) is not None
