"""The entry: what queries need of one run, in one value.

It is a msgpack map (see `aimstore.encoding.values`) with

    attrs   the user's tree, nested
    props   the mirrored structured properties
    seqs    a list [id, name, context, kind, summary or None] for each sequence
    lazy    a list [path, posting] for each leaf that is too large to be packed; it is None in `attrs` and stays in the
    run's meta container; see `aimstore.index.ordered`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cached_property
from typing import Any, Final, NamedTuple

from aimstore.abc import Container
from aimstore.encoding.keys import decode_path, encode_path, format_path
from aimstore.encoding.leaves import fold
from aimstore.encoding.values import WRAPPED_DEPTH, decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError
from aimstore.index.ordered import encode_ordered
from aimstore.plugins.objects import with_objects
from aimstore.storage.layout import ATTRS, SequenceInfo, read_properties, read_sequences, sequence_info
from aimstore.types import TreePath

_PLACEHOLDER: Final = encode_value(None)

LARGE_LEAF: Final = 4096
"""Bytes of the largest encoded leaf that is packed; a larger leaf stays in the run's meta container."""


class IndexEntry:
    """The entry of one run, decoded as far as needed.

    Attributes:
        hash: the run hash.
        attributes: the user's tree as nested dicts; a leaf too large for the entry is a `LazyLeaf`.
        properties: name, experiment, tags, … as mirrored in the meta container.
    """

    def __init__(self, run_hash: str, tree: Mapping[str, Any], load: Callable[[TreePath], Any]) -> None:
        """
        Args:
            run_hash: the run hash.
            tree: the entry, as `Indexer.tree` returns it.
            load: reads a leaf from the run's meta container.
        """
        self.hash = run_hash
        try:
            self.attributes: Any = tree["attrs"]
            self.properties: dict[str, Any] = tree["props"]
            self._sequences: list[list[Any]] = tree["seqs"]
            for path, _ in tree["lazy"]:
                _set_at(self.attributes, path, LazyLeaf(tuple(path), load))
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptionError(f"the entry of run {run_hash} is damaged: {error!r}") from error

    def get(self, path: TreePath) -> Any:
        """A copy of the value at `path`, with all its leaves read.

        Raises:
            KeyError: there is no value at `path`.
            CorruptionError: the value is nested more deeply than any stored value.
        """
        value = self.attributes
        for i, part in enumerate(path):
            if isinstance(value, LazyLeaf):
                value = value.load()
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                raise KeyError(f"run {self.hash} has nothing at {format_path(path[: i + 1])}") from None
        try:
            return with_objects(_copy(value))
        except RecursionError:
            raise CorruptionError(f"run {self.hash}: {format_path(path)} is nested too deeply") from None

    @cached_property
    def sequences(self) -> tuple[SequenceInfo, ...]:
        """The name, context, kind and summary of each sequence, by id."""
        where = f"the entry of run {self.hash}"
        try:
            return tuple(sequence_info(*fields, where=where) for fields in self._sequences)
        except TypeError as error:
            raise CorruptionError(f"{where} is damaged: {error}") from error


class LazyLeaf:
    """A leaf of the user's tree that is read on first use and then kept."""

    def __init__(self, path: TreePath, load: Callable[[TreePath], Any]) -> None:
        self.path = path
        self._load = load

    @cached_property
    def value(self) -> Any:
        return self._load(self.path)

    def load(self) -> Any:
        """Read the value from the run's meta container."""
        return self.value


class PackedEntry(NamedTuple):
    """The data that the index stores for one run.

    Attributes:
        tree: the entry, as `pack` returns it.
        data: the encoded entry.
    """

    tree: dict[str, Any]
    data: bytes


def pack_entry(run_hash: str, meta: Container) -> PackedEntry:
    """Make and encode the entry of the run with this meta container.

    Raises:
        CorruptionError: the run holds a value that cannot be packed.
    """
    tree = pack(meta)
    try:
        return PackedEntry(tree, encode_value(tree, deepest=WRAPPED_DEPTH))
    except EncodingError as error:
        raise CorruptionError(f"run {run_hash} cannot be indexed: {error}") from error


def pack(meta: Container) -> dict[str, Any]:
    """Make the entry of the run with this meta container; `encode_value` encodes it."""
    root = encode_path((ATTRS,))
    leaves: list[tuple[TreePath, bytes]] = []
    lazy: list[list[Any]] = []
    for key, value in meta.items(root):
        path = decode_path(key)[1:]
        if len(value) > LARGE_LEAF:
            lazy.append([list(path), encode_ordered(decode_value(value))])
            value = _PLACEHOLDER
        leaves.append((path, value))
    sequences = [
        [info.id, info.name, info.context, info.kind, None if info.summary is None else list(info.summary)]
        for info in read_sequences(meta)
    ]
    return {
        "attrs": fold(leaves),
        "props": read_properties(meta),
        "seqs": sequences,
        "lazy": lazy,
    }


def _copy(value: Any) -> Any:
    if isinstance(value, LazyLeaf):
        return deepcopy(value.load())
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return deepcopy(value)


def _set_at(tree: dict[str | int, Any], path: list[str | int], leaf: LazyLeaf) -> None:
    for part in path[:-1]:
        tree = tree[part]
    tree[path[-1]] = leaf
