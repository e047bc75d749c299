"""The decoders, each with samples of what it decodes, and with the law that it keeps.

For any bytes a decoder gives a value, or raises what its docstring says. A value that it gives can be encoded again, and what
comes of that decodes to the same. Its time and memory follow the number of bytes.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zlib import crc32

import msgpack
import numpy as np

from aimstore.encoding.arrays import load_array, load_scalar
from aimstore.encoding.chunks import Columns, decode_chunk, encode_chunk, encode_scalars, read_header
from aimstore.encoding.columns import column_size, decode_floats, decode_ints, encode_floats, encode_ints
from aimstore.encoding.extensions import Code, decode_leaf
from aimstore.encoding.keys import decode_path, encode_path
from aimstore.encoding.leaves import fold, unfold
from aimstore.encoding.outlines import STRETCH, Outline, decode_outline, encode_outline
from aimstore.encoding.values import WRAPPED_DEPTH, Opaque, decode_value, encode_value
from aimstore.errors import CorruptionError, UnsupportedError
from aimstore.index.entry import IndexEntry
from aimstore.index.postings import SEQUENCES, next_name, postings, run_of
from aimstore.objects import Audio, Distribution, Figure, Image, Text, audio, distribution, figure, image, text
from aimstore.storage.layout import read_properties, read_sequences
from aimstore.storage.memory import MemoryContainer

RUN: Final = "0" * 24
SHOWN_PIXELS: Final = 1 << 16
"""Pixels of a picture up to which it is decoded too: decoding takes as long as it is large, and that is bounded elsewhere."""

PARSING: Final = (ValueError, TypeError, LookupError, ArithmeticError, MemoryError, RecursionError, struct.error)
"""What a decoder inside another may raise besides `CorruptionError`; the outer one translates it."""


@dataclass(frozen=True)
class Target:
    """A decoder.

    Attributes:
        check: decodes bytes. Raises what breaks the law, and nothing else.
        samples: what the decoder is made for.
    """

    check: Callable[[bytes], None]
    samples: list[bytes]


VALUES: Final[list[Any]] = [
    {"a": [1, (2.5, "text"), None, True], "b": {"c": b"bytes", 5: -1}},
    [datetime(2024, 1, 1, tzinfo=UTC), date(2024, 1, 1), time(1, 2, 3), timedelta(1, 2, 3), 1j, 2**80, -(2**70)],
    [np.float32(0.5), np.str_("a"), np.bytes_(b"a"), np.datetime64("2024-01-01"), np.longdouble(1) / 3],
    [
        np.arange(6.0).reshape(2, 3),
        np.zeros(2, "V0"),
        np.array(["a", "bc"]),
        np.zeros(1, [("a", "<f4"), ("b", "i2", (2,))]),
    ],
    {(1, -1): 1, (1, -2): 2, 2**70: 3, 1.5: 4, None: 5, True: 6, np.int8(3): 7, date(2024, 1, 1): 8, b"b": 9},
    [Opaque("hologram", b"x"), {"a": (Opaque("image", b""),)}],
    [[[[[[[[]]]]]]], {"a": {"b": {"c": {}}}}, ((((),),),)],
]


def check_value(data: bytes) -> None:
    with suppress(CorruptionError):
        value = decode_value(data)
        again = encode_value(value, deepest=WRAPPED_DEPTH)
        assert encode_value(decode_value(again), deepest=WRAPPED_DEPTH) == again


def check_key(data: bytes) -> None:
    with suppress(CorruptionError):
        assert encode_path(decode_path(data)) == data


def pairs(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values, each after its length in one byte."""
    parts = []
    while data:
        parts.append(data[1 : 1 + data[0]])
        data = data[1 + data[0] :]
    yield from zip(parts[::2], parts[1::2], strict=False)


def paired(items: list[tuple[bytes, bytes]]) -> bytes:
    """Bytes of which `pairs` gives these."""
    return b"".join(bytes((len(part),)) + part for item in items for part in item)


def container(data: bytes) -> MemoryContainer:
    meta = MemoryContainer("meta")
    for key, value in dict(pairs(data)).items():
        if key:
            meta.put(key, value)
    return meta


def check_leaves(data: bytes) -> None:
    with suppress(CorruptionError):
        value = fold([(decode_path(key), value) for key, value in pairs(data)])
        leaves = unfold(value)
        assert unfold(fold(leaves)) == leaves


def check_definitions(data: bytes) -> None:
    meta = container(data)
    for read in (read_sequences, read_properties):
        with suppress(CorruptionError):
            dict(enumerate(read(meta)))  # type: ignore[operator]


