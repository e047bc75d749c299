"""A backend as data, so that another process can open it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

from aimstore.abc import Backend
from aimstore.errors import PluginError
from aimstore.plugins import plugins


@dataclass(frozen=True)
class Source:
    """A backend at one location.

    Attributes:
        factory: `"module:attribute"`, called like `BackendSpec.factory`: `factory(root, options)`.
        root: the backend's root.
        options: the backend's options, by name; of JSON types.
    """

    factory: str
    root: Path
    options: Mapping[str, Any] = field(default_factory=dict)

    def open(self) -> Backend:
        """Open a new instance of the backend."""
        opened = resolve(self.factory)(self.root, dict(self.options))
        assert isinstance(opened, Backend), f"{self.factory} made {opened!r}, which is not an aimstore.abc.Backend"
        return opened

    def dumps(self) -> str:
        """Return this source as text, for another process."""
        return json.dumps([self.factory, str(self.root), dict(self.options)])

    @classmethod
    def loads(cls, text: str) -> Source:
        """Return the source that `dumps` wrote."""
        factory, root, options = json.loads(text)
        return cls(factory, Path(root), options)


def registered_factory(backend_name: str) -> str:
    """The factory of the backend that plug-ins register under this name.

    Raises:
        PluginError: there is no such backend, or its library is missing; the message names the remedy.
    """
    spec = plugins().backend(backend_name)
    plugins().load(spec)
    return spec.factory


def resolve(reference: str) -> Any:
    """The object that `"module:attribute"` names. Raises `PluginError` for other text."""
    module, colon, attribute = reference.partition(":")
    if not (module and colon and attribute):
        raise PluginError(f"a factory is named 'module:attribute', not {reference!r}")
    return attrgetter(attribute)(importlib.import_module(module))
