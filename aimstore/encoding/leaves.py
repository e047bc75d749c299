"""Trees as leaves: turns a nested dict into one value per tree path, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from aimstore.encoding.keys import format_path, normalise_part
from aimstore.encoding.nesting import MAX_DEPTH, too_deep
from aimstore.encoding.values import ToObject, decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError
from aimstore.types import TreePath


def unfold(value: Any, path: TreePath = (), to_object: ToObject | None = None) -> list[tuple[TreePath, bytes]]:
    """The leaves of `value`: pairs of a path (`path` + the path in `value`) and a value, in the order of the dicts.

    Dicts are unfolded; their keys must be str or int. An empty dict is a leaf, and so is any other value: a list or a
    tuple is one value, and so is a dict for which `to_object` returns an object.

    Raises:
        EncodingError: a key is neither str nor int; the value, with the parts of its path, is nested more than
            `MAX_DEPTH` levels deep; or a leaf cannot be encoded. The message names the path.
    """
    leaves: list[tuple[TreePath, bytes]] = []
    waiting: list[tuple[TreePath, Any]] = [(path, value)]
    while waiting:
        place, item = waiting.pop()
        if not isinstance(item, dict) or not item or _is_object(item, to_object):
            leaves.append((place, encode_value(item, place, to_object)))
            continue
        if len(place) >= MAX_DEPTH:
            raise EncodingError(f"{format_path(place)}: {too_deep()}")
        waiting.extend([((*place, _part(key, place)), child) for key, child in item.items()][::-1])
    return leaves


def fold(items: Iterable[tuple[TreePath, bytes]], decode: Callable[[bytes], Any] = decode_value) -> Any:
    """The value that `unfold` split, from its leaves with paths relative to it, in any order.

    Args:
        items: leaves; without leaves the result is `{}`, so the caller must tell a missing tree from an empty one.
        decode: decodes a value; a function that defers decoding makes the tree lazy.

    Raises:
        CorruptionError: a value is damaged, a leaf that is not a dict has leaves below it, or a path is too long.
    """
    holder: dict[Any, Any] = {}  # the tree's own value is under None, which cannot be part of a path
    for path, data in items:
        if len(path) > MAX_DEPTH:
            raise CorruptionError(f"{format_path(path)}: a path of {len(path)} parts")
        *above, last = (None, *path)
        node = holder
        for part in above:
            node = node.setdefault(part, {})
            if type(node) is not dict:
                raise CorruptionError(f"{format_path(path)}: stored below a value that is no tree")
        leaf = decode(data)
        present = node.setdefault(last, leaf)
        if present is not leaf and not (type(present) is type(leaf) is dict and not leaf):
            raise CorruptionError(f"{format_path(path)}: a value is stored where there is another, or a tree")
    return holder.get(None, {})


def _is_object(value: dict[Any, Any], to_object: ToObject | None) -> bool:
    return to_object is not None and type(value) is not dict and to_object(value) is not None


def _part(key: Any, place: TreePath) -> str | int:
    try:
        return normalise_part(key)
    except EncodingError as error:
        raise EncodingError(f"{format_path((*place, key))}: {error}") from None
