"""Keys of the index container: entries, and postings that find runs by their facts.

An entry has the key `("runs", hash)`. Keys without values list all runs: `("all",)` and the 12 bytes of the hash.

A posting is `("by", *attribute)` as a path key, the byte 02, the value's class and bytes (`aimstore.index.ordered`),
and the 12 bytes of the run's hash; its value is empty. Attributes are those of `aimstore.abc.Term`. All values of an
attribute are adjacent, in their order; the values of its subtree follow. The postings of a run can be derived from its
entry alone, so they can be removed with it. A run that has a fact without a posting is listed under `("unposted",)`,
and may match any query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from aimstore.abc import KeyRange, Term
from aimstore.encoding.keys import decode_path, encode_path
from aimstore.errors import CorruptionError
from aimstore.index import ordered
from aimstore.index.ordered import UnorderedError
from aimstore.types import TreePath, is_run_hash

RUNS: Final = encode_path(("runs",))
ALL: Final = encode_path(("all",))
POSTINGS: Final = encode_path(("by",))
UNPOSTED: Final = encode_path(("unposted",))

RUN_BYTES: Final = 12
"""Bytes of the run hash at the end of a posting."""

MAX_POSTINGS: Final = 4096
"""Maximum number of facts of one run that get postings; a run with more is found by evaluating it."""

_VALUE: Final = b"\x02"

FIGURES: Final = ("count", "first_step", "last_step", "last", "min", "max")


def postings(entry: Mapping[str, Any], longest: int) -> set[bytes]:
    """The postings of an entry, without the run hash.

    Args:
        entry: see `aimstore.index.entry`.
        longest: maximum length of a key in bytes.
    """
    found: set[bytes] = set()
    try:
        for key in _facts(entry):
            if len(key) > longest - RUN_BYTES or len(found) == MAX_POSTINGS:
                return {UNPOSTED}
            found.add(key)
    except UnorderedError:
        return {UNPOSTED}
    return found


def _facts(entry: Mapping[str, Any]) -> Iterator[bytes]:
    lazy = {tuple(path): value for path, value in entry["lazy"]}
    for path, value in _leaves(entry["attrs"], ()):
        stored = lazy.get(path) if lazy else None
        yield _base(("attrs", *path)) + (ordered.encode_ordered(value) if stored is None else stored)
    for _, name, context, kind, summary in entry["seqs"]:
        yield _base(("seqs", name, "kind")) + ordered.encode_text(kind)
        for path, value in _leaves(context, ()):
            yield _base(("seqs", name, "context", *path)) + ordered.encode_ordered(value)
        for figure, value in _figures(summary):
            if value is not None:
                yield _base(("seqs", name, figure)) + ordered.encode_number(value)


def _figures(summary: list[Any] | None) -> Iterable[tuple[str, Any]]:
    if summary is None:
        return (("count", 0),)
    _, steps, _, *rest = summary
    return zip(FIGURES, (steps, *rest), strict=True)


def _leaves(tree: Any, path: TreePath) -> Iterator[tuple[TreePath, Any]]:
    if type(tree) is dict and tree:
        for name, value in tree.items():
            yield from _leaves(value, (*path, name))
    elif path:
        yield path, tree


def _base(attribute: TreePath) -> bytes:
    return POSTINGS + encode_path(attribute) + _VALUE


# Key ranges of a term


def ranges(term: Term) -> tuple[list[KeyRange], bool]:
    """The ranges of the postings of runs for which `term` may be true, in order, and whether it is true for all of
    them.

    Args:
        term: a term about a path in the user's tree, or about a sequence of one name.
    """
    attribute, value = term.attribute, term.value
    if attribute[0] == "seqs" and len(attribute) == 2 and term.operator in ("defined", "true"):
        attribute = (*attribute, "kind")  # every sequence has a kind
    path = POSTINGS + encode_path(attribute)
    base = path + _VALUE
    match term.operator:
        case "defined":
            return [KeyRange.prefix(path)], True
        case "true":
            return _true(path), True
        case "startswith":
            beginning = ordered.encode_beginning(value)
            return [KeyRange.prefix(base + beginning)], len(beginning) < ordered.CUT
        case "in":
            keys = {base + ordered.encode_ordered(each) for each in value}
            return [KeyRange.prefix(key) for key in sorted(keys)], all(map(ordered.is_exact, value))
    return [_compared(base, term)], ordered.is_exact(value)


def _compared(base: bytes, term: Term) -> KeyRange:
    """The postings below `base` whose values compare with the term's value as its operator requires. If the value may
    have been rounded, equal values are included."""
    exact = ordered.is_exact(term.value)
    key = base + ordered.encode_ordered(term.value)
    of_class = KeyRange.prefix(key[: len(base) + 1])
    equal = KeyRange.prefix(key)
    assert equal.stop is not None
    match term.operator:
        case "==":
            return equal
        case "<" if exact:
            return KeyRange(of_class.start, equal.start)
        case "<" | "<=":
            return KeyRange(of_class.start, equal.stop)
        case ">" if exact:
            return KeyRange(equal.stop, of_class.stop)
    return KeyRange(equal.start, of_class.stop)


def _true(path: bytes) -> list[KeyRange]:
    """All values but None, 0, "" and empty collections: all keys below the path, and the values of the other
    classes."""
    base = path + _VALUE
    zero, empty = KeyRange.prefix(base + ordered.encode_number(0)), KeyRange.prefix(base + ordered.EMPTY_TEXT)
    assert zero.stop is not None
    assert empty.stop is not None
    return [
        KeyRange(base + ordered.NAN, zero.start),
        KeyRange(zero.stop, empty.start),
        KeyRange(empty.stop, KeyRange.prefix(path).stop),
    ]


def intersection(these: list[KeyRange], those: list[KeyRange]) -> list[KeyRange]:
    """The keys in both lists; the ranges of each list are in order and disjoint, as `ranges` returns them."""
    found = []
    one, other = 0, 0
    while one < len(these) and other < len(those):
        start = max(these[one].start, those[other].start)
        first_ends = _ends_before(these[one], those[other])
        stop = these[one].stop if first_ends else those[other].stop
        if stop is None or start < stop:
            found.append(KeyRange(start, stop))
        if first_ends:
            one += 1
        else:
            other += 1
    return found


def _ends_before(one: KeyRange, other: KeyRange) -> bool:
    return one.stop is not None and (other.stop is None or one.stop < other.stop)


def run_key(run_hash: str) -> bytes:
    """The key of the entry of a run."""
    return encode_path(("runs", run_hash))


def run_of(key: bytes) -> str:
    """The run whose entry has the key `key`.

    Raises:
        CorruptionError: `key` is not such a key; its text must not become part of a path.
    """
    path = decode_path(key)
    if len(path) != 2 or not is_run_hash(path[1]):
        raise CorruptionError(f"not the key of an entry: {path!r:.80}")
    return str(path[1])


SEQUENCES: Final = POSTINGS + encode_path(("seqs",))


def next_name(key: bytes) -> tuple[str, bytes]:
    """The name of the sequence that the posting `key` is about, and a bound above all postings of that name.

    Raises:
        CorruptionError: `key` is not such a posting.
    """
    end = key.find(b"\x00", len(SEQUENCES)) + 1
    name = decode_path(key[len(SEQUENCES) : end])
    stop = KeyRange.prefix(key[:end]).stop
    if len(name) != 1 or stop is None:
        raise CorruptionError(f"not a posting of a sequence: {key!r:.80}")
    return str(name[0]), stop
