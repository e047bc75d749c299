"""Paths that lead into one value, below a stored list, tuple or dict.

`full` is a whole path, of which the first `depth` parts lead to the value whose value is `value`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aimstore.encoding.keys import format_path
from aimstore.errors import EncodingError
from aimstore.types import TreePath


def find_within(value: Any, full: TreePath, depth: int) -> Any:
    """The value at `full`. Raises a `KeyError` that says how far the path leads."""
    for at in range(depth, len(full)):
        value = _child(value, full, at)
    return value


def assign_within(value: Any, full: TreePath, depth: int, new: Any) -> None:
    """Set the value at `full` to `new`, inside `value`; missing dicts on the way are created.

    Raises:
        KeyError: a list has no such index.
        EncodingError: a value on the way cannot have items.
    """
    for at in range(depth, len(full) - 1):
        value = value.setdefault(full[at], {}) if isinstance(value, dict) else _child(value, full, at, writing=True)
    last = len(full) - 1
    if isinstance(value, list):
        _child(value, full, last, writing=True)
    elif not isinstance(value, dict):
        raise _refusal(value, full, last)
    value[full[last]] = new


def has_dict_within(value: Any, full: TreePath, depth: int) -> bool:
    """Whether there is a dict at `full`."""
    try:
        return isinstance(find_within(value, full, depth), dict)
    except KeyError:
        return False


def delete_within(value: Any, full: TreePath, depth: int) -> None:
    """Remove the value at `full` from inside `value`. Raises as `assign_within` and `find_within`."""
    last = len(full) - 1
    holder = find_within(value, full[:last], depth)
    _child(holder, full, last)
    if not isinstance(holder, dict | list):
        raise _refusal(holder, full, last)
    holder.pop(full[last])  # type: ignore[arg-type]  # _child found it: of a list, it is an index


def children_within(value: Any, full: TreePath) -> Iterator[tuple[Any, Any]]:
    """The children of `value`, the value at `full`: keys or indices, with values. Raises `TypeError` for other types."""
    if isinstance(value, dict):
        return iter(value.items())
    if isinstance(value, list | tuple):
        return iter(enumerate(value))
    raise TypeError(f"{format_path(full)} is of type {type(value).__name__}, which has no children")


def _child(value: Any, full: TreePath, at: int, *, writing: bool = False) -> Any:
    part = full[at]
    if isinstance(value, dict):
        if part in value:
            return value[part]
        why = "no such key"
    elif isinstance(value, list | tuple):
        if isinstance(part, int) and -len(value) <= part < len(value):
            return value[part]
        why = f"the {type(value).__name__} has {len(value)} items"
    elif writing:
        raise _refusal(value, full, at)
    else:
        why = f"{format_path(full[:at])} is of type {type(value).__name__}"
    raise KeyError(f"{format_path(full[: at + 1])}: {why}")


def _refusal(value: Any, full: TreePath, at: int) -> EncodingError:
    holder = format_path(full[:at])
    return EncodingError(f"{format_path(full)}: {holder} is of type {type(value).__name__}, which takes no items")
