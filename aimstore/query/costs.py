"""The cost of each function, method and operator of a query, as a function of its operands.

`COSTS` is the only table. An operation charges its cost to the budget before it begins, so that an evaluation ends
before it does too much work. A cost has steps of time, each about a microsecond at worst, and bytes of memory: all that
the operation allocates, for its result and for intermediate values.

The elements of lists and dicts are charged as they are visited, each as `ELEMENT`. So a comparison that ends at the
first of a million elements is cheap.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_CHARACTERS_PER_STEP: Final = 64
"""Characters copied, compared or classified in one step."""

_PAIRS_PER_STEP: Final = 1024
"""Character pairs compared in one step, for a search that may compare every character with every other."""

_BITS_PER_STEP: Final = 512
_SMALL_INT_BITS: Final = 64

SMALL_INT: Final = 1 << _SMALL_INT_BITS
"""Ints below this limit are free."""

_OBJECT_BYTES: Final = 80
"""Bytes of a short string, a view or a number, with its slot in a list."""

_ENTRY_BYTES: Final = 200
"""Bytes of a key and a value with their views, in a tuple."""

_SLOT_BYTES: Final = 10
"""Bytes of a slot of a list, which reserves some spare slots."""

_ASCII_BLANKS: Final = " \t\n\r\v\f\x1c\x1d\x1e\x1f"
_BLANKS: Final = (
    _ASCII_BLANKS + "\x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
)


class Cost(NamedTuple):
    """An upper bound of the time and memory of an operation."""

    steps: int
    bytes: int = 0


FREE: Final = Cost(0)
"""For operations of constant cost: the size of an expression is limited, and each round of a loop is charged."""

ELEMENT: Final = Cost(1)
COLLECTION: Final = Cost(6, 400)
"""Cost of beginning to compare two collections, without their elements."""


def _free(*operands: Any) -> Cost:
    return FREE


# Numbers


def _int_bits(*operands: Any) -> int:
    return max((operand.bit_length() for operand in operands if type(operand) is int), default=0)


def _of_ints(*operands: Any) -> Cost:
    """Cost of an operation that is proportional to the size of its greatest int."""
    bits = _int_bits(*operands)
    return FREE if bits <= _SMALL_INT_BITS else Cost(bits // _BITS_PER_STEP + 1, bits)


def _arithmetic(left: Any, right: Any) -> Cost:
    if type(left) is str and type(right) is str:
        return Cost(_steps(len(left) + len(right)), sys.getsizeof(left) + sys.getsizeof(right))
    return _of_ints(left, right)


def _product(left: Any, right: Any) -> Cost:
    for text, times in ((left, right), (right, left)):
        if type(text) is str and type(times) is int:
            return Cost(_steps(len(text) * max(times, 0)), sys.getsizeof(text) * max(times, 1))
    bits = sum(operand.bit_length() for operand in (left, right) if type(operand) is int)
    return FREE if bits <= _SMALL_INT_BITS else Cost(bits // _BITS_PER_STEP + 1, bits)


def _power(left: Any, right: Any) -> Cost:
    if type(left) is not int or type(right) is not int or right < 0:
        return _of_ints(left, right)
    bits = max(left.bit_length() * right if left not in (-1, 0, 1) else 0, right.bit_length())
    return FREE if bits <= _SMALL_INT_BITS else Cost(bits // _BITS_PER_STEP + 1, bits)


def _rounding(value: Any, digits: Any = None) -> Cost:
    """Cost of a division by a power of 10."""
    bits = _int_bits(value)
    return FREE if bits <= _SMALL_INT_BITS else Cost(bits // 8 + 1, 4 * bits)


# Text


def _steps(characters: int) -> int:
    return characters // _CHARACTERS_PER_STEP + 1


def _scan(text: Any, *operands: Any) -> Cost:
    """Cost of visiting every character."""
    return Cost(_steps(len(text)))


def _recase(text: str) -> Cost:
    """Cost of `upper()` and similar methods: text that is not ASCII is widened, and a character may become three."""
    return Cost(_steps(len(text)), sys.getsizeof(text) if text.isascii() else 24 * len(text) + 100)


def _search(text: Any, part: Any, *bounds: Any) -> Cost:
    """Cost of finding `part` in `text`: CPython compares at each position of a short text, at few of a long text."""
    if type(part) is not type(text):
        return FREE
    length = len(part)
    places = max(min(len(text) - length + 1, 30_000 if length < 100 else 2_500), 0)
    return Cost(_steps(len(text)) + places * length // _PAIRS_PER_STEP, 4 * length)  # `part` may be widened like `text`


def _strip(text: str, characters: Any = None, *operands: Any) -> Cost:
    """Cost of looking up each character of `text` among `characters`."""
    pairs = len(text) * len(characters) if type(characters) is str else 0
    return Cost(_steps(len(text)) + pairs // _PAIRS_PER_STEP, sys.getsizeof(text))


def _affix(text: str, affix: Any, *operands: Any) -> Cost:
    """Cost of comparing one or several prefixes or suffixes, and of cutting one off."""
    affixes = affix if type(affix) is tuple else (affix,)
    compared = sum(_steps(min(len(text), len(each))) for each in affixes if type(each) is str)
    return Cost(len(affixes) + compared, sys.getsizeof(text))


def _count_pieces(text: str, separator: Any = None, *limit: Any) -> Cost:
    """Cost of counting the pieces of a text, which `_split` does."""
    scan = Cost(_steps(len(text))) if separator is None else _search(text, separator)
    return Cost(2 * scan.steps, 2 * scan.bytes)


def _split(text: str, separator: Any = None, limit: Any = -1, *operands: Any) -> Cost:
    """Cost of the pieces of a text; counting them has been charged already."""
    if type(separator) is str and separator:
        pieces = text.count(separator) + 1
    else:
        pieces = sum(map(text.count, _ASCII_BLANKS if text.isascii() else _BLANKS)) + 1
    if type(limit) is int and limit >= 0:
        pieces = min(pieces, limit + 1)
    return Cost(_steps(len(text)) + pieces, sys.getsizeof(text) + pieces * (_OBJECT_BYTES + _SLOT_BYTES) + 300)


def _encode(text: str, *operands: Any) -> Cost:
    """Cost of the bytes of a text in UTF-8, in a buffer for the longest result."""
    return Cost(_steps(len(text)), 4 * len(text) + 100)


def _parse(value: Any, *operands: Any) -> Cost:
    """Cost of parsing a number or a date from a text; an error repeats the text, with escapes."""
    if type(value) in (str, bytes):
        return Cost(len(value) // 8 + 1, 60 * len(value) + 1_000)
    return _of_ints(value)


def _write(value: Any) -> Cost:
    """Cost of the text of a value; for an int, the time grows with the square of its digits."""
    if type(value) is bytes:
        return Cost(_steps(4 * len(value)), 8 * len(value) + 100)
    bits = _int_bits(value)
    return FREE if bits <= _SMALL_INT_BITS else Cost(bits // 32 + 1, bits)


# Comparisons


def _equality(left: Any, right: Any) -> Cost:
    """Cost of comparing two plain values; texts of different lengths are unequal at once."""
    kind = type(left)
    if kind is not type(right):
        return FREE
    if kind is str or kind is bytes:
        length = len(left)
        return Cost(_steps(length)) if length == len(right) and length > _CHARACTERS_PER_STEP else FREE
    if kind in (set, frozenset):
        return Cost(len(left) + sum(_key(element).steps for element in left))
    return _of_ints(left, right) if kind is int else FREE


def _order(left: Any, right: Any) -> Cost:
    kind = type(left)
    if kind is not type(right):
        return FREE
    if kind is tuple or kind is list:  # literal collections of the expression, so with few levels
        return Cost(len(left) + sum(_order(*pair).steps for pair in zip(left, right, strict=False)))
    if kind is str or kind is bytes:
        return Cost(_steps(min(len(left), len(right))))
    return _of_ints(left, right) if kind is int else FREE


def _membership(item: Any, container: Any) -> Cost:
    """Cost of searching a text, or of looking a key up; elements of lists are compared one by one."""
    if type(container) in (str, bytes):
        return _search(container, item)
    return _key(item)


def _key(key: Any, *operands: Any) -> Cost:
    """Cost of looking a key up in a dict or set: its hash, and a comparison with the key found."""
    if type(key) in (str, bytes):
        return Cost(_steps(len(key))) if len(key) > _CHARACTERS_PER_STEP else FREE
    if type(key) is tuple:
        return Cost(len(key) + sum(_key(part).steps for part in key))
    return _of_ints(key)


# Collections


def _slice(value: Any, key: Any) -> Cost:
    """Cost of `value[key]`, where `value` is a text, a list or a view of one."""
    if type(key) is not slice:
        return _key(key)
    length = len(range(*key.indices(len(value) if isinstance(value, (str, list, tuple)) else value.size())))
    if type(value) is str:
        return Cost(_steps(length), 4 * length + _OBJECT_BYTES)
    return Cost(_steps(8 * length), _SLOT_BYTES * length + _OBJECT_BYTES)


def _list_of(count: int) -> Cost:
    """Cost of a list of the elements of a collection."""
    return Cost(count, count * (_OBJECT_BYTES + _SLOT_BYTES))


def _entries_of(count: int) -> Cost:
    """Cost of a list of the keys and values of a dict."""
    return Cost(2 * count, count * _ENTRY_BYTES)


def _index_of(count: int) -> Cost:
    """Cost of a dict of lists, which finds sequences by name."""
    return Cost(count, 250 * count)


def _pattern_search(encoded_bytes: int, instructions: int) -> Cost:
    """Cost of RE2, whose worst case is each byte times each instruction; at worst 1.3 µs a step."""
    return Cost(encoded_bytes * instructions // 256 + 1)


def _pattern_compilation(pattern: str) -> Cost:
    """Cost of looking a pattern up. Limits bound its compilation, which is charged by its instructions."""
    return Cost(_steps(len(pattern)))


COSTS: Final[dict[str, Callable[..., Cost]]] = {
    # comparisons of plain values
    **dict.fromkeys(("==", "!="), _equality),
    **dict.fromkeys(("<", "<=", ">", ">="), _order),
    **dict.fromkeys(("in", "not in"), _membership),
    **dict.fromkeys(("is", "is not"), _free),
    # arithmetic
    **dict.fromkeys(("+", "-", "/", "//", "%"), _arithmetic),
    "*": _product,
    "**": _power,
    "unary +": _of_ints,
    "unary -": _of_ints,
    # indexes and slices
    "attribute": _free,
    "index": _slice,
    # functions
    "abs": _of_ints,
    "all": _free,  # plus ELEMENT for each
    "any": _free,  # plus ELEMENT for each
    "bool": _free,
    "datetime": _parse,
    "float": _parse,
    "int": _parse,
    "is_defined": _free,
    "len": _free,
    "max": _order,  # for each pair
    "min": _order,  # for each pair
    "round": _rounding,
    "str": _write,
    "sum": _arithmetic,  # for each pair
    "timedelta": _of_ints,
    # methods of strings
    **dict.fromkeys(("str.casefold", "str.lower", "str.upper"), _recase),
    **dict.fromkeys(("str.isalnum", "str.isalpha", "str.isdigit", "str.islower", "str.isupper"), _scan),
    **dict.fromkeys(("str.lstrip", "str.rstrip", "str.strip"), _strip),
    **dict.fromkeys(("str.endswith", "str.removeprefix", "str.removesuffix", "str.startswith"), _affix),
    **dict.fromkeys(("str.count", "str.find"), _search),
    "str.split": _split,
    "str.matches": _encode,
    # methods of dicts
    "dict.get": _key,
    **dict.fromkeys(("dict.items", "dict.values"), _entries_of),  # the argument is the size
    "dict.keys": _list_of,  # the argument is the size
    # methods of moments and durations
    **dict.fromkeys(("datetime.date", "datetime.isoformat", "datetime.timestamp", "datetime.weekday"), _free),
    **dict.fromkeys(("date.isoformat", "date.weekday", "timedelta.total_seconds"), _free),
    # parts of the operations above
    "count pieces": _count_pieces,
    "list": _list_of,  # the argument is the size
    "index of sequences": _index_of,  # the argument is the size
    "compile a pattern": _pattern_compilation,
    "search with a pattern": _pattern_search,
}
"""Costs by operator, by function, or by type and method."""
