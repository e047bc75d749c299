from __future__ import annotations

import struct
import wave
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aimstore.encoding.values import encode_value
from aimstore.errors import CorruptionError, UnsupportedError
from aimstore.objects import Audio
from aimstore.objects.audio import codec


def wav(frames: bytes, *, width: int = 2, channels: int = 1, rate: int = 8000) -> bytes:
    buffer = BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setparams((channels, width, rate, 0, "NONE", ""))
        writer.writeframes(frames)
    return buffer.getvalue()


@settings(max_examples=30, deadline=None)
@given(
    samples=arrays.arrays(
        np.int16, st.one_of(st.tuples(st.integers(1, 50)), st.tuples(st.integers(1, 9), st.integers(2, 5)))
    ),
    rate=st.integers(1, 200_000),
)
def test_int16_comes_back_exactly(samples: Any, rate: int) -> None:
    audio = Audio(samples, rate=rate)
    assert (audio.format, audio.rate) == ("wav", rate)
    assert audio.numpy().dtype == np.int16
    assert audio.numpy().shape == samples.shape
    assert (audio.numpy() == samples).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_rounded_to_int16(dtype: type) -> None:
    samples = np.array([-1, -0.5, 0, 0.25, 1], dtype)
    assert Audio(samples, rate=1).numpy().tolist() == [-32767, -16384, 0, 8192, 32767]


def test_one_channel_is_one_dimension() -> None:
    assert Audio(np.zeros((5, 1)), rate=8000).numpy().shape == (5,)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 16_000), (1, 2, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"samples have the shape \(n,\) or \(n, channels\)"):
        Audio(np.zeros(shape), rate=8000)


@pytest.mark.parametrize("value", [-1.01, 1.01, np.nan, np.inf])
def test_floats_outside_their_range_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"float samples lie in -1\.\.1, and these in"):
        Audio(np.array([0, value]), rate=8000)


def test_other_dtypes_and_sources_are_refused() -> None:
    for dtype in (np.int32, np.uint8, bool, complex):
        with pytest.raises(TypeError, match="samples are int16, or floats in"):
            Audio(np.zeros(3, dtype), rate=8000)
    for source in (None, 5, [0.5, 0.5]):
        with pytest.raises(TypeError, match="an audio is made of a NumPy array, or the path or bytes"):
            Audio(source, rate=8000)


def test_an_array_needs_a_rate() -> None:
    with pytest.raises(ValueError, match=r"Audio\(samples, rate=16_000\)"):
        Audio(np.zeros(3))
    for wrong in (0, -1, 2**31):
        with pytest.raises(ValueError, match="the rate is at least 1"):
            Audio(np.zeros(3), rate=wrong)
    for value in (8000.0, "8000", True):
        with pytest.raises(TypeError, match="the rate is an int"):
            Audio(np.zeros(3), rate=value)  # type: ignore[arg-type]
    assert Audio(np.zeros(3), rate=np.int64(8000)) == Audio(np.zeros(3), rate=8000)