def sealed(data: bytes, at: int) -> bytes:
    """`data` with the checksum that belongs to it."""
    if len(data) < at + 4:
        return data
    checksum = crc32(data[at + 4 :], crc32(data[:at]))
    return data[:at] + struct.pack("<I", checksum) + data[at + 4 :]


def check_chunk(data: bytes) -> None:
    data = sealed(data, 28)
    with suppress(CorruptionError):
        read_header(data)
    with suppress(CorruptionError):
        columns = decode_chunk(data)
        again = encode_chunk(columns)
        assert encode_chunk(decode_chunk(again)) == again
    for name in ("steps", "times", "epochs", "values"):
        with suppress(CorruptionError):
            decode_chunk(data, (name,))


def check_column(data: bytes) -> None:
    if len(data) < 3:
        return
    form, count = data[0], 1 + struct.unpack_from("<H", data, 1)[0]
    for decode in (decode_ints, decode_floats):
        with suppress(CorruptionError, *PARSING):
            assert len(decode(form, data, 3, count)) == count
    with suppress(CorruptionError, *PARSING):
        assert column_size(form, data, 3, count) >= 0


def check_outline(data: bytes) -> None:
    with suppress(CorruptionError):
        outline = decode_outline(sealed(data, 4))
        assert decode_outline(encode_outline(outline)).count == outline.count


def check_array(data: bytes) -> None:
    for load in (load_array, load_scalar):
        with suppress(CorruptionError, *PARSING):
            found = load(data)
            assert not found.dtype.hasobject


def check_extension(data: bytes) -> None:
    if data:
        with suppress(CorruptionError, *PARSING):
            decode_leaf(data[0], data[1:], None)


def check_object(codec: Any, show: Callable[[Any], object]) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        try:
            value = codec.decode(data)
        except CorruptionError:
            return
        assert codec.decode(codec.encode(value)) == value
        assert "<script" not in repr(value).partition(",")[0]
        with suppress(CorruptionError, UnsupportedError):
            show(value)

    return check


def show_audio(value: Audio) -> None:
    assert "<" not in value._repr_html_().removeprefix("<audio ").removesuffix("></audio>")
    value.numpy()


def show_figure(value: Figure) -> None:
    if value.format != "plotly":
        bundle = value._repr_mimebundle_()
        assert set(bundle) == ({"image/png"} if value.format == "png" else {"text/html"})


def show_image(value: Image) -> None:
    if value.width * value.height <= SHOWN_PIXELS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value.numpy()
            value._repr_png_()


def check_index(data: bytes) -> None:
    try:
        tree = decode_value(data, check_depth=False)
        if not isinstance(tree, dict):
            return
        with suppress(CorruptionError, KeyError, TypeError, ValueError, RecursionError):
            postings(tree, 1000)
        entry = IndexEntry(RUN, tree, lambda path: None)
        assert entry.sequences is not None
        with suppress(KeyError):
            entry.get(())
    except CorruptionError:
        return


def check_index_key(data: bytes) -> None:
    with suppress(CorruptionError):
        assert len(run_of(data)) == len(RUN)
    with suppress(CorruptionError):
        name, above = next_name(SEQUENCES + data)
        assert isinstance(name, str)
        assert above > SEQUENCES + data[:1]


NUMBERS: Final[list[Any]] = [
    np.arange(9), np.array([5] * 9), np.array([1, 9, 3, 70_000, 2]), np.array([2**62, -(2**62), 0]), np.array([7]),
    np.array([0] * 300 + [10**6]),
]  # fmt: skip


def chunks() -> list[bytes]:
    random = np.random.default_rng(0)
    found = [
        encode_scalars([1, 2, 3], [10, 20, 40], None, [0.5, 1.5, 2.5]),
        encode_scalars([5, 1], [10, 20], [None, 3], [2**70, 0.5]),
        encode_scalars([0, 1], [1, 2], None, [encode_value("text"), 20_000]),
    ]
    for count in (300, 1000):
        steps = np.arange(count)
        times = steps * 1000 + random.integers(0, 9, count)
        for values in (
            random.random(count),
            random.random(count).astype("f4").astype("f8"),
            random.integers(0, 99, count),
        ):
            found.append(encode_chunk(Columns(steps, times, None, values)))
    return found


def columns() -> list[bytes]:
    found = []
    for numbers in NUMBERS:
        for form, encoded in (encode_ints(numbers), encode_floats(numbers / 3)):
            found.append(bytes((form,)) + struct.pack("<H", len(numbers) - 1) + encoded)
    return found


