"""Remedies for a name that a query may not contain, or that is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aimstore.abc.query import Subject
from aimstore.errors import nearest
from aimstore.query.functions import FUNCTIONS, METHODS
from aimstore.query.tree import Field, Index, Link, Node, Path
from aimstore.query.views import CLOSED, METRIC_PROPERTIES, RUN_PROPERTIES, SEQUENCE_PROPERTIES, SUBJECTS

_OTHER_LANGUAGES: Final = {"null": "None", "nil": "None", "true": "True", "false": "False"}
_PATTERNS: Final = """for regular expressions use matches(), as in run.name.matches(r"^exp-\\d+$")"""
_INSTEAD: Final = {"contains": 'use "in", as in "exp" in run.name'} | dict.fromkeys(
    ("re", "re2", "regex", "match", "search", "fullmatch", "findall", "rlike", "ilike"), _PATTERNS
)
"""Remedies for names of other libraries and languages."""

_OTHER_PROPERTIES: Final = {"creation_time": "created_at", "end_time": "finalized_at"}
"""Properties of a run under the names of other trackers."""


def unknown_name(name: str, subject: Subject, variables: Iterable[str]) -> tuple[str, str]:
    """The reason and the hint for a name that no query for `subject` has.

    Args:
        name: the name as it was written.
        subject: what the query selects.
        variables: names that loops bind at this point.
    """
    reason = f"unknown name {name!r}"
    if name in CLOSED:
        return f"a query for {subject}s has no {name!r}", _instead_of_subject(name, subject)
    if name.lower() in _OTHER_LANGUAGES:
        return reason, f"did you mean {_OTHER_LANGUAGES[name.lower()]}?"
    if name in RUN_PROPERTIES:
        return reason, f"did you mean run.{name}?"
    if name in _INSTEAD:
        return reason, _INSTEAD[name]
    if name in METHODS:
        return reason, f"write it after a value, as in run.x.{name}(…)"
    subjects = sorted(SUBJECTS[subject])
    if near := nearest(name, [*subjects, *FUNCTIONS, *variables]):
        return reason, f"did you mean {near[0]}?"
    known = ", ".join((*subjects, *FUNCTIONS))
    return reason, f"put a string in quotes, an attribute after 'run.'; known names are {known}"


def _instead_of_subject(other: str, subject: Subject) -> str:
    """The remedy for a query that names a subject other than its own."""
    if subject != "run":
        return f"did you mean {subject}?"
    return f"use query_{other}s" + (", or run.metrics['name'].last" if other == "metric" else "")


def unknown_method(name: str) -> tuple[str, str]:
    """The reason and the hint for a method that no value has."""
    reason = f"a query cannot call a method {name!r}"
    if name in _INSTEAD:
        return reason, _INSTEAD[name]
    if name in RUN_PROPERTIES | SEQUENCE_PROPERTIES:
        return reason, "leave the parentheses out"
    if near := nearest(name, METHODS):
        return reason, f"did you mean {near[0]}()?"
    return reason, f"methods are {', '.join(sorted(METHODS))}"


def unknown_attribute(name: str, owner: str, written: str) -> tuple[str, str]:
    """The reason and the hint for an attribute that metrics or sequences do not have.

    Args:
        name: the name as it was written.
        owner: `metric` or `sequence`.
        written: the text before the dot.
    """
    near = nearest(name, CLOSED[owner])
    hint = f"did you mean {written}.{near[0]}?" if near else f"it has {', '.join(sorted(CLOSED[owner]))}"
    return f"a {owner} has no attribute {name!r}", hint


def unknown_link(links: tuple[Link, ...], name: str) -> tuple[str, str] | None:
    """The reason and the hint for `.name` after a path of a run that does not have it; None if it may have it."""
    match links:
        case () if name in _OTHER_PROPERTIES:
            hint = f"did you mean run.{_OTHER_PROPERTIES[name]}? A parameter of that name is read with an index: [{name!r}]"
            return f"a run has no property {name!r}", hint
        case (Field("metrics"),):
            return f"run.metrics has no attribute {name!r}", f"write run.metrics[{name!r}]"
        case (Field("metrics"), Index()) if name not in METRIC_PROPERTIES:
            return unknown_attribute(name, "metric", "run.metrics[…]")
    return None


def no_methods(owner: Node) -> tuple[str, str] | None:
    """The reason and the hint for a method of a subject, or of all metrics of a run; None if it may have one."""
    match owner:
        case Path(links=(), subject=subject):
            return f"{subject} has no methods", f"read an attribute: {subject}.name, or run['name'] for a parameter"
        case Path(subject="run", links=(Field("metrics"),)):
            return (
                "run.metrics has no methods",
                "write run.metrics['loss'], or loop: any(m.last > 0.9 for m in run.metrics)",
            )
    return None
