"""Leaves: a tree taken apart and put together is the same tree."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aimstore.encoding.keys import encode_path
from aimstore.encoding.leaves import fold, unfold
from aimstore.encoding.values import Opaque, decode_value, encode_value
from aimstore.errors import CorruptionError, EncodingError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(st.integers() | texts, max_size=3)
trees = st.recursive(leaves, lambda inner: st.dictionaries(texts | st.integers(), inner, max_size=4), max_leaves=12)


@given(trees)
@example({})
@example({"a": {}, 1: {"": [], "b": ()}, "1": {"c": {1: 2}}})
def test_a_tree_comes_back(same: Callable[[Any, Any], bool], tree: Any) -> None:
    items = unfold(tree)
    assert same(fold(items), tree)
    assert same(fold(sorted(items, key=lambda item: encode_path(item[0]))), tree)


def test_dicts_unfold_and_all_else_is_a_value() -> None:
    class Layer(IntEnum):
        FIRST = 1

    value = {"b": OrderedDict(x=[{"y": 1}]), Layer.FIRST: (), np.int64(2): {}, "e": {"f": {}}}
    items = unfold(value, ("run", 0))
    assert [(path, decode_value(data)) for path, data in items] == [
        (("run", 0, "b", "x"), [{"y": 1}]),
        (("run", 0, 1), ()),
        (("run", 0, 2), {}),
        (("run", 0, "e", "f"), {}),
    ]
    assert all(type(part) in (int, str) for path, _ in items for part in path)


def test_a_single_leaf_is_the_value() -> None:
    assert unfold(5) == [((), encode_value(5))]
    assert fold(unfold([1, 2])) == [1, 2]


def test_a_registered_object_that_is_a_dict_stays_whole() -> None:
    class Config(dict[str, Any]):
        pass

    def to_object(value: Any) -> Opaque | None:
        return Opaque("config", b"") if isinstance(value, Config) else None

    items = unfold({"a": Config(x=1), "b": {"c": 1}}, to_object=to_object)
    assert [path for path, _ in items] == [("a",), ("b", "c")]
    assert fold(items)["a"] == Opaque("config", b"")


@pytest.mark.parametrize("key", [True, None, 1.5, b"x", (1,), "\ud800"])
def test_a_key_that_is_no_part_of_a_path_is_refused_with_its_place(key: Any) -> None:
    with pytest.raises(EncodingError, match=r"^run\.a\["):
        [encode_path(path) for path, _ in unfold({"a": {key: 1}}, ("run",))]


def test_a_leaf_that_cannot_be_encoded_is_named() -> None:
    with pytest.raises(EncodingError, match=r"^run\.a\.b\[1\]\.c: "):
        unfold({"a": {"b": [0, {"c": object()}]}}, ("run",))


def test_cycles_are_refused() -> None:
    tree: dict[str, Any] = {}
    tree["a"] = tree["b"] = tree
    with pytest.raises(EncodingError, match="contains itself"):
        unfold(tree)


def test_an_empty_tree_that_was_added_to_is_a_tree() -> None:
    items = [((), encode_value({})), (("a",), encode_value({})), (("a", "b"), encode_value(1))]
    assert fold(items) == fold(items[::-1]) == {"a": {"b": 1}}


@pytest.mark.parametrize("below", [("a", "b"), ("a", "b", "c"), ("a",)])
def test_leaves_in_one_place_are_corruption(below: tuple[str, ...]) -> None:
    items = [(("a",), encode_value(1)), (below, encode_value(2))]
    for order in (items, items[::-1]):
        with pytest.raises(CorruptionError, match=r"^a"):
            fold(order)


def test_decoding_can_be_put_off() -> None:
    assert fold([(("a",), b"\xc1")], decode=lambda data: data) == {"a": b"\xc1"}
    with pytest.raises(CorruptionError):
        fold([(("a",), b"\xc1")])
