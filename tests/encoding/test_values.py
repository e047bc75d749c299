"""Values: every value comes back with its type, or is refused with its path; damage is always `CorruptionError`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum, IntEnum, StrEnum
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aimstore.encoding.values import MAX_DEPTH, MAX_TUPLE_DEPTH, Opaque, decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError

zones = (
    st.timedeltas(min_value=timedelta(hours=-23), max_value=timedelta(hours=23))
    .filter(lambda offset: not timedelta(0) < abs(offset) < timedelta(seconds=1))
    .map(timezone)
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**4000, -(10**4000)])
    | st.floats()
    | st.sampled_from([-0.0, float("nan"), float("inf"), -float("inf"), 5e-324])
    | st.complex_numbers()
    | texts
    | st.binary(max_size=8)
    | st.dates()
    | st.times(timezones=st.none() | zones)
    | st.datetimes(timezones=st.none() | zones)
    | st.timedeltas()
    | st.builds(Opaque, texts, st.binary(max_size=4))
)
keys = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary(max_size=4) | st.dates(),
    lambda inner: st.lists(inner, max_size=2).map(tuple),
    max_leaves=3,
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


class Color(IntEnum):
    RED = 1


class Word(StrEnum):
    HELLO = "hello"


class Real(float):
    pass


class Blob(bytes):
    pass


class HashableDict(dict[str, int]):
    def __hash__(self) -> int:  # type: ignore[override]
        return 1


class Tensor:
    """Hashable by identity, and convertible: what a torch tensor is."""

    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        import numpy as np

        return np.arange(3)


class Stubborn:
    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        raise RuntimeError("on another device")


Point = namedtuple("Point", "x y")


@given(values)
@example([(), ((),), [((1,), {(1, (2,)): ("a",)})]])
@example([1, 1.0, True, {1: 1, "1": True, None: 1.0}])
def test_a_value_comes_back_with_its_types(same: Callable[[Any, Any], bool], value: Any) -> None:
    assert same(decode_value(encode_value(value)), value)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Color.RED, 1),
        (Word.HELLO, "hello"),
        (Real(0.5), 0.5),
        (Blob(b"ab"), b"ab"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"abcd")[::2], b"ac"),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (Point(1, (2,)), (1, (2,))),
        ({Color.RED: Color.RED, Word.HELLO: True}, {1: 1, "hello": True}),
        (datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_of_a_subclass_the_base_type_is_stored(same: Callable[[Any, Any], bool], value: Any, stored: Any) -> None:
    assert same(decode_value(encode_value(value)), stored)
    assert same(decode_value(encode_value((value,))), (stored,))


@pytest.mark.parametrize(
    "value",
    [
        threading.Lock(),
        lambda: 0,
        object(),
        {1, 2},
        frozenset(),
        Enum("Plain", "A").A,
        int,
        "\ud800",
        {"\ud800": 1},
        {Tensor(): 1},
        {(1, Tensor()): 1},
        {HashableDict(): 1},
        {frozenset(): 1},
        Stubborn(),
        datetime(2024, 1, 1, tzinfo=timezone(timedelta(microseconds=1))),
        Opaque("name", "text"),  # type: ignore[arg-type]
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_refused_with_its_path(value: Any) -> None:
    for nested in ({"layers": [0, (1, value)]}, OrderedDict(layers=[0, [1, value]])):
        with pytest.raises(EncodingError, match=r"^model\.layers\[1\]\[1\]"):
            encode_value(nested, ("model",))
    with pytest.raises(EncodingError, match=r"^\(root\)|^\["):
        encode_value(value)


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: {"a": v}, lambda v: (v,), lambda v: OrderedDict(a=(v, [v]))])
def test_what_is_nested_too_deeply_is_refused(wrap: Callable[[Any], Any]) -> None:
    value: Any = 1
    for _ in range(2000):
        value = wrap(value)
    with pytest.raises(EncodingError, match=r"nested more than|tuples within tuples"):
        encode_value(value)


def test_cycles_are_refused() -> None:
    plain: list[Any] = []
    plain.extend([plain, plain])
    mapping: dict[str, Any] = OrderedDict()
    mapping["me"] = mapping
    mixed: list[Any] = []
    mixed.append((mixed,))
    for value in (plain, mapping, mixed):
        with pytest.raises(EncodingError, match=r"nested more than|tuples within tuples"):
            encode_value(value)


def test_the_depth_that_is_allowed_comes_back() -> None:
    value: Any = 1
    for _ in range(MAX_TUPLE_DEPTH):
        value = ([value],)
    for _ in range(MAX_DEPTH - 2 * MAX_TUPLE_DEPTH):
        value = [value]
    assert decode_value(encode_value(value)) == value


def test_a_thread_with_a_small_stack_reads_the_deepest_value() -> None:
    value: Any = 1
    for _ in range(MAX_TUPLE_DEPTH):
        value = (value,)
    data = encode_value(value)
    read = []
    before = threading.stack_size(2 * 1024 * 1024)
    try:
        thread = threading.Thread(target=lambda: read.append(decode_value(data)))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert read == [value]


class TestRegisteredTypes:
    class Picture(OrderedDict[str, Any]):
        def __hash__(self) -> int:  # type: ignore[override]
            return 1

    def to_object(self, value: Any) -> Opaque | None:
        if isinstance(value, self.Picture):
            return Opaque("picture", b"p" * value["size"])
        return None

    def from_object(self, stored: Opaque) -> Any:
        return self.Picture(size=len(stored.data)) if stored.type_name == "picture" else stored

    def test_their_objects_come_back_through_their_codec(self) -> None:
        value = [self.Picture(size=3), {"a": (self.Picture(size=1), Opaque("other", b"x"))}]
        data = encode_value(value, to_object=self.to_object)
        assert decode_value(data, self.from_object) == value

    def test_unknown_types_come_back_as_opaque_and_are_stored_again_unchanged(self) -> None:
        data = encode_value([self.Picture(size=3)], to_object=self.to_object)
        assert decode_value(data) == [Opaque("picture", b"ppp")]
        assert encode_value(decode_value(data)) == data

    def test_their_objects_are_no_keys(self) -> None:
        with pytest.raises(EncodingError, match="key"):
            encode_value({self.Picture(size=1): 1}, to_object=self.to_object)

    def test_an_encoder_that_fails_is_named_with_the_path(self) -> None:
        with pytest.raises(EncodingError, match=r"^a\.b: the encoder of Picture failed: KeyError"):
            encode_value({"b": self.Picture()}, ("a",), self.to_object)


SAMPLE = encode_value(
    {
        "a": [1, (2.5, "text"), None],
        "t": datetime(2024, 1, 1),
        "d": timedelta(1),
        "c": 1j,
        "b": 2**80,
        "o": Opaque("x", b"y"),
    }
)


@given(st.binary(max_size=40))
@example(b"")
@example(b"\xc1")
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\xdf\xff\xff\xff\xff")
@example(b"\x81\x90\x01")
@example(b"\xa1\xff")
@example(b"\xd6\xff\xff\xff\xff\xff")
@example(b"\x91" * 5000)
@example(b"\xdc\xff\xff" * 20000)
def test_random_bytes_are_a_value_or_corruption(data: bytes) -> None:
    with contextlib.suppress(CorruptionError):
        decode_value(data)


@pytest.mark.parametrize("code", range(-1, 20))
@given(payload=st.binary(max_size=20) | values.map(encode_value))
def test_random_extensions_are_a_value_or_corruption(code: int, payload: bytes) -> None:
    with contextlib.suppress(CorruptionError):
        decode_value(msgpack.packb(msgpack.ExtType(code, payload)) if code >= 0 else b"\xc7\x14\xff" + payload)


@given(st.integers(0, len(SAMPLE) * 8 - 1))
def test_a_flipped_bit_is_a_value_or_corruption(bit: int) -> None:
    data = bytearray(SAMPLE)
    data[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(CorruptionError):
        decode_value(bytes(data))


@pytest.mark.parametrize("size", range(len(SAMPLE)))
def test_a_cut_value_is_corruption(size: int) -> None:
    with pytest.raises(CorruptionError):
        decode_value(SAMPLE[:size])


def test_deeply_nested_stored_tuples_are_corruption() -> None:
    data = b"\x90"
    for _ in range(3000):
        data = msgpack.packb(msgpack.ExtType(2, b"\x91" + data))
    with pytest.raises(CorruptionError):
        decode_value(data)


def test_keys_and_values_leave_numpy_alone() -> None:
    code = (
        "import sys, aimstore.encoding.keys, aimstore.encoding.leaves\n"
        "from aimstore.encoding.values import *\n"
        "assert decode_value(encode_value({'a': (1, 2**70, 1j)})) == {'a': (1, 2**70, 1j)}\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
