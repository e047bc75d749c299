"""The reference of the hooks names each hook with its signature, and its examples are plug-ins that register."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from aimstore.plugins import PluginManager, hookspecs

REFERENCE = Path(__file__).parents[2].joinpath("docs", "reference", "hooks.md").read_text(encoding="utf-8")
HOOKS = {name: value for name, value in vars(hookspecs).items() if name.startswith("aimstore_")}
EXAMPLES = re.findall(r"```python\n(.*?)```", REFERENCE, re.DOTALL)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_is_a_heading_with_its_signature(name: str) -> None:
    signature = str(inspect.signature(HOOKS[name])).replace("'", "")
    assert f"\n### `{name}{signature}`\n" in REFERENCE


def test_there_is_no_heading_of_a_hook_that_does_not_exist() -> None:
    assert re.findall(r"^### `(\w+)\(", REFERENCE, re.MULTILINE) == list(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_docstring(name: str) -> None:
    assert inspect.getdoc(HOOKS[name])


def test_every_hook_has_one_example_that_registers_and_answers(manager: PluginManager) -> None:
    for number, (name, example) in enumerate(zip(HOOKS, EXAMPLES, strict=True)):
        assert f"@hookimpl\ndef {name}(" in example
        module = ModuleType(f"example_{number}")
        exec(compile(example, f"hooks.md, example {number}", "exec", dont_inherit=True), vars(module))
        manager.register(module, f"example-{number}")
    for offered in (
        manager.backends,
        manager.indexers,
        manager.query_engines,
        manager.object_types,
        manager.cli_commands,
        manager.bench_workloads,
    ):
        assert offered()
    assert manager.broken == ()


def test_the_example_of_an_event_is_called(manager: PluginManager, capsys: pytest.CaptureFixture[str]) -> None:
    for name, example in zip(HOOKS, EXAMPLES, strict=True):
        module = ModuleType(name)
        exec(compile(example, name, "exec", dont_inherit=True), vars(module))
        manager.register(module, name.replace("_", "-"))
    manager.notify("aimstore_run_opened", run_hash="abc", repo="/r/.aim", resumed=False)
    manager.notify("aimstore_run_finalized", run_hash="abc", repo="/r/.aim")
    manager.notify("aimstore_run_indexed", run_hash="abc", repo="/r/.aim")
    assert capsys.readouterr().out == "started abc in /r/.aim\nfinished abc\nabc can be queried in /r/.aim\n"
