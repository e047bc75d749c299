"""Plain forms: the stored forms of objects that are not values themselves, such as dataclasses and enums.

| object | stored as |
|---|---|
| dataclass | dict of its fields |
| `argparse.Namespace`, `SimpleNamespace`, any `Mapping`, Pydantic model | dict |
| OmegaConf config | dict or list, with interpolations resolved |
| `Enum` | its value if that is None, a bool, number or text; else its name |
| `pathlib` path | text |
| set, frozenset | list, sorted if its elements can be sorted |
| dtype of NumPy or PyTorch, device of PyTorch | its text: "float32", "torch.float32", "cuda:0" |

Objects of other libraries are recognized by the module of their class, so no library is imported.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, Final

from aimstore.encoding.extensions import CONTAINER, ToObject, encode_leaf
from aimstore.encoding.keys import format_path, normalise_part
from aimstore.encoding.nesting import MAX_DEPTH, too_deep
from aimstore.errors import EncodingError

_NONE: Final = object()
_PLAIN_VALUES: Final = (bool, int, float, str, type(None))


def plain(value: Any, path: tuple[Any, ...] = (), to_object: ToObject | None = None, *, strict: bool = True) -> Any:
    """Return `value` with all objects that have a plain form, at any depth, replaced by it. Other objects stay as they
    are. Without `strict`, an object that cannot be stored is replaced by its repr.

    Args:
        path: the path of the value, for error messages.
        to_object: encodes objects of registered types, which stay as they are.

    Raises:
        EncodingError: the value is nested too deeply, two keys of a dict become equal, or another library cannot
            convert it.
    """
    return _Converter(to_object, strict=strict).convert(value, path, tree=True)


class _Converter:
    def __init__(self, to_object: ToObject | None, *, strict: bool) -> None:
        self._to_object = to_object
        self._strict = strict

    def convert(self, value: Any, path: tuple[Any, ...], *, tree: bool) -> Any:
        """`tree`: dicts here are unfolded, so their keys must be str or int."""
        if isinstance(value, _PLAIN_VALUES):
            return value if self._strict else self._checked(value)
        if self._is_object(value):
            return value
        form = plain_form(value, path)
        if form is not _NONE:
            value = form
        if not isinstance(value, (dict, list, tuple)):
            return value if self._strict or form is not _NONE else self._checked(value)
        if len(path) >= MAX_DEPTH:
            if self._strict:
                raise EncodingError(f"{format_path(path)}: {too_deep()}")
            return ascii(value)
        if isinstance(value, dict):
            return self._dict(value, path, tree=tree)
        items = [self.convert(item, (*path, at), tree=False) for at, item in enumerate(value)]
        return items if isinstance(value, list) else tuple(items)

    def _dict(self, value: dict[Any, Any], path: tuple[Any, ...], *, tree: bool) -> dict[Any, Any]:
        converted: dict[Any, Any] = {}
        for key, item in value.items():
            name = self._key(key, path, tree=tree)
            if name in converted:
                raise EncodingError(f"{format_path((*path, key))}: two keys of the dict become {name!r:.60}")
            converted[name] = self.convert(item, (*path, name), tree=tree)
        return converted

    def _key(self, key: Any, path: tuple[Any, ...], *, tree: bool) -> Any:
        form = key if isinstance(key, _PLAIN_VALUES) else plain_form(key, path)
        name = form if isinstance(form, _PLAIN_VALUES) else key
        if self._strict:
            return name
        try:
            if tree:
                normalise_part(name)
            return self._checked(name)
        except EncodingError:
            return ascii(name)

    def _is_object(self, value: Any) -> bool:
        return self._to_object is not None and self._to_object(value) is not None

    def _checked(self, value: Any) -> Any:
        try:
            encoded = encode_leaf(value, self._to_object)
        except EncodingError:
            return ascii(value) if isinstance(value, str) else _representation(value)
        return value if encoded is not CONTAINER else _representation(value)


def _representation(value: Any) -> str:
    try:
        return repr(value).encode(errors="backslashreplace").decode()
    except Exception as error:  # the object may raise any error
        return f"<{type(value).__qualname__}, whose repr failed: {type(error).__name__}>"


def plain_form(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """The plain form of one object, whose parts may have plain forms too; a special object if there is none."""
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    try:
        if callable(getattr(kind, "model_dump", None)) and hasattr(kind, "model_fields"):
            return value.model_dump()
        omegaconf = sys.modules.get("omegaconf")
        if omegaconf is not None and isinstance(value, (omegaconf.DictConfig, omegaconf.ListConfig)):
            return omegaconf.OmegaConf.to_container(value, resolve=True)
    except Exception as error:  # the other library may raise any error
        raise EncodingError(f"{format_path(path)}: the plain form of a {kind.__qualname__} failed: {error}") from error
    argparse = sys.modules.get("argparse")
    if argparse is not None and isinstance(value, argparse.Namespace):
        return dict(vars(value))
    for base, form in _FORMS:
        if isinstance(value, base):
            return form(value)
    return str(value) if _is_type_or_device(value) else _NONE


def _is_type_or_device(value: Any) -> bool:
    kind = type(value)
    if kind.__module__ == "torch":
        return kind.__name__ in ("dtype", "device")
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.dtype)


def _enum(value: Enum) -> Any:
    return value.value if isinstance(value.value, _PLAIN_VALUES) else value.name


def _set(value: set[Any] | frozenset[Any]) -> list[Any]:
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


_FORMS: Final[list[tuple[type, Callable[[Any], Any]]]] = [
    (Enum, _enum),
    (PurePath, str),
    (set, _set),
    (frozenset, _set),
    (SimpleNamespace, lambda value: dict(vars(value))),
    (dict, lambda value: _NONE),
    (Mapping, dict),
]
