"""Ranges of postings are intersected in one pass over both lists."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aimstore.abc import KeyRange, Term
from aimstore.index.postings import intersection, ranges

bounds = st.lists(st.integers(0, 40), unique=True, max_size=12).map(sorted)


def apart(found: list[int], open_ended: bool) -> list[KeyRange]:
    keys = [bytes([bound]) for bound in found]
    made = [KeyRange(*pair) for pair in zip(keys[::2], keys[1::2], strict=False)]
    return [*made, KeyRange(keys[-1], None)] if open_ended and len(keys) % 2 else made


ranges_apart = st.builds(apart, bounds, st.booleans())


def holds(within: list[KeyRange], key: bytes) -> bool:
    return any(each.start <= key and (each.stop is None or key < each.stop) for each in within)


@given(these=ranges_apart, those=ranges_apart)
def test_a_key_lies_in_the_intersection_where_it_lies_in_both(these: list[KeyRange], those: list[KeyRange]) -> None:
    found = intersection(these, those)
    for number in range(42):
        key = bytes([number])
        assert holds(found, key) == (holds(these, key) and holds(those, key))
    assert found == sorted(found, key=lambda each: each.start)


class Counted(list[Any]):
    reads = 0

    def __getitem__(self, index: Any) -> Any:
        Counted.reads += 1
        return super().__getitem__(index)

    def __iter__(self) -> Any:
        for item in super().__iter__():
            Counted.reads += 1
            yield item


def test_thousands_of_ranges_are_read_a_few_times_each() -> None:
    these, _ = ranges(Term(("attrs", "a"), "in", tuple(range(0, 6_000, 2))))
    those, _ = ranges(Term(("attrs", "a"), "in", tuple(range(0, 6_000, 3))))
    Counted.reads = 0
    found = intersection(Counted(these), Counted(those))
    both, _ = ranges(Term(("attrs", "a"), "in", tuple(range(0, 6_000, 6))))
    assert found == both
    assert Counted.reads <= 10 * (len(these) + len(those))
