"""Write batches and key ranges as plain data."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aimstore.abc import KeyRange, Op, WriteBatch

BYTES = st.binary(max_size=4) | st.sampled_from([b"\xff", b"\xff\xff", b"a\xff", b"a\xff\xff"])


@given(BYTES, BYTES)
def test_a_prefix_range_holds_exactly_the_keys_with_that_prefix(prefix: bytes, key: bytes) -> None:
    assert (key in KeyRange.prefix(prefix)) == key.startswith(prefix)
    assert prefix + key in KeyRange.prefix(prefix)


@given(BYTES, st.none() | BYTES, BYTES)
def test_a_range_holds_its_start_and_not_its_stop(start: bytes, stop: bytes | None, key: bytes) -> None:
    assert (key in KeyRange(start, stop)) == (start <= key and (stop is None or key < stop))
    assert KeyRange(start, start).empty
    assert key not in KeyRange(start, start)


def test_reversed_ranges_and_other_types_are_refused() -> None:
    assert KeyRange(b"a", b"b").check() == KeyRange(b"a", b"b")
    assert not KeyRange().empty
    with pytest.raises(ValueError, match="reversed"):
        KeyRange(b"b", b"a").check()
    for wrong in (KeyRange("a"), KeyRange(b"a", "b"), KeyRange(bytearray(b"a")), KeyRange(None)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="must be bytes"):
            wrong.check()


def test_a_batch_keeps_its_operations_in_order_and_counts_bytes() -> None:
    batch = WriteBatch()
    assert len(batch) == batch.nbytes == 0
    batch.put(b"a", b"value")
    batch.delete(b"b")
    batch.delete_range(KeyRange(b"c", b"dd"))
    batch.delete_range(KeyRange(b"e"))
    batch.delete_range(KeyRange(b"f", b"f"))
    assert batch.ops == [
        (Op.PUT, b"a", b"value"),
        (Op.DELETE, b"b", b""),
        (Op.DELETE_RANGE, b"c", b"dd"),
        (Op.DELETE_RANGE, b"e", None),
    ]
    assert len(batch) == 4
    assert batch.nbytes == 6 + 1 + 3 + 1


@pytest.mark.parametrize("key", ["a", 1, None, bytearray(b"a"), memoryview(b"a")])
def test_a_batch_takes_bytes_only(key: object) -> None:
    batch = WriteBatch()
    with pytest.raises(TypeError, match="a key must be bytes"):
        batch.put(key, b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a key must be bytes"):
        batch.delete(key)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a value must be bytes"):
        batch.put(b"k", key)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least one byte"):
        batch.put(b"", b"")
    with pytest.raises(ValueError, match="at least one byte"):
        batch.delete(b"")
    with pytest.raises(ValueError, match="reversed"):
        batch.delete_range(KeyRange(b"b", b"a"))
    assert batch.ops == []


SMALL = st.sampled_from([b"a", b"b", b"c", b"d"])
OPERATIONS = st.lists(
    st.tuples(st.just("put"), SMALL, st.binary(max_size=1))
    | st.tuples(st.just("delete"), SMALL)
    | st.tuples(st.just("range"), SMALL, st.none() | SMALL)
)


@given(st.dictionaries(SMALL, st.just(b"old")), OPERATIONS)
def test_the_final_words_of_a_batch_do_what_its_operations_do(
    existing: dict[bytes, bytes], operations: list[tuple]
) -> None:  # type: ignore[type-arg]
    model, batch = dict(existing), WriteBatch()
    for name, key, *rest in operations:
        if name == "put":
            batch.put(key, rest[0])
            model[key] = rest[0]
        elif name == "delete":
            batch.delete(key)
            model.pop(key, None)
        elif rest[0] is None or key <= rest[0]:
            keys = KeyRange(key, rest[0])
            batch.delete_range(keys)
            model = {k: v for k, v in model.items() if k not in keys}

    def keys_in(keys: KeyRange) -> Iterator[bytes]:
        return (key for key in existing if key in keys)

    result = dict(existing)
    for key, value in batch.final(keys_in).items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    assert result == model
