"""Keys: byte order is path order, a subtree is a prefix, and only canonical bytes decode."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aimstore.encoding.keys import decode_path, encode_path, encode_path_part, format_path
from aimstore.errors import CorruptionError, EncodingError

LARGEST = 2 ** (8 * 255) - 1

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\x00\x01\x02a"), max_size=6)
edges = [sign * (2**bits + by) for bits in (8, 16, 32, 56, 63, 64, 72, 2039) for sign in (1, -1) for by in (-1, 0, 1)]
ints = st.integers() | st.sampled_from([*edges, LARGEST, -LARGEST])
paths = st.lists(texts | ints, max_size=4).map(tuple)


def order(path: tuple[str | int, ...]) -> list[tuple[int, Any]]:
    return [(0, part) if isinstance(part, int) else (1, part) for part in path]


@given(paths)
@example(())
@example(("\x00\x01\x02", "", "\x01\x01\x01"))
def test_a_path_comes_back(path: tuple[str | int, ...]) -> None:
    assert decode_path(encode_path(path)) == path


@given(paths, paths)
@example(("a",), ("a\x00",))
@example(("a\x00",), ("a\x01",))
@example(("a\x01",), ("a\x02",))
@example(("a", "z"), ("ab",))
@example((-(2**64),), (-(2**64) + 1,))
def test_byte_order_is_path_order(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert (encode_path(one) < encode_path(other)) == (order(one) < order(other))
    assert (encode_path(one) == encode_path(other)) == (one == other)


@given(paths, paths)
@example(("a",), ("ab",))
def test_exactly_the_subtree_begins_with_the_key_of_its_root(
    root: tuple[str | int, ...], other: tuple[str | int, ...]
) -> None:
    assert encode_path(root + other) == encode_path(root) + encode_path(other)
    assert encode_path(other).startswith(encode_path(root)) == (other[: len(root)] == root)


def test_keys_are_legible() -> None:
    assert encode_path(("hparams", "lr")) == b"/hparams\0/lr\0"
    assert encode_path(()) == b""
    assert [encode_path((n,)).hex() for n in (0, 1, 255, 256, -1, -256)] == [
        "18",
        "1901",
        "19ff",
        "1a0100",
        "17fe",
        "16feff",
    ]


def test_subclasses_and_numpy_integers_are_normalised() -> None:
    class Layer(IntEnum):
        FIRST = 3

    class Name(StrEnum):
        LOSS = "loss"

    path = decode_path(encode_path((Layer.FIRST, Name.LOSS, np.int16(-4), np.uint64(2**64 - 1), np.str_("x"))))
    assert path == (3, "loss", -4, 2**64 - 1, "x")
    assert {type(part) for part in path} == {int, str}


@pytest.mark.parametrize(
    "part",
    [
        True,
        False,
        1.0,
        None,
        b"x",
        (),
        object(),
        np.bool_(True),
        np.float64(1),
        np.array(1),
        np.array([1]),
        LARGEST + 1,
        -LARGEST - 1,
        "\ud800",
    ],
    ids=lambda part: f"{part!r:.20}",
)
def test_other_parts_are_refused_with_their_path(part: Any) -> None:
    encode_path((1, "1"))  # equal parts of other types are not mistaken for these
    with pytest.raises(EncodingError, match=r"^model\.layers\["):
        encode_path(("model", "layers", part))
    with pytest.raises(EncodingError):
        encode_path_part(part)


@given(
    st.binary(max_size=20) | st.lists(st.sampled_from([0, 1, 2, 0x0F, 0x17, 0x18, 0x19, 0x21, 0x2F, 0xFF])).map(bytes)
)
@example(b"/a")
@example(b"/\xff\0")
@example(b"/\xed\xa0\x80\0")
@example(b"/\x01\0")
@example(b"/\x01\x03\0")
@example(b"\x19\x00")
@example(b"\x1a\x00\x01")
@example(b"\x17\xff")
@example(b"\x21\x08" + bytes([1] * 8))
@example(b"\x21\x00")
@example(b"\x0f\xff")
@example(b"\x21")
@example(b"\x1b\x01")
def test_only_canonical_bytes_decode(data: bytes) -> None:
    try:
        path = decode_path(data)
    except CorruptionError:
        return
    assert encode_path(path) == data


def test_paths_are_shown_as_people_read_them() -> None:
    assert format_path(("model", "layers", 3, "a b", "x.y")) == "model.layers[3]['a b']['x.y']"
    assert format_path((0, "x")) == "[0].x"
    assert format_path(()) == "(root)"
    assert len(format_path(("x" * 10_000, 10**10_000))) < 200
    assert len(format_path(("deep",) * 10_000)) < 100
    assert format_path((1.5, True, None)) == "[1.5][True][None]"
