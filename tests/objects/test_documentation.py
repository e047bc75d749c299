"""The reference of object types has every signature, public name and payload."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from aimstore import objects
from aimstore.plugins import plugins

PAGE = (Path(__file__).parents[2] / "docs/reference/object-types.md").read_text(encoding="utf-8")
CLASSES = {name: getattr(objects, name) for name in objects.__all__}


@pytest.mark.parametrize("name", CLASSES)
def test_signatures_are_those_of_the_code(name: str) -> None:
    headings = dict(re.findall(rf"^#+ `({name}(?:\.\w+)?)(\(.*\))`$", PAGE, re.MULTILINE))
    assert name in headings
    for title, arguments in headings.items():
        _, _, method = title.partition(".")
        signature = inspect.signature(getattr(CLASSES[name], method or "__init__"))
        parameters = [
            each.replace(annotation=inspect.Parameter.empty)
            for each in signature.parameters.values()
            if each.name != "self"
        ]
        assert arguments == str(inspect.Signature(parameters)).replace("'", '"')


@pytest.mark.parametrize("name", CLASSES)
def test_public_names_are_there(name: str) -> None:
    _, _, section = PAGE.partition(f"## `{name}(")
    section = section.partition("\n## ")[0]
    public = {each for each in (*vars(CLASSES[name]), *CLASSES[name].__annotations__) if not each.startswith("_")}
    assert {each for each in public if not re.search(rf"`[^`\n]*\b{each}\b[^`\n]*`", section)} == set()


def test_payloads_are_those_of_the_code() -> None:
    rows: dict[str, Any] = {
        kind: (name, re.findall(r"`(\w+)`", payload))
        for kind, name, payload in re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE)
    }
    for name, kind in CLASSES.items():
        spec = next(spec for spec in plugins().object_types().values() if spec.type.endswith(f":{name}"))
        assert rows.pop(spec.name) == (name, list(plugins().load(spec)._fields))
        assert kind.__module__ == spec.type.partition(":")[0]
    assert rows == {}
