"""Loads the object that a `"module:attribute"` reference names; errors say how to fix the problem."""

from __future__ import annotations

import importlib
import os
import threading
from typing import Any, Final

from aimstore.errors import PluginError, did_you_mean
from aimstore.plugins.specs import Spec

FAULTS: Final = (Exception, SystemExit)
"""Exceptions of a plug-in's code: any error, and `SystemExit` from a module that ends the program. Not Ctrl-C."""

_importing: Final = threading.RLock()
"""Held while a plug-in is imported; a fork waits for it. A child would otherwise wait forever for an import in a thread
that the child does not have.
"""

os.register_at_fork(before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release)


def load_reference(spec: Spec, reference: str) -> Any:
    """Return the object that `reference`, a field of `spec`, names; its module is imported.

    Raises:
        PluginError: the reference names nothing, or its module cannot be imported. If a library is not installed, the
            message is the command that installs it.
    """
    module_name, _, attribute = reference.partition(":")
    found: Any = _import(spec, reference, module_name)
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise PluginError(
                f"{_title(spec)} points to {reference!r}, but {module_name} has no {name!r}"
                f"{did_you_mean(name, dir(found))}"
            ) from error
    return found


def _import(spec: Spec, reference: str, module_name: str) -> Any:
    try:
        with _importing:
            return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if f"{module_name}.".startswith(f"{missing}."):
            raise PluginError(f"{_title(spec)} points to {reference!r}, but there is no module {missing!r}") from error
        if missing.partition(".")[0] == module_name.partition(".")[0]:
            raise PluginError(f"{_title(spec)} is broken: {error}, imported from {module_name}") from error
        raise PluginError(_needs(spec, f"{missing}, which is not installed")) from error
    except ImportError as error:
        raise PluginError(_needs(spec, f"a library that cannot be imported ({error})")) from error
    except FAULTS as error:
        raise PluginError(
            f"{_title(spec)} is broken: importing {module_name} raised {type(error).__name__}: {error}"
        ) from error


def _needs(spec: Spec, what: str) -> str:
    remedy = f"pip install 'aimstore[{spec.extra}]'" if spec.extra else "install it with pip"
    return f"{_title(spec)} needs {what}: {remedy}"


def _title(spec: Spec) -> str:
    return f"{spec.kind} {spec.name!r}"