def outlines() -> list[bytes]:
    stretches = np.array([(2, 3, -1.5, 4, 2.5), (1, 7, 0.5, 7, 0.5)], STRETCH)
    return [encode_outline(Outline(3, 1, 1.0, 9, 2.0, stretches))]


def definitions() -> list[bytes]:
    summary = [3, 3, True, 0, 2, 0.5, 0.25, 1.0]
    items = [
        (("seqs", 0), ["loss", {"subset": "train"}, "number"]),
        (("sums", 0), summary),
        (("seqs", 1), ["notes", {}, "text"]),
        (("props", "name"), "a run"),
    ]
    return [paired([(encode_path(path), encode_value(value)) for path, value in items])]


def index_entries() -> list[bytes]:
    tree = {
        "attrs": {"lr": 0.1, "opt": {"name": "adam", "betas": (0.9, 0.99)}, "big": None},
        "props": {"name": "a run", "tags": ["a"]},
        "seqs": [
            [0, "loss", {"subset": "train"}, "number", [3, 3, True, 0, 2, 0.5, 0.25, 1.0]],
            [1, "x", {}, "text", None],
        ],
        "lazy": [[["big"], b"\x60"]],
    }
    return [encode_value(tree)]


def payloads() -> list[bytes]:
    """The payloads of arrays and scalars."""
    found = [["<f8", [2], bytes(16)], ["|S2", [2, 1], b"abcd"], [[["a", "<f4"], ["b", "<i2", [2]]], [1], bytes(8)]]
    return [
        msgpack.packb(parts)
        for parts in [*found, ["<f8", bytes(8)], ["|U", "text"], ["|S", b"a"], ["<M8[ns]", bytes(8)]]
    ]


def extensions() -> list[bytes]:
    found = {
        Code.INT: b"\x01" + bytes(9), Code.DATETIME: b"2024-01-01T00:00:00+00:00", Code.DATE: b"2024-01-01",
        Code.TIME: b"01:02:03", Code.TIMEDELTA: msgpack.packb([1, 2, 3]), Code.COMPLEX: bytes(16),
        Code.OBJECT: msgpack.packb(["name", b"data"]),
    }  # fmt: skip
    return [bytes((code,)) + payload for code, payload in found.items()]


def images() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return [
        image.codec.encode(Image(pixels, format=name, caption="c"))
        for name in ("png", "jpeg", "gif", "bmp", "tiff", "webp")
    ]


def audios() -> list[bytes]:
    header = struct.pack("<HHIIHH", 3, 1, 8000, 32_000, 4, 32)
    body = b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", 8) + bytes(8)
    floats = b"RIFF" + struct.pack("<I", len(body)) + body
    sounds = [Audio(np.zeros((3, 2)), rate=8000), Audio(b"ID3", caption="c"), Audio(floats)]
    return [audio.codec.encode(sound) for sound in sounds]


def figures() -> list[bytes]:
    kinds = [("svg", b"<svg/>"), ("png", b"\x89PNG\r\n\x1a\n"), ("plotly", b'{"data": []}')]
    return [encode_value({"format": name, "caption": "c", "data": data}) for name, data in kinds]


TARGETS: Final[dict[str, Target]] = {
    "value": Target(check_value, [encode_value(value) for value in VALUES]),
    "key": Target(check_key, [encode_path(path) for path in [("a", 0, -5, 2**70, "ü\0\1"), (-(2**70), 2**64 - 1), ()]]),
    "leaves": Target(
        check_leaves, [paired([(encode_path(path), data) for path, data in unfold({"a": {"b": 1}, 2: {}})])]
    ),
    "chunk": Target(check_chunk, chunks()),
    "column": Target(check_column, columns()),
    "outline": Target(check_outline, outlines()),
    "array": Target(check_array, payloads()),
    "extension": Target(check_extension, extensions()),
    "text": Target(check_object(text.codec, str), [text.codec.encode(Text("ü\0"))]),
    "image": Target(check_object(image.codec, show_image), images()),
    "audio": Target(check_object(audio.codec, show_audio), audios()),
    "distribution": Target(
        check_object(distribution.codec, repr),
        [distribution.codec.encode(Distribution([1.0, 2.0, np.nan], bins=3))],
    ),
    "figure": Target(check_object(figure.codec, show_figure), figures()),
    "definitions": Target(check_definitions, definitions()),
    "index entry": Target(check_index, index_entries()),
    "index key": Target(
        check_index_key, [encode_path(("runs", RUN)), encode_path(("loss", "kind")) + b"\x02\x50number\0"]
    ),
}
