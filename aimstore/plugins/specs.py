"""Specs: what plug-ins offer, as data (a name, a summary, and a reference to the implementation).

A spec names its factory as text, `"module:attribute"`, so that a plug-in can be listed without importing its engine.
`aimstore.plugins.loading` resolves the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from aimstore.errors import PluginError

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_DOTTED = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_REFERENCE = re.compile(f"{_DOTTED}:{_DOTTED}")


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The fields that all specs share.

    Attributes:
        name: the name in the configuration and in commands: lower-case letters, digits, "-" and "_", starting with a
            letter.
        summary: one sentence for listings.
        factory: `"module:attribute"`; what the attribute must be depends on the kind of spec.
        extra: the extra of aimstore that installs the required library (`pip install 'aimstore[lmdb]'`); "" if no
            library is required, or if the plug-in's own distribution depends on the library.

    Raises:
        PluginError: the name or a reference is not of this form.
    """

    kind: ClassVar[str] = "plug-in"

    name: str
    summary: str
    factory: str
    extra: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise PluginError(
                f"{self.kind} name {self.name!r}: lower-case letters, digits, '-' and '_' only, a letter first"
            )
        self._check_reference("factory", self.factory)

    def _check_reference(self, field: str, reference: str) -> None:
        if not _REFERENCE.fullmatch(reference):
            raise PluginError(f"{self.kind} {self.name!r}: {field} is 'module:attribute', not {reference!r}")


@dataclass(frozen=True, kw_only=True)
class BackendSpec(Spec):
    """A storage engine.

    Attributes:
        factory: `factory(root, options) -> aimstore.abc.Backend`; `root` is the `Path` of the `.aim` directory. An
            engine that keeps its data elsewhere takes the address from its options. Listings show the factory's
            attribute `capability`, which a backend class has.
        options: `"module:Class"`, the typed options; importing them loads no engine. "" if the engine has none.
        library: the pip name of the distribution of the engine's library; listings show its version. "" if the plug-in
            needs no library.
        direct: `"module:attribute"`, an `aimstore.testing.benchmarks.Direct`: the same work without the backend, which
            shows the conformance kit's benchmarks what the backend costs. "" if there is none.
    """

    kind: ClassVar[str] = "backend"

    options: str = ""
    library: str = ""
    direct: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("options", "direct"):
            if reference := getattr(self, field):
                self._check_reference(field, reference)


@dataclass(frozen=True, kw_only=True)
class IndexerSpec(Spec):
    """An indexer; `factory(backend) -> aimstore.abc.Indexer`."""

    kind: ClassVar[str] = "indexer"


@dataclass(frozen=True, kw_only=True)
class QueryEngineSpec(Spec):
    """A query language; `factory() -> aimstore.abc.Query`."""

    kind: ClassVar[str] = "query engine"


@dataclass(frozen=True, kw_only=True)
class ObjectTypeSpec(Spec):
    """An object type: a type of values that can be tracked and stored.

    Stored values contain `name`, so it must never change.

    Attributes:
        type: `"module:Class"`, the Python type. aimstore does not import the module: a program that has such an object
            has imported it.
        factory: an object with `encode(value) -> bytes` and `decode(data: bytes) -> value`.
    """

    kind: ClassVar[str] = "object type"

    type: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_reference("type", self.type)


@dataclass(frozen=True, kw_only=True)
class CommandSpec(Spec):
    """A command of the `aimstore` program; `factory` is a `click.Command`, loaded when the command runs."""

    kind: ClassVar[str] = "command"


@dataclass(frozen=True, kw_only=True)
class WorkloadSpec(Spec):
    """A workload of `aimstore bench`; `factory() -> aimstore.bench.Workload`, called in every measuring process."""

    kind: ClassVar[str] = "workload"
