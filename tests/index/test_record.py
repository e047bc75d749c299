from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aimstore.encoding.records import decode_record, encode_record
from aimstore.errors import CorruptionError
from aimstore.index.record import LARGE_LEAF, LazyLeaf, RunRecord, pack
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


def record_of(meta: MemoryContainer) -> RunRecord:
    packed = decode_record(encode_record(pack(meta)))
    return RunRecord(RUN, packed, lambda path: attributes(meta)[path])


@settings(max_examples=100, deadline=None)
@given(tree=trees)
def test_the_tree_comes_back(tree: dict[str, Any]) -> None:
    meta = MemoryContainer("meta")
    attributes(meta)[()] = tree
    record = record_of(meta)
    assert record.get(()) == tree
    for key, value in tree.items():
        assert record.get((key,)) == value


def test_a_large_leaf_stays_in_its_container_and_is_read_once() -> None:
    meta = MemoryContainer("meta")
    attributes(meta)[()] = {"small": 1, "big": {"text": "x" * (LARGE_LEAF + 1)}}
    packed = encode_record(pack(meta))
    assert len(packed) < LARGE_LEAF
    reads = []

    def load(path: Any) -> Any:
        reads.append(path)
        return attributes(meta)[path]

    record = RunRecord(RUN, decode_record(packed), load)
    assert isinstance(record.attributes["big"]["text"], LazyLeaf)
    assert record.get(("small",)) == 1
    assert reads == []
    assert record.get(("big", "text")) == record.get(("big",))["text"] == "x" * (LARGE_LEAF + 1)
    assert reads == [("big", "text")]


def test_what_is_nested_too_deeply_is_corruption() -> None:
    packed = decode_record(encode_record({"attrs": {}, "props": {}, "seqs": [], "lazy": []}))
    packed["attrs"]["deep"] = decode_record(b"\x91" * 1000 + b"\xc0", check_depth=False)
    with pytest.raises(CorruptionError, match="deep is nested too deeply"):
        RunRecord(RUN, packed, lambda path: None).get(("deep",))


def test_what_is_got_is_a_copy() -> None:
    meta = MemoryContainer("meta")
    attributes(meta)[()] = {"list": [1, [2]]}
    record = record_of(meta)
    record.get(("list",))[1].append(3)
    assert record.get(("list",)) == [1, [2]]


@pytest.mark.parametrize("path", [("b",), ("a", "b"), ("list", 9), ("list", "x")])
def test_a_missing_path_is_named(path: tuple[str | int, ...]) -> None:
    meta = MemoryContainer("meta")
    attributes(meta)[()] = {"a": 1, "list": [1]}
    with pytest.raises(KeyError, match=RUN):
        record_of(meta).get(path)


def test_sequences_and_properties_are_packed() -> None:
    meta = MemoryContainer("meta")
    summary = Summary(3, 3, True, 0, 2, 0.5, 0.25, 1.0)
    meta.put(definition_key(0), encode_definition("loss", {"subset": "train"}, "number"))
    meta.put(summary_key(0), encode_summary(summary))
    meta.put(definition_key(1), encode_definition("empty", {}, "text"))
    meta.put(property_key("name"), encode_record("first"))
    record = record_of(meta)
    assert record.properties == {"name": "first"}
    assert [(each.name, each.context, each.kind, each.summary) for each in record.sequences] == [
        ("loss", {"subset": "train"}, "number", summary),
        ("empty", {}, "text", None),
    ]


@pytest.mark.parametrize("packed", [{}, {"attrs": {}}, {"attrs": 5, "props": {}, "seqs": [], "lazy": [["a"]]}])
def test_a_damaged_record_is_corruption(packed: dict[str, Any]) -> None:
    with pytest.raises(CorruptionError, match=RUN):
        RunRecord(RUN, packed, lambda path: None)
