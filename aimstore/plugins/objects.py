"""Converts objects of registered types to their stored form and back: `to_object` and `from_object`."""

from __future__ import annotations

import functools
import logging
from typing import Any

from aimstore.encoding.extensions import Opaque
from aimstore.encoding.leaves import unfold
from aimstore.encoding.plain import plain
from aimstore.errors import EncodingError, PluginError
from aimstore.plugins.manager import plugins
from aimstore.plugins.specs import ObjectTypeSpec
from aimstore.types import TreePath

logger = logging.getLogger("aimstore")


def to_object(value: Any) -> Opaque | None:
    """Return the stored form of `value` if its class or a base class is a registered object type; else None.

    Raises:
        PluginError: the plug-in of the type cannot be loaded.
    """
    spec = _spec_of(type(value))  # type: ignore[arg-type]  # mypy doubts that a class can be hashed
    return None if spec is None else Opaque(spec.name, _codec(spec.name).encode(value))


def from_object(stored: Opaque) -> Any:
    """Return the object for its stored form. An object of unknown type stays an `Opaque`, which can be stored again."""
    codec = _codec_or_none(stored.type_name)
    return stored if codec is None else codec.decode(stored.data)


def with_objects(value: Any) -> Any:
    """Return `value` with each `Opaque` in it, at any depth, replaced by its object."""
    if isinstance(value, Opaque):
        return from_object(value)
    if isinstance(value, dict):
        return {key: with_objects(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(with_objects(item) for item in value)
    return value


def storable(value: Any, path: TreePath, *, strict: bool = True) -> Any:
    """Return `value` in a form that can be stored at `path` of a run's tree.

    Values are converted to plain forms; see `aimstore.encoding.plain`. Without `strict`, any other value that cannot be
    stored is replaced by its repr.

    Raises:
        EncodingError: a part of `value` cannot be stored; the message names its path.
    """
    converted = plain(value, path, to_object, strict=strict)
    try:
        unfold(converted, path, to_object)
    except EncodingError as error:
        if not strict:
            raise
        raise EncodingError(f"{error}; `run.set(key, value, strict=False)` stores its repr") from error
    return converted


@functools.lru_cache(maxsize=1024)
def _spec_of(kind: type) -> ObjectTypeSpec | None:
    if kind.__module__ == "builtins":
        return None
    specs = {spec.type: spec for spec in plugins().object_types().values()}
    names = (f"{each.__module__}:{each.__qualname__}" for each in kind.__mro__)
    return next((specs[name] for name in names if name in specs), None)


@functools.cache
def _codec(name: str) -> Any:
    manager = plugins()
    return manager.load(manager.object_type(name))


@functools.cache
def _codec_or_none(name: str) -> Any:
    try:
        return _codec(name)
    except PluginError as error:
        logger.warning("objects of type %r are given as Opaque: %s", name, error)
        return None
