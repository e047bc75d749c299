"""Containers over containers: prefix, union, read-only, counting."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimstore.abc import Container, KeyRange, Mode, WriteBatch
from aimstore.errors import ClosedError, ReadOnlyError
from aimstore.storage.counting import CountingContainer, Counts
from aimstore.storage.memory import MemoryContainer
from aimstore.storage.prefix import PrefixContainer
from aimstore.storage.readonly import ReadOnlyContainer
from aimstore.storage.union import UnionContainer

BYTES = st.binary(max_size=3) | st.sampled_from([b"\xff", b"\xff\xff", b"p", b"p\xff", b"q"])
KEYS = BYTES.filter(bool)
DATA = st.dictionaries(KEYS, st.binary(max_size=2), max_size=12)


def filled(data: dict[bytes, bytes]) -> MemoryContainer:
    container = MemoryContainer()
    batch = WriteBatch()
    for key, value in data.items():
        batch.put(key, value)
    container.write(batch)
    return container


def ordered(start: bytes, stop: bytes | None) -> KeyRange:
    return KeyRange(start, stop) if stop is None or start <= stop else KeyRange(stop, start)


def assert_same(container: Container, model: dict[bytes, bytes], keys: KeyRange) -> None:
    items = sorted(item for item in model.items() if item[0] in keys)
    assert list(container.scan(keys)) == items
    assert list(container.scan(keys, reverse=True)) == items[::-1]
    assert list(container.items()) == sorted(model.items())
    wanted = [*model, b"nothing here"]
    assert [container.get(key) for key in wanted] == container.get_many(wanted) == [*model.values(), None]


@settings(max_examples=150, deadline=None)
@given(DATA, BYTES, BYTES, st.none() | BYTES)
def test_prefix_sees_the_keys_below_it(
    data: dict[bytes, bytes], prefix: bytes, start: bytes, stop: bytes | None
) -> None:
    below = {key[len(prefix) :]: data[key] for key in data if key.startswith(prefix) and key != prefix}
    assert_same(PrefixContainer(filled(data), prefix), below, ordered(start, stop))


@settings(max_examples=150, deadline=None)
@given(DATA, BYTES, BYTES, st.none() | BYTES, KEYS)
def test_prefix_writes_nothing_outside(
    data: dict[bytes, bytes], prefix: bytes, start: bytes, stop: bytes | None, key: bytes
) -> None:
    base = filled(data)
    view = PrefixContainer(base, prefix)
    keys = ordered(start, stop)
    batch = WriteBatch()
    batch.put(key, b"before")
    batch.delete_range(keys)
    batch.put(start + b"x", b"new")
    batch.delete(key + b"y")
    view.write(batch)
    expected = {
        k: v
        for k, v in {**data, prefix + key: b"before"}.items()
        if not (k.startswith(prefix) and k != prefix and k[len(prefix) :] in keys)
    }
    expected[prefix + start + b"x"] = b"new"
    expected.pop(prefix + key + b"y", None)
    assert dict(base.items()) == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(DATA, max_size=4), BYTES, st.none() | BYTES)
def test_union_gives_each_key_from_the_first_layer_that_has_it(
    layers: list[dict[bytes, bytes]], start: bytes, stop: bytes | None
) -> None:
    model: dict[bytes, bytes] = {}
    for layer in reversed(layers):
        model.update(layer)
    assert_same(UnionContainer(*map(filled, layers)), model, ordered(start, stop))


def test_a_union_scan_is_a_snapshot() -> None:
    first, second = filled({b"a": b"1"}), filled({b"b": b"2"})
    scan = UnionContainer(first, second).items()
    first.put(b"b", b"new")
    second.put(b"c", b"new")
    assert list(scan) == [(b"a", b"1"), (b"b", b"2")]


@pytest.mark.parametrize("view", [ReadOnlyContainer, UnionContainer])
def test_views_for_reading_refuse_writes(view: type[ReadOnlyContainer | UnionContainer]) -> None:
    base = filled({b"a": b"1"})
    container = view(base)
    assert container.mode is Mode.READ
    for write in (
        lambda: container.put(b"b", b"2"),
        lambda: container.delete(b"a"),
        lambda: container.write(WriteBatch()),
    ):
        with pytest.raises(ReadOnlyError):
            write()
    assert list(container.items()) == list(base.items()) == [(b"a", b"1")]


@settings(max_examples=50, deadline=None)
@given(DATA, BYTES, st.none() | BYTES)
def test_read_only_reads_the_same(data: dict[bytes, bytes], start: bytes, stop: bytes | None) -> None:
    assert_same(ReadOnlyContainer(filled(data)), data, ordered(start, stop))


VIEWS = [lambda base: PrefixContainer(base, b"p"), UnionContainer, ReadOnlyContainer]


@pytest.mark.parametrize("make", VIEWS)
def test_closing_a_view_ends_its_scans_and_leaves_the_base_open(make: type[UnionContainer]) -> None:
    base = filled({b"pa": b"1", b"pb": b"2"})
    view = make(base)
    scan = view.items()
    next(scan)
    view.close()
    with pytest.raises(ClosedError):
        next(scan)
    with pytest.raises(ClosedError):
        view.get(b"pa")
    assert base.get(b"pa") == b"1"


@pytest.mark.parametrize("make", [*VIEWS, CountingContainer])
def test_a_view_of_a_closed_container_raises(make: type[UnionContainer]) -> None:
    base = filled({b"pa": b"1", b"pb": b"2"})
    view = make(base)
    scan = view.items()
    next(scan)
    base.close()
    for use in (lambda: view.get(b"a"), lambda: list(view.items()), lambda: next(scan), view.refresh):
        with pytest.raises(ClosedError):
            use()


def test_counting_tells_what_was_touched() -> None:
    base = filled({b"%d" % n: b"" for n in range(10)})
    container = CountingContainer(base)
    container.get(b"1")
    container.get_many([b"2", b"x"])
    list(container.items())
    container.first()
    batch = WriteBatch()
    batch.put(b"a", b"1")
    batch.delete(b"b")
    batch.delete_range(KeyRange(b"c", b"d"))
    container.write(batch)
    assert container.reset() == Counts(gets=3, scans=2, items=11, batches=1, puts=1, deletes=1, range_deletes=1)
    assert container.counts == Counts()
    assert base.get(b"a") == b"1"
    container.close()
    assert base.closed


@settings(max_examples=50, deadline=None)
@given(DATA, BYTES, st.none() | BYTES)
def test_counting_reads_the_same(data: dict[bytes, bytes], start: bytes, stop: bytes | None) -> None:
    assert_same(CountingContainer(filled(data)), data, ordered(start, stop))