def test_an_array_becomes_wav_only() -> None:
    with pytest.raises(ValueError, match="encode it yourself"):
        Audio(np.zeros(3), rate=8000, format="mp3")


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"fLaC....", "flac"), (b"OggS....", "ogg"), (b"ID3\x04....", "mp3"), (b"\xff\xfb\x90d....", "mp3")],
)
def test_encoded_sounds_are_recognized_and_kept(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / "sound"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        audio = Audio(source, caption="c")
        assert (audio.data, audio.format, audio.rate, audio.caption) == (data, name, None, "c")
    assert Audio(data, rate=44_100).rate == 44_100
    audio.save(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    with pytest.raises(UnsupportedError, match=f"numpy\\(\\) reads WAV; .* reads {name}"):
        audio.numpy()


def test_a_format_that_the_bytes_do_not_tell_is_given() -> None:
    for data in (b"", b"....ftypM4A ", b"RIFF\0\0\0\0WEBP", b"\xff\xf1\x50\x80"):
        with pytest.raises(ValueError, match=r'as in Audio\(data, format="m4a"\)'):
            Audio(data)
        assert Audio(data, format="m4a").format == "m4a"
    for wrong in ("", "M4A", "a/b", 5):
        with pytest.raises(ValueError, match="the format of an audio is a name"):
            Audio(b"....", format=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no WAV file"):
        Audio(b"....", format="wav")


def test_a_wav_file_tells_its_rate() -> None:
    data = wav(b"\1\0\2\0")
    assert Audio(data).rate == Audio(data, rate=8000).rate == 8000
    assert Audio(data).data == data
    with pytest.raises(ValueError, match="its rate is 8000, not 9000"):
        Audio(data, rate=9000)


@pytest.mark.parametrize(
    ("width", "dtype", "frames", "values"),
    [
        (1, np.uint8, b"\x00\x80\xff", [0, 128, 255]),
        (2, np.int16, b"\x00\x80\xff\x7f", [-(2**15), 2**15 - 1]),
        (3, np.int32, b"\x00\x00\x80\xff\xff\x7f\x01\x00\x00", [-(2**23), 2**23 - 1, 1]),
        (4, np.int32, b"\x00\x00\x00\x80\xff\xff\xff\x7f", [-(2**31), 2**31 - 1]),
    ],
)
def test_wav_of_each_width(width: int, dtype: type, frames: bytes, values: list[int]) -> None:
    samples = Audio(wav(frames, width=width)).numpy()
    assert samples.dtype == dtype
    assert samples.tolist() == values
    samples[0] = 1  # it is the caller's own


def test_a_wav_file_that_is_cut_short_gives_what_is_there() -> None:
    data = wav(bytes(range(12)), channels=2)
    assert Audio(data[:-3]).numpy().shape == (2, 2)


def test_a_wav_that_is_not_pcm_is_kept_but_not_decoded() -> None:
    data = bytearray(wav(bytes(8), width=4))
    data[20] = 7  # mu-law
    audio = Audio(bytes(data), rate=8000)
    assert (audio.format, audio.rate) == ("wav", 8000)
    with pytest.raises(UnsupportedError, match="this one is no such: unknown format"):
        audio.numpy()
    with pytest.raises(UnsupportedError, match="numpy"):
        Audio(data[:20]).numpy()


def test_how_it_is_shown() -> None:
    assert repr(Audio(np.zeros(3), rate=16_000, caption="hi")) == "<Audio wav 16,000 Hz, 50 bytes, 'hi'>"
    assert repr(Audio(b"fLaC")) == "<Audio flac, 4 bytes>"
    assert Audio(b"fLaC")._repr_html_() == '<audio controls src="data:audio/flac;base64,ZkxhQw=="></audio>'


def float_wav(samples: Any, *, extensible: bool) -> bytes:
    """A WAV of float32 or float64, of two channels."""
    width = samples.dtype.itemsize
    header = struct.pack("<HHIIHH", 0xFFFE if extensible else 3, 2, 8000, 16_000 * width, 2 * width, 8 * width)
    if extensible:
        header += struct.pack("<HHIH14s", 22, 8 * width, 3, 3, bytes(14))
    body = samples.tobytes()
    chunks = b"fmt " + struct.pack("<I", len(header)) + header + b"odd " + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize("dtype", ["<f4", "<f8"])
def test_a_wav_of_floats_is_read(dtype: str, extensible: bool) -> None:
    samples = np.array([[0.5, -1.5], [1e-9, 0.25]], dtype)
    audio = Audio(float_wav(samples, extensible=extensible))
    assert audio.rate == 8000
    assert audio.numpy().dtype == samples.dtype
    assert (audio.numpy() == samples).all()


def test_sizes_that_a_file_claims_cost_nothing() -> None:
    data = bytearray(wav(bytes(8)))
    data[40:44] = b"\xff\xff\xff\xff"
    assert Audio(bytes(data)).numpy().tolist() == [0, 0, 0, 0]
    data[22:24] = b"\xff\xff"  # channels
    assert Audio(bytes(data)).numpy().shape == (0, 65_535)
    for at in (22, 34):  # no channels, no bits
        data[22:24] = b"\1\0"
        data[at : at + 2] = b"\0\0"
        with pytest.raises(UnsupportedError, match="this one is no such: unknown format"):
            Audio(bytes(data)).numpy()


@pytest.mark.parametrize(
    "change",
    [
        {"format": '"><script>alert(1)</script>'},
        {"format": "MP3"},
        {"format": ""},
        {"format": "wav"},
        {"rate": 0},
        {"rate": True},
        {"rate": 2**40},
    ],
)
def test_a_stored_field_that_no_audio_has_is_corruption(change: dict[str, Any]) -> None:
    fields = {"format": "mp3", "rate": 8000, "caption": "", "data": b"ID3"}
    assert codec.decode(encode_value(fields)) == Audio(b"ID3", rate=8000)
    with pytest.raises(CorruptionError):
        codec.decode(encode_value(fields | change))


def test_what_a_notebook_shows_is_escaped() -> None:
    audio = Audio(b"ID3")
    object.__setattr__(audio, "format", '"><script>')
    assert "<script>" not in audio._repr_html_()


def test_tensors_and_masked_samples(tensor: Any) -> None:
    samples = np.array([0.0, 0.5])
    assert Audio(tensor(samples, requires_grad=True), rate=8000) == Audio(samples, rate=8000)
    assert Audio(tensor(samples, dtype="torch.bfloat16"), rate=8000) == Audio(samples, rate=8000)
    with pytest.raises(TypeError, match="an audio: an array with masked elements"):
        Audio(np.ma.masked_array(samples, [True, False]), rate=8000)
    assert Audio(np.array([1, 2], ">i2"), rate=8000).numpy().tolist() == [1, 2]
