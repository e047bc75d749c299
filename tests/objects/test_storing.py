"""Objects in runs: parameters and sequences, known types and unknown ones."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aimstore import Audio, Distribution, Figure, Image, Repo, Run, Text
from aimstore.encoding.keys import encode_path
from aimstore.encoding.values import Opaque, encode_value
from aimstore.errors import EncodingError, SequenceTypeError
from aimstore.plugins import plugins
from aimstore.plugins.objects import _codec_or_none
from aimstore.storage.layout import OBJECT

PIXELS = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype(np.uint8)
"""Does not compress, so its image is too large for a chunk, and for the index."""


@pytest.fixture
def chart() -> Figure:
    from plotly.graph_objects import Figure as Chart

    return Figure(Chart())


def test_every_type_is_tracked_and_read_back(repo: Repo, chart: Figure, values: Callable[..., Any]) -> None:
    tracked = {
        "image": [Image(PIXELS), Image(np.eye(3), caption="small")],
        "text": [Text("a"), Text("b")],
        "audio": [Audio(np.zeros(9), rate=8000)],
        "distribution": [Distribution([1, 2, 3]), Distribution([4.5])],
        "figure": [chart],
    }
    with Run(repo=repo) as run:
        for name, each in tracked.items():
            for value in each:
                run.track(value, name=name)
    for found in (run, repo.get_run(run.hash)):
        assert {sequence.name: sequence.kind for sequence in found.sequences()} == {name: name for name in tracked}
        assert {name: values(found, name) for name in tracked} == {
            name: list(enumerate(each)) for name, each in tracked.items()
        }
        assert found.metrics() == []


def test_objects_are_parameters(repo: Repo, chart: Figure) -> None:
    stored = {"image": Image(PIXELS), "nested": {"list": [Text("a"), Distribution([1])]}, "chart": chart}
    with Run(repo=repo) as run:
        run["objects"] = stored
        assert run["objects"] == stored
    for found in (repo.get_run(run.hash), *repo.query_runs("is_defined(run.objects.image)")):
        assert found["objects"] == stored
        assert found["objects", "nested", "list", 0] == Text("a")


def test_text_and_strings_share_a_sequence_and_other_kinds_do_not(repo: Repo, values: Callable[..., Any]) -> None:
    with Run(repo=repo) as run:
        run.track("plain", name="notes")
        run.track(Text("object"), name="notes")
        with pytest.raises(SequenceTypeError):
            run.track(Image(np.eye(2)), name="notes")
    assert values(run, "notes") == [(0, "plain"), (1, Text("object"))]


def test_an_object_that_cannot_be_encoded_names_the_sequence(repo: Repo) -> None:
    with Run(repo=repo) as run:
        with pytest.raises(EncodingError, match="figure"):
            run.track({"figure": object()})
        with pytest.raises(EncodingError, match="loss: the object type 'number' cannot be tracked"):
            run.track(Opaque("number", b""), name="loss")
        run.track(0.5, name="loss")
    assert [metric.last for metric in run.metrics()] == [0.5]


def values_of(run: Run, count: int) -> list[bytes | None]:
    """The value of each object of the first sequence, where it has a key of its own."""
    with run._seqs() as seqs:
        return [seqs.get(encode_path((0, OBJECT, ordinal))) for ordinal in range(count)]


def test_an_unknown_type_is_copied_to_another_run_byte_for_byte(repo: Repo, caplog: pytest.LogCaptureFixture) -> None:
    objects = [Opaque("hologram", bytes(100_000)), Opaque("hologram", b"\xc1 is no msgpack")]
    with Run(repo=repo) as first:
        first["lens"] = objects[1]
        for value in objects:
            first.track(value, name="scans")
    source = repo.get_run(first.hash)
    [scans] = repo.query_sequences(kind="hologram")
    with caplog.at_level(logging.WARNING), Run(repo=repo) as second:
        second["lens"] = source["lens"]
        for value in scans:
            second.track(value.value, name="scans")
    assert "objects of type 'hologram' are given as Opaque" in caplog.text
    copy = repo.get_run(second.hash)
    assert copy["lens"] == source["lens"] == objects[1]
    [again] = copy.sequences()
    assert again.kind == "hologram"
    assert [value.value for value in again] == objects
    assert values_of(first, 2) == values_of(second, 2)
    assert values_of(second, 1) == [encode_value(objects[0])]


def test_a_known_type_whose_plug_in_is_gone_is_copied_and_known_again(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image(PIXELS, caption="c")
    with Run(repo=repo) as first:
        first.track(image, name="samples")
    _codec_or_none.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr("aimstore.plugins.objects._codec_or_none", lambda name: None)
        with Run(repo=repo) as second:
            for value in first.sequences()[0]:
                assert isinstance(value.value, Opaque)
                second.track(value.value, name="samples")
    assert values_of(first, 1) == values_of(second, 1) == [encode_value(Opaque("image", _encoded(image)))]
    assert [value.value for value in second.sequences()[0]] == [image]


def _encoded(image: Image) -> bytes:
    data: bytes = plugins().load(plugins().object_type("image")).encode(image)
    return data


def test_a_subclass_is_stored_as_the_class_that_is_registered(repo: Repo, values: Callable[..., Any]) -> None:
    class Photograph(Image):
        pass

    with Run(repo=repo) as run:
        run.track(Photograph(np.eye(2)), name="photographs")
    assert values(run, "photographs") == [(0, Image(np.eye(2)))]


def test_the_types_are_found_where_entry_points_cannot_be(tmp_path: Path, python: Callable[..., Any]) -> None:
    process = python("""
        from aimstore import Distribution
        with Run(repo="lab") as run:
            run.track(Distribution([1, 2]), name="d")
        print(next(run.get_sequence("d").points()).value)
    """)
    assert process.ends() == ["<Distribution of 2 in 64 bins from 1 to 2>"]
