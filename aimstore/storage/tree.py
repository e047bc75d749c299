"""A tree of values over the keys of a container, read and written lazily.

One key per leaf: dicts unfold into their leaves, an empty dict is a leaf, and a list is one value, into which a longer
path descends. Of a path and what lies below it, either the path has a value or something below it has, never both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, Final

from aimstore.abc import Container, KeyRange, WriteBatch
from aimstore.encoding.keys import decode_path, encode_path, encode_path_part, format_path, normalise_part
from aimstore.encoding.leaves import fold, unfold
from aimstore.encoding.values import FromObject, ToObject, decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError
from aimstore.storage.within import assign_within, children_within, delete_within, find_within, has_dict_within
from aimstore.types import TreeKey, TreePath

_EMPTY: Final = encode_value({})

_SCANNED_ITEMS: Final = 8
"""Items below a child that are read in a row. Beyond them, seeking to the next child is cheaper."""


class Tree:
    """What a container holds below `root`, as nested dicts.

    Args:
        container: where the tree is stored; the tree neither opens nor closes it.
        root: the path that this tree calls `()`.
        to_object, from_object: encode and decode objects of registered types, see `encode_value`.

    `()` and `...` are the root. The root of the whole container is a dict, `{}` where nothing is stored.

    Reading and writing touch the keys of the place and below it, and look for values above it, one key for each part
    of its path. A value is read from one snapshot, and written by one batch. All methods may be used from several
    threads, but one at a time should write: a change first reads what is there.

    Every method may raise what `Container` raises, `EncodingError` for an invalid path, and `CorruptionError` for a value
    that cannot be read.
    """

    def __init__(
        self,
        container: Container,
        root: TreePath = (),
        *,
        to_object: ToObject | None = None,
        from_object: FromObject | None = None,
    ) -> None:
        self.container = container
        self.root = root
        self._to_object = to_object
        self._from_object = from_object

    # Reading

    def __getitem__(self, path: TreeKey) -> Any:
        """The value at `path`, decoded whole. Raises `KeyError` where nothing is stored."""
        full = self._full(path)
        key = encode_path(full)
        stored = [(decode_path(below[len(key) :]), data) for below, data in self.container.items(key)]
        if stored or not full:
            return self._fold(full, stored)
        return self._find_above(full)

    def get(self, path: TreeKey, default: Any = None) -> Any:
        """The value at `path`, or `default` where nothing is stored."""
        try:
            return self[path]
        except KeyError:
            return default

    def __contains__(self, path: TreeKey) -> bool:
        full = self._full(path)
        if not full or self.container.first(encode_path(full)) is not None:
            return True
        try:
            self._find_above(full)
        except KeyError:
            return False
        return True

    def _find_above(self, full: TreePath) -> Any:
        above = self._records_above([full])
        if not above:
            raise _missing(full)
        return find_within(above[0].value, full, len(above[0].path))

    def keys(self) -> Iterator[str | int]:
        """Names of the root's direct children, in the order of paths; of a list, its indices.

        Skips everything below a child, and decodes nothing unless the root is a value itself. Concurrent writes may or
        may not be seen.

        Raises:
            KeyError: nothing is stored at the root.
            TypeError: the value at the root has no children.
        """
        prefix = encode_path(self.root)
        whole = KeyRange.prefix(prefix)
        scan = self.container.scan(whole)
        try:
            item = next(scan, None)
            if item is None or item[0] == prefix:
                yield from (name for name, _ in self._children_of_value())
                return
            while item is not None:
                name = decode_path(item[0][len(prefix) :])[0]
                yield name
                below = KeyRange.prefix(prefix + encode_path_part(name))
                for _ in range(_SCANNED_ITEMS):
                    item = next(scan, None)
                    if item is None or item[0] not in below:
                        break
                else:
                    scan.close()
                    assert below.stop is not None  # a part of a path never consists of 0xFF
                    scan = self.container.scan(KeyRange(below.stop, whole.stop))
                    item = next(scan, None)
        finally:
            scan.close()

    __iter__ = keys

    def items(self) -> Iterator[tuple[str | int, Any]]:
        """Names and values of the root's direct children, from one snapshot, decoded one by one. Errors as `keys`."""
        prefix = encode_path(self.root)
        with closing(self.container.items(prefix)) as scan:
            first = next(scan, None)
            if first is None or first[0] == prefix:
                yield from self._children_of_value()
                return
            leaves = ((decode_path(key[len(prefix) :]), data) for key, data in chain((first,), scan))
            for name, group in groupby(leaves, lambda leaf: leaf[0][0]):
                yield name, self._fold((*self.root, name), [(path[1:], data) for path, data in group])

    # Writing

    def __setitem__(self, path: TreeKey, value: Any) -> None:
        """Replace the whole value at `path`, in one batch. Errors as `batch_set`."""
        batch = WriteBatch()
        self.batch_set(batch, path, value)
        self.container.write(batch)

    def batch_set(self, batch: WriteBatch, path: TreeKey, value: Any) -> None:
        """Add to `batch` the operations that make `value` the value at `path`.

        Reads the container, not the batch: of two changes inside one list, the later would undo the earlier.

        Raises:
            EncodingError: the value cannot be stored, or a value above `path` cannot have items; the message names the
                path. Nothing is added to the batch.
            KeyError: the path leads to an index that a list does not have.
        """
        full = self._full(path)
        leaves = self._unfold(full, value)
        above = self._records_above([full])
        if above and not above[0].empty:
            assign_within(above[0].value, full, len(above[0].path), value)
            batch.put(*self._encoded(above[0]))
            return
        for value in above:
            batch.delete(encode_path(value.path))
        batch.delete_range(KeyRange.prefix(encode_path(full)))
        for place, data in leaves:
            batch.put(encode_path(place), data)

    def merge(self, path: TreeKey, values: Mapping[str | int, Any]) -> None:
        """Set the leaves that `values` names below `path` and keep all others, in one batch. Errors as `batch_merge`."""
        batch = WriteBatch()
        self.batch_merge(batch, path, values)
        self.container.write(batch)

    def batch_merge(self, batch: WriteBatch, path: TreeKey, values: Mapping[str | int, Any]) -> None:
        """Add to `batch` the operations that set each leaf of `values`, a nested dict, below `path`.

        An empty dict in `values` makes sure that there is a dict. Reads the container only, and raises, as `batch_set`.
        """
        full = self._full(path)
        leaves = self._unfold(full, dict(values))
        above = {value.path: value for value in self._records_above([place for place, _ in leaves])}
        changed: dict[TreePath, _Value] = {}
        emptied: set[TreePath] = set()
        puts: list[tuple[bytes, bytes]] = []
        for place, data in leaves:
            value = next((above[place[:at]] for at in range(1, len(place)) if place[:at] in above), None)
            if value is not None and not value.empty:
                if self._merge_within(value, place, data):
                    changed[value.path] = value
                continue
            if value is not None:
                emptied.add(value.path)
            if data != _EMPTY or not self._has_dict(place):
                puts.append((encode_path(place), data))
        rewritten = [self._encoded(value) for value in changed.values()]
        for place in emptied:
            batch.delete(encode_path(place))
        for key, data in puts:
            batch.delete_range(KeyRange.prefix(key))
            batch.put(key, data)
        for key, data in rewritten:
            batch.put(key, data)

    def _merge_within(self, value: _Value, place: TreePath, data: bytes) -> bool:
        """Set the leaf at `place`, inside `value`. Returns whether that changes the value."""
        depth = len(value.path)
        if data == _EMPTY and has_dict_within(value.value, place, depth):
            return False
        assign_within(value.value, place, depth, self._decode(place, data))
        return True

    def __delitem__(self, path: TreeKey) -> None:
        """Remove the value at `path`, in one batch. A dict that loses its last item stays, empty.

        To know that, it reads one key on either side of `path`.

        Raises:
            KeyError: nothing is stored at `path`.
            EncodingError: the value above `path`, such as a tuple, cannot lose items.
        """
        full = self._full(path)
        key = encode_path(full)
        batch = WriteBatch()
        if not full or self.container.first(key) is not None:
            batch.delete_range(KeyRange.prefix(key))
            if len(full) > 1 and not self._has_siblings(full):
                batch.put(encode_path(full[:-1]), _EMPTY)
        else:
            above = self._records_above([full])
            if not above:
                raise _missing(full)
            delete_within(above[0].value, full, len(above[0].path))
            batch.put(*self._encoded(above[0]))
        self.container.write(batch)

    # Inside

    def _full(self, path: TreeKey) -> TreePath:
        if path is ...:
            return self.root
        return (*self.root, *map(normalise_part, path if isinstance(path, tuple) else (path,)))

    def _unfold(self, full: TreePath, value: Any) -> list[tuple[TreePath, bytes]]:
        leaves = unfold(value, full, self._to_object)
        if full or leaves[0][0]:
            return leaves
        if leaves[0][1] != _EMPTY:
            raise EncodingError(f"the root of a tree is a dict, not of type {type(value).__name__}")
        return []

    def _fold(self, full: TreePath, leaves: list[tuple[TreePath, bytes]]) -> Any:
        try:
            return fold(leaves, lambda data: decode_value(data, self._from_object))
        except CorruptionError as error:
            raise CorruptionError(f"{self.container.path}: below {format_path(full)}: {error}") from error

    def _decode(self, full: TreePath, data: bytes) -> Any:
        return self._fold(full, [((), data)])

    def _encoded(self, value: _Value) -> tuple[bytes, bytes]:
        """The key and value of a value."""
        return encode_path(value.path), encode_value(value.value, value.path, self._to_object)

    def _records_above(self, places: list[TreePath]) -> list[_Value]:
        """The values above `places`, shortest path first; one round trip."""
        paths = sorted({place[:at] for place in places for at in range(1, len(place))}, key=len)
        found = self.container.get_many([encode_path(path) for path in paths])
        return [
            _Value(path, self._decode(path, data), data == _EMPTY)
            for path, data in zip(paths, found, strict=True)
            if data is not None
        ]

    def _has_dict(self, place: TreePath) -> bool:
        key = encode_path(place)
        first = self.container.first(key)
        if first is None:
            return False
        if first[0] == key and first[1] != _EMPTY:
            raise EncodingError(f"{format_path(place)} is no dict, and takes no items")
        return True

    def _has_siblings(self, full: TreePath) -> bool:
        parent, own = KeyRange.prefix(encode_path(full[:-1])), KeyRange.prefix(encode_path(full))
        assert own.stop is not None  # a part of a path never consists of 0xFF
        for keys in (KeyRange(parent.start, own.start), KeyRange(own.stop, parent.stop)):
            with closing(self.container.scan(keys)) as scan:
                if next(scan, None) is not None:
                    return True
        return False

    def _children_of_value(self) -> Iterator[tuple[Any, Any]]:
        return children_within(self[...], self.root)


@dataclass
class _Value:
    """A value above a path that is read or written."""

    path: TreePath
    value: Any
    empty: bool
    """Whether it is an empty dict, which gives way to what is stored below it."""


def _missing(full: TreePath) -> KeyError:
    return KeyError(f"nothing is stored at {format_path(full)}")
