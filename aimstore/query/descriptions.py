"""Describes hints in words."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from aimstore.abc.query import AllOf, Among, AnyOf, Hint
from aimstore.query.views import RUN_PROPERTIES
from aimstore.types import TreePath

_MAX_VALUES: Final = 5
_MAX_VALUE_CHARACTERS: Final = 40
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = _MAX_VALUE_CHARACTERS


def describe(hint: Hint) -> str:
    """Describe a hint in the words of a query, shortened: `hparams.lr < 0.01 and (experiment == 'a' or tags has 'b')`.

    A sequence called `loss` becomes `sequences['loss']`; a sequence of any name becomes `any sequence`.
    """
    match hint:
        case AllOf(hints):
            return " and ".join(map(_within, hints)) or "every run"
        case AnyOf(hints):
            return " or ".join(map(_within, hints)) or "False"
        case Among(runs):
            return f"hash == {min(runs)!r}" if len(runs) == 1 else f"hash in {_values(sorted(runs))}"
    name = _name(hint.attribute)
    match hint.operator:
        case "true":
            return name
        case "defined":
            return f"is_defined({name})"
        case "startswith":
            return f"{name}.startswith({_value(hint.value)})"
        case "in":
            return f"{name} in {_values(hint.value)}"
    return f"{name} {hint.operator} {_value(hint.value)}"


def _within(hint: Hint) -> str:
    return f"({describe(hint)})" if isinstance(hint, (AllOf, AnyOf)) else describe(hint)


def _name(attribute: TreePath) -> str:
    kind, *parts = attribute
    name = ""
    if kind == "seqs":
        name = f"sequences[{parts.pop(0)!r}]"
    elif kind == "any":
        name = "any sequence"
    for part in parts:
        hidden = kind == "attrs" and not name and part in RUN_PROPERTIES
        name += f".{part}" if isinstance(part, str) and part.isidentifier() and not hidden else f"[{part!r}]"
    return name.removeprefix(".")


def _values(values: Sequence[Any]) -> str:
    more = len(values) - _MAX_VALUES
    shown = [_value(value) for value in values[:_MAX_VALUES]] + ([f"… {more:,} more"] if more > 0 else [])
    return f"[{', '.join(shown)}]"


def _value(value: Any) -> str:
    return f"datetime('{value.isoformat()}')" if isinstance(value, datetime) else _short.repr(value)
