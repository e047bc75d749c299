"""Definitions, summaries and keys that are none: `CorruptionError`, which names the container."""

from __future__ import annotations

from typing import Any

import pytest

from aimstore.encoding.keys import encode_path
from aimstore.encoding.values import encode_value
from aimstore.errors import CorruptionError
from aimstore.index.postings import SEQUENCES, next_name, run_of
from aimstore.storage.layout import definition_key, read_properties, read_sequences, summary_key
from aimstore.storage.memory import MemoryContainer

SUMMARY = [3, 3, True, 0, 2, 0.5, 0.25, 1.0]


@pytest.mark.parametrize(
    "definition",
    [5, [], ["loss", {}], [5, {}, "number"], ["loss", [], "number"], ["loss", {1: 2}, "number"], ["loss", {}, None]],
)
def test_a_definition_that_is_none(definition: Any) -> None:
    meta = MemoryContainer("meta")
    meta.put(definition_key(0), encode_value(definition))
    with pytest.raises(CorruptionError, match="meta: the definition"):
        list(read_sequences(meta))


@pytest.mark.parametrize(
    ("place", "value"), [(0, 0), (0, 2), (0, 1.5), (1, True), (2, 1), (3, "x"), (3, 9), (5, "x"), (7, [])]
)
def test_a_summary_that_is_none(place: int, value: Any) -> None:
    meta = MemoryContainer("meta")
    meta.put(definition_key(0), encode_value(["loss", {}, "number"]))
    meta.put(summary_key(0), encode_value([*SUMMARY[:place], value, *SUMMARY[place + 1 :]]))
    with pytest.raises(CorruptionError, match="meta: the definition or summary of sequence 0 is damaged"):
        list(read_sequences(meta))


@pytest.mark.parametrize("path", [("seqs",), ("sums",), ("seqs", 0, 1), ("seqs", "x")])
def test_a_key_that_is_none(path: tuple[str | int, ...]) -> None:
    meta = MemoryContainer("meta")
    meta.put(encode_path(path), encode_value(["loss", {}, "number"]))
    with pytest.raises(CorruptionError):
        list(read_sequences(meta))


def test_a_property_without_a_name() -> None:
    meta = MemoryContainer("meta")
    meta.put(encode_path(("props",)), encode_value("x"))
    with pytest.raises(CorruptionError):
        read_properties(meta)


@pytest.mark.parametrize("path", [("runs",), ("runs", 5), ("runs", "../../etc"), ("runs", "0" * 24, "x")])
def test_what_the_index_calls_a_run_is_one(path: tuple[str | int, ...]) -> None:
    with pytest.raises(CorruptionError, match="the key of an entry"):
        run_of(encode_path(path))
    assert run_of(encode_path(("runs", "0" * 24))) == "0" * 24


@pytest.mark.parametrize("rest", [b"", b"/loss", b"\x19\x05", b"\x00"])
def test_a_posting_that_is_none(rest: bytes) -> None:
    with pytest.raises(CorruptionError):
        next_name(SEQUENCES + rest)
