"""`Audio`: a sound, kept encoded."""

from __future__ import annotations

import os
import re
import wave
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aimstore.errors import UnsupportedError
from aimstore.objects import wav
from aimstore.objects.stored import (
    FieldsCodec,
    StoredObject,
    checked_array,
    checked_text,
    described,
    encoded_bytes,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_CHANNELS: Final = 64
MAX_RATE: Final = 2**31 - 1

_SIGNATURES: Final = {b"fLaC": "flac", b"OggS": "ogg", b"ID3": "mp3"}
_FORMAT: Final = re.compile(r"[a-z0-9]{1,16}")


@dataclass(frozen=True, init=False, repr=False)
class Audio(StoredObject):
    """A sound.

        Audio(samples, rate=16_000)       # NumPy array: (n,) or (n, channels), floats in -1..1 or int16; stored as WAV
        Audio("speech.mp3")               # a file, or its bytes, kept unchanged

    Attributes:
        format: "wav", "mp3", "flac", "ogg", …
        rate: samples per second; None if the encoded sound does not state the rate and none was given.
        caption: "" if there is none.
        data: the encoded sound, as the bytes of a file.
    """

    format: str
    rate: int | None
    caption: str
    data: bytes

    def __init__(
        self,
        source: Any,
        *,
        rate: int | None = None,
        format: str | None = None,  # noqa: A002  # as in Image
        caption: str = "",
    ) -> None:
        """
        Args:
            source: an array of int16, or of floats in -1..1, which are rounded to int16, or an object whose `__array__`
                returns one; the path of a sound file, or its bytes.
            rate: samples per second. Required for an array; a WAV file states its rate in its header.
            format: the format of a file or bytes, if the first bytes do not show it; an array becomes "wav".
            caption: a text that belongs to the sound.

        Raises:
            TypeError: `source`, `rate` or `caption` has another type, or the array has another dtype.
            ValueError: the array has an invalid shape or values outside the range; the format is unknown; the rate is
                missing, below 1, or differs from that of the file.
            OSError: the file cannot be read.
        """
        caption = checked_text(caption, "the caption of an audio")
        rate = _checked_rate(rate)
        data = encoded_bytes(source)
        if data is not None:
            name = _recognized(data, format)
            if name == "wav":
                rate = _rate_of(data, rate)
        else:
            if format not in (None, "wav"):
                raise ValueError(
                    f'an array is stored as "wav"; for {format!r:.60} encode it yourself and give the bytes'
                )
            if rate is None:
                raise ValueError("an array of samples needs their rate: Audio(samples, rate=16_000)")
            name, data = "wav", _wav(_samples(source), rate)
        self._set(format=name, rate=rate, caption=caption, data=data)

    def _check(self) -> None:
        if not _FORMAT.fullmatch(self.format) or (self.format == "wav" and not wav.fits(self.data)):
            raise ValueError(f"no sound of format {self.format!r:.40}: {self.data[:12]!r}")
        _checked_rate(self.rate)

    def numpy(self) -> npt.NDArray[Any]:
        """The samples of a WAV file, a new array at each call: (n,) for one channel, else (n, channels).

        The dtype is int16 for 16 bits (the stored form of arrays); uint8 for 8; int32 for 24 (in -2**23..2**23-1) and
        32; float32 or float64 for floats.

        Raises:
            UnsupportedError: the sound has another format, or is a WAV file with compressed samples.
        """
        if self.format != "wav":
            raise UnsupportedError(
                f"numpy() reads WAV; decode the attribute data with a library that reads {self.format}"
            )
        try:
            return wav.samples(self.data)
        except ValueError as error:
            raise UnsupportedError(
                f"numpy() reads WAV with samples of 8 to 32 bits, or floats; this one is no such: {error}"
            ) from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sound to a file unchanged, whatever the name of the file."""
        Path(path).write_bytes(self.data)

    def _repr_html_(self) -> str:
        """Show a player in a notebook."""
        source = f"data:audio/{self.format};base64,{b64encode(self.data).decode('ascii')}"
        return f'<audio controls src="{escape(source)}"></audio>'

    def __repr__(self) -> str:
        what = self.format if self.rate is None else f"{self.format} {self.rate:,} Hz"
        return described("Audio", what, self.data, self.caption)


codec = FieldsCodec(Audio, format=str, rate=(int, type(None)), caption=str, data=bytes)


def _checked_rate(rate: Any) -> int | None:
    if rate is None:
        return None
    if isinstance(rate, bool) or not hasattr(rate, "__index__"):
        raise TypeError(f"the rate is an int, samples a second, not {rate!r:.60} ({type(rate).__name__})")
    number = int(rate.__index__())
    if not 0 < number <= MAX_RATE:
        raise ValueError(f"the rate is at least 1 and at most {MAX_RATE:,} samples a second, not {number}")
    return number


def _recognized(data: bytes, given: Any) -> str:
    """The format of an encoded sound: the given format, or the format that its first bytes show."""
    if given is not None:
        if not isinstance(given, str) or not _FORMAT.fullmatch(given):
            raise ValueError(f'the format of an audio is a name such as "mp3", not {given!r:.60}')
        if given == "wav" and not wav.fits(data):
            raise ValueError(f"no WAV file: it begins with {data[:12]!r}")
        return str(given)
    if wav.fits(data):
        return "wav"
    for signature, name in _SIGNATURES.items():
        if data.startswith(signature):
            return name
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] & 0x06:
        return "mp3"  # a frame without a tag before it: 11 bits of synchronization, and a layer
    raise ValueError(
        f'bytes that begin with {data[:12]!r} are of no format known here; say which it is, as in Audio(data, format="m4a"); '
        "samples are given as a NumPy array"
    )


def _rate_of(data: bytes, given: int | None) -> int | None:
    """The rate of a WAV file; for a file whose header cannot be read, the given rate."""
    try:
        rate = _checked_rate(wav.header(data).rate)
    except ValueError:
        return given
    if given not in (None, rate):
        raise ValueError(f"the WAV file says that its rate is {rate}, not {given}; leave the rate out")
    return rate


def _samples(source: Any) -> npt.NDArray[np.int16]:
    """The samples as int16 of shape (n, channels)."""
    import numpy as np

    if not hasattr(source, "__array__"):
        raise TypeError(
            "an audio is made of a NumPy array, or the path or bytes of a sound file, "
            f"not of {source!r:.60} ({type(source).__name__})"
        )
    array = checked_array(source, "an audio")
    shape = array.shape
    if array.ndim == 1:
        array = array[:, np.newaxis]
    if array.ndim != 2 or 0 in array.shape or array.shape[1] > MAX_CHANNELS:
        raise ValueError(
            f"samples have the shape (n,) or (n, channels) with up to {MAX_CHANNELS} channels, none of them 0, not "
            f"{shape}; channels that come first are put last by array.T"
        )
    if array.dtype.newbyteorder("=") == np.int16:
        return array
    if array.dtype.kind != "f":
        raise TypeError(f"samples are int16, or floats in -1..1, not {array.dtype}; scale them to one of these")
    if not (array.min() >= -1 and array.max() <= 1):  # NaN fails both comparisons
        raise ValueError(
            f"float samples lie in -1..1, and these in {array.min():.4g}..{array.max():.4g}; scale or clip them"
        )
    fine = array.astype(np.promote_types(array.dtype, np.float32))  # float16 is too coarse for the computation
    samples: npt.NDArray[np.int16] = np.rint(fine * 32767).astype(np.int16)
    return samples


def _wav(samples: npt.NDArray[np.int16], rate: int) -> bytes:
    buffer = BytesIO()
    with wave.open(buffer, "wb") as writer:
        writer.setnchannels(samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()
