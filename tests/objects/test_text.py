"""`Text`, and what all shipped types have in common."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import aimstore.objects
from aimstore.encoding.values import encode_value
from aimstore.errors import CorruptionError, EncodingError
from aimstore.objects import Audio, Distribution, Figure, Image, Text
from aimstore.objects.stored import FieldsCodec
from aimstore.plugins import plugins


def make_figure() -> Figure:
    from plotly.graph_objects import Figure as Chart

    return Figure(Chart())


MAKERS: dict[str, Callable[[], Any]] = {
    "text": lambda: Text("a\0ü"),
    "image": lambda: Image(np.eye(3), caption="c"),
    "audio": lambda: Audio(np.zeros(3), rate=8000),
    "distribution": lambda: Distribution([1, 2, 3]),
    "figure": make_figure,
}


@pytest.fixture(params=MAKERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def codec_of(name: str) -> FieldsCodec[Any]:
    codec: FieldsCodec[Any] = plugins().load(plugins().object_type(name))
    return codec


def test_a_text_is_its_string() -> None:
    text = Text("two\nlines")
    assert str(text) == text.text == "two\nlines"
    assert repr(text) == r"Text(text='two\nlines')"
    assert type(Text(np.str_("a")).text) is str


def test_bad_text_is_refused() -> None:
    with pytest.raises(TypeError, match="the text is a str, not 5"):
        Text(5)  # type: ignore[arg-type]
    with pytest.raises(EncodingError, match="surrogate"):
        Text("\ud800")
    with pytest.raises(TypeError, match="the caption of an image is a str, not None"):
        Image(np.eye(3), caption=None)  # type: ignore[arg-type]


def test_what_is_decoded_equals_what_was_encoded(name: str) -> None:
    value, codec = MAKERS[name](), codec_of(name)
    data = codec.encode(value)
    again = codec.decode(data)
    assert type(again) is type(value)
    assert again == value
    assert hash(again) == hash(value)
    assert repr(again) == repr(value)
    assert codec.encode(again) == data


def test_objects_never_change(name: str) -> None:
    value = MAKERS[name]()
    field = dataclasses.fields(value)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)
    assert copy.copy(value) is copy.deepcopy(value) is value
    assert pickle.loads(pickle.dumps(value)) == value
    assert value != codec_of("text").encode(Text(""))


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xc1",
        b"not a value",
        encode_value(None),
        encode_value([1, 2]),
        encode_value({}),
        encode_value({"text": 5}),
        encode_value({"text": "a", "more": 1}),
        encode_value({"counts": np.array([1]), "edges": np.array([0, 1, 2]), "nan": 0, "inf": 0}),
        encode_value({"counts": np.array([1]), "edges": np.array([0, 1]), "nan": -1, "inf": 0}),
        encode_value({"counts": np.array([1]), "edges": np.array([0, 1]), "nan": True, "inf": 0}),
        encode_value({"counts": "a", "edges": None}),
        encode_value({"format": "png", "width": "3", "height": 3, "caption": "", "data": b""}),
        encode_value({"format": "wav", "rate": 1.5, "caption": "", "data": b""}),
        encode_value({"format": "svg", "caption": "", "data": "text"}),
    ],
)
def test_a_decoder_that_is_given_junk_says_so(name: str, junk: bytes) -> None:
    with pytest.raises(CorruptionError, match=r"stored"):
        codec_of(name).decode(junk)


def test_what_is_cut_short_or_longer_is_junk(name: str) -> None:
    codec = codec_of(name)
    data = codec.encode(MAKERS[name]())
    for damaged in (*(data[:end] for end in range(0, len(data), max(1, len(data) // 50))), data + b"\0"):
        with pytest.raises(CorruptionError):
            codec.decode(damaged)


def test_they_are_public_names_and_registered_ones() -> None:
    assert {f"aimstore.objects.{each.lower()}:{each}" for each in aimstore.objects.__all__} == {
        spec.type for spec in plugins().object_types().values() if spec.type.startswith("aimstore.")
    }
    for each in aimstore.objects.__all__:
        assert getattr(aimstore, each) is getattr(aimstore.objects, each)
        assert each in aimstore.__all__


def test_importing_them_loads_no_library() -> None:
    program = (
        "import sys, aimstore; from aimstore import Audio, Distribution, Figure, Image, Text; "
        "print([name for name in ('numpy', 'PIL', 'plotly', 'matplotlib', 'sqlalchemy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
