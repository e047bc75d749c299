"""Containers over containers: passing on, prefix, counting."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimstore.abc import Container, KeyRange, WriteBatch
from aimstore.errors import ClosedError
from aimstore.storage.memory import MemoryContainer
from aimstore.storage.prefix import PrefixContainer
from aimstore.storage.wrapper import WrappingContainer
from aimstore.testing.counting import CountingContainer, Counts

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


@settings(max_examples=50, deadline=None)
@given(DATA, BYTES, st.none() | BYTES)
def test_a_wrapper_reads_the_same(data: dict[bytes, bytes], start: bytes, stop: bytes | None) -> None:
    assert_same(WrappingContainer(filled(data)), data, ordered(start, stop))


VIEWS = [lambda base: PrefixContainer(base, b"p"), WrappingContainer]


@pytest.mark.parametrize("make", VIEWS)
def test_closing_a_view_ends_its_scans_and_leaves_the_base_open(make: type[WrappingContainer]) -> None:
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
def test_a_view_of_a_closed_container_raises(make: type[WrappingContainer]) -> None:
    base = filled({b"pa": b"1", b"pb": b"2"})
    view = make(base)
    scan = view.items()
    next(scan)
    base.close()
    for use in (lambda: view.get(b"a"), lambda: list(view.items()), lambda: next(scan), view.refresh):
        with pytest.raises(ClosedError):
            use()


def test_a_wrapper_passes_writes_flushes_and_refreshes_on() -> None:
    base = CountingContainer(filled({b"a": b"1", b"b": b"2"}))
    flushed: list[bool] = []
    base._flush = flushed.append  # type: ignore[method-assign]
    view = WrappingContainer(base)
    view.put(b"c", b"3")
    view.delete_range(KeyRange(b"a", b"b"))
    view.flush(sync=True)
    view.refresh()
    assert base.counts == Counts(batches=2, puts=1, range_deletes=1)
    assert flushed == [True]
    assert dict(base.items()) == {b"b": b"2", b"c": b"3"}


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
