from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimstore.encoding.values import decode_value, encode_value
from aimstore.errors import CorruptionError
from aimstore.index.entry import LARGE_LEAF, IndexEntry, LazyLeaf, pack
from aimstore.storage.layout import (
    Summary,
    attributes,
    definition_key,
    encode_definition,
    encode_summary,
    property_key,
    summary_key,
)
from aimstore.storage.memory import MemoryContainer

RUN = "0" * 24

leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.lists(st.integers())
)
trees = st.dictionaries(
    st.text(max_size=4),
    st.recursive(leaves, lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_size=4,
)


def entry_of(meta: MemoryContainer) -> IndexEntry:
    packed = decode_value(encode_value(pack(meta)))
    return IndexEntry(RUN, packed, lambda path: attributes(meta)[path])


@settings(max_examples=100, deadline=None)
@given(tree=trees)
def test_the_tree_comes_back(tree: dict[str, Any]) -> None:
    meta = MemoryContainer("meta")
    attributes(meta)[()] = tree
    entry = entry_of(meta)
    assert entry.get(()) == tree
    for key, value in tree.items():
        assert entry.get((key,)) == value


def test_a_large_leaf_stays_in_its_container_and_is_read_once() -> None:
    meta = MemoryContainer("meta")
    attributes(meta)[()] = {"small": 1, "big": {"text": "x" * (LARGE_LEAF + 1)}}
    packed = encode_value(pack(meta))
    assert len(packed) < LARGE_LEAF
    reads = []

    def load(path: Any) -> Any:
        reads.append(path)
        return attributes(meta)[path]

    entry = IndexEntry(RUN, decode_value(packed), load)
    assert isinstance(entry.attributes["big"]["text"], LazyLeaf)
    assert entry.get(("small",)) == 1
    assert reads == []
    assert entry.get(("big", "text")) == entry.get(("big",))["text"] == "x" * (LARGE_LEAF + 1)
    assert reads == [("big", "text")]


def test_what_is_nested_too_deeply_is_corruption() -> None:
    packed = decode_value(encode_value({"attrs": {}, "props": {}, "seqs": [], "lazy": []}))
    packed["attrs"]["deep"] = decode_value(b"\x91" * 1000 + b"\xc0", check_depth=False)
    with pytest.raises(CorruptionError, match="deep is nested too deeply"):
        IndexEntry(RUN, packed, lambda path: None).get(("deep",))


def test_what_is_got_is_a_copy() -> None:
    meta = MemoryContainer("meta")
    attributes(meta)[()] = {"list": [1, [2]]}
    entry = entry_of(meta)
    entry.get(("list",))[1].append(3)
    assert entry.get(("list",)) == [1, [2]]


@pytest.mark.parametrize("path", [("b",), ("a", "b"), ("list", 9), ("list", "x")])
def test_a_missing_path_is_named(path: tuple[str | int, ...]) -> None:
    meta = MemoryContainer("meta")
    attributes(meta)[()] = {"a": 1, "list": [1]}
    with pytest.raises(KeyError, match=RUN):
        entry_of(meta).get(path)


def test_sequences_and_properties_are_packed() -> None:
    meta = MemoryContainer("meta")
    summary = Summary(3, 3, True, 0, 2, 0.5, 0.25, 1.0)
    meta.put(definition_key(0), encode_definition("loss", {"subset": "train"}, "number"))
    meta.put(summary_key(0), encode_summary(summary))
    meta.put(definition_key(1), encode_definition("empty", {}, "text"))
    meta.put(property_key("name"), encode_value("first"))
    entry = entry_of(meta)
    assert entry.properties == {"name": "first"}
    assert [(each.name, each.context, each.kind, each.summary) for each in entry.sequences] == [
        ("loss", {"subset": "train"}, "number", summary),
        ("empty", {}, "text", None),
    ]


@pytest.mark.parametrize("packed", [{}, {"attrs": {}}, {"attrs": 5, "props": {}, "seqs": [], "lazy": [["a"]]}])
def test_a_damaged_entry_is_corruption(packed: dict[str, Any]) -> None:
    with pytest.raises(CorruptionError, match=RUN):
        IndexEntry(RUN, packed, lambda path: None)
