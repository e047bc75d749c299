"""`Image`: a picture, kept encoded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aimstore.errors import CorruptionError, UnsupportedError
from aimstore.objects.pictures import PICTURES, WRITTEN, PictureError, check_size, decoded, pillow, recognized, size_of
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
    from PIL.Image import Image as PillowImage

FORMATS: Final = WRITTEN
"""Formats for storing arrays and Pillow images."""

_ALIASES: Final = {"jpg": "jpeg", "tif": "tiff"}
_ARRAY_MODES: Final = ("1", "L", "RGB", "RGBA", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Modes of Pillow images whose array is their pixels; images of other modes are converted."""

_INSTEAD: Final = {"La": "LA", "RGBa": "RGBA"}
"""The mode to which an image is converted if no format can hold its own mode; RGB for all other modes."""

_CHANNELS: Final = (1, 3, 4)


@dataclass(frozen=True, init=False, repr=False)
class Image(StoredObject):
    """A picture.

        Image(pixels)                        # NumPy array: (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)
        Image(tensor)                        # PyTorch tensor: (h, w), (1, h, w), (3, h, w) or (4, h, w)
        Image(pillow_image, format="jpeg")
        Image("plot.png", caption="…")       # a file, or its bytes, kept unchanged

    Attributes:
        format: "png", "jpeg", …
        width, height: in pixels.
        caption: "" if there is none.
        data: the encoded picture, as the bytes of a file.
    """

    format: str
    width: int
    height: int
    caption: str
    data: bytes

    def __init__(self, source: Any, *, caption: str = "", format: str = "png") -> None:  # noqa: A002  # what Pillow calls it
        """
        Args:
            source: an array of uint8, of bool, or of floats in 0..1, with 1 (gray), 3 (RGB) or 4 (RGBA) channels last,
                or an object whose `__array__` returns one; a PyTorch tensor, with its channels first; a Pillow image;
                the path of a picture, or its bytes.
            caption: a text that belongs to the picture.
            format: the format for an array or Pillow image, one of `FORMATS`; only "png" and "tiff" keep all pixels
                exactly. An encoded picture keeps its own format.

        Raises:
            TypeError: `source` or `caption` has another type, or the array has another dtype.
            ValueError: the array has an invalid shape or values outside the range; the file is not a picture, is
                damaged or is cut short; the format is unknown or cannot hold such a picture; there are more than
                89,478,485 pixels.
            OSError: the file cannot be read.
            UnsupportedError: Pillow is not installed.
        """
        caption = checked_text(caption, "the caption of an image")
        data = encoded_bytes(source)
        if data is not None:
            name, (width, height) = _looked_at(data, source)
        else:
            name = _checked_format(format)
            image = _as_pillow(source)
            width, height = image.size
            check_size(width, height)
            data = _encoded(image, name)
        self._set(format=name, width=width, height=height, caption=caption, data=data)

    def _check(self) -> None:
        if self.format not in PICTURES or not PICTURES[self.format].fits(self.data):
            raise ValueError(f"no picture of format {self.format!r:.40}: {self.data[:12]!r}")
        check_size(self.width, self.height)

    def pil(self) -> PillowImage:
        """The decoded picture, a new `PIL.Image.Image` at each call. Only the decoder of its format reads the data.

        Raises:
            CorruptionError: the stored data is not a picture of its format.
            UnsupportedError: Pillow is not installed.
        """
        try:
            return decoded(self.data, self.format, (self.width, self.height))
        except ValueError as error:
            raise CorruptionError(f"a stored image of format {self.format} cannot be decoded: {error}") from error

    def numpy(self) -> npt.NDArray[Any]:
        """The pixels, a new array at each call: (h, w) for gray, (h, w, 3) for RGB or (h, w, 4) for RGBA. The dtype is
        uint8; bool for one bit per pixel; or uint16, int32 or float32 for a gray picture of that type. Of an animation,
        the first frame is returned. Other color systems become RGB. Raises the errors of `pil`, and `UnsupportedError`
        if Pillow cannot convert the picture."""
        import numpy as np

        image = self.pil()
        if image.mode not in _ARRAY_MODES:
            clear = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
            try:
                image = image.convert("RGBA" if clear else "RGB")
            except ValueError as error:
                raise UnsupportedError(f"numpy() gives no colours of mode {image.mode}; pil() does: {error}") from error
        pixels = np.array(image)
        return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file unchanged, whatever the name of the file."""
        Path(path).write_bytes(self.data)

    def _repr_png_(self) -> bytes | None:
        """Show the picture in a notebook."""
        if self.format in ("png", "jpeg"):
            return self.data if self.format == "png" else None
        image = self.pil()
        return None if image.mode == "LAB" else _encoded(_shown(image), "png")  # Pillow cannot show LAB on its own

    def _repr_jpeg_(self) -> bytes | None:
        return self.data if self.format == "jpeg" else None

    def __repr__(self) -> str:
        return described("Image", f"{self.format} {self.width}x{self.height}", self.data, self.caption)


codec = FieldsCodec(Image, format=str, width=int, height=int, caption=str, data=bytes)


def _looked_at(data: bytes, source: object) -> tuple[str, tuple[int, int]]:
    """Format and size of an encoded picture that is complete."""
    where = f"{source!r:.200}" if isinstance(source, (str, os.PathLike)) else f"bytes that begin with {data[:12]!r}"
    name = recognized(data)
    pillow()
    if name is None:
        raise ValueError(
            f"no picture that Pillow can read: {where}; pixels are given as a NumPy array, "
            f"pictures as {', '.join(PICTURES)}"
        )
    try:
        return name, size_of(data, name)
    except PictureError as error:
        raise ValueError(f"no picture that Pillow can read: {where}; it is damaged or cut short: {error}") from error


def _checked_format(name: object) -> str:
    if isinstance(name, str):
        known = _ALIASES.get(name.lower(), name.lower())
        if known in FORMATS:
            return known
    raise ValueError(
        f"the format of an image is one of {', '.join(FORMATS)}, not {name!r:.60}; "
        "for another, encode it yourself and give the bytes"
    )


def _as_pillow(source: Any) -> PillowImage:
    module = pillow()
    if isinstance(source, module.Image):
        return source  # type: ignore[no-any-return]
    if hasattr(source, "__array__"):
        return module.fromarray(_pixels(source))  # type: ignore[no-any-return]
    raise TypeError(
        "an image is made of a NumPy array, a Pillow image, or the path or bytes of a picture, "
        f"not of {source!r:.60} ({type(source).__name__})"
    )


def _pixels(source: Any) -> npt.NDArray[np.uint8 | np.bool_]:
    """An array that Pillow accepts: (h, w) of uint8 or bool, (h, w, 3) or (h, w, 4) of uint8."""
    import numpy as np

    array = _channels_last(source)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint8 or (array.dtype == np.bool_ and array.ndim == 2):
        return np.ascontiguousarray(array)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind != "f":
        raise TypeError(
            f"the pixels of an image are uint8, bool, or floats in 0..1, not {array.dtype}; scale them to one of these"
        )
    if not (array.min() >= 0 and array.max() <= 1):  # NaN fails both comparisons
        raise ValueError(
            f"float pixels lie in 0..1, and these in {array.min():.4g}..{array.max():.4g}; scale or clip them, "
            "or give uint8 for 0..255"
        )
    fine = array.astype(np.promote_types(array.dtype, np.float32))  # float16 is too coarse for the computation
    pixels: npt.NDArray[np.uint8] = np.rint(fine * 255).astype(np.uint8)
    return pixels


def _channels_last(source: Any) -> npt.NDArray[Any]:
    """An array of the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)."""
    array = checked_array(source, "an image")
    first = array.ndim == 3 and array.shape[0] in _CHANNELS
    if first and hasattr(source, "permute"):  # PyTorch's tensors have their channels first, NumPy's arrays do not
        return array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in _CHANNELS) or 0 in array.shape:
        hint = "; its channels seem to come first: array.transpose(1, 2, 0) puts them last" if first else ""
        raise ValueError(
            f"an image has the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), none of them 0, not {array.shape}{hint}"
        )
    return array


def _shown(image: PillowImage) -> PillowImage:
    """The picture in a mode that PNG can hold; numbers that are not shades of gray are scaled to their range."""
    if image.mode in ("I", "F"):
        import numpy as np

        values = np.nan_to_num(np.array(image, np.float64), posinf=0.0, neginf=0.0)
        values -= values.min()
        return pillow().fromarray((values * (255 / (values.max() or 1.0))).astype(np.uint8))  # type: ignore[no-any-return]
    return image if image.mode in PICTURES["png"].modes else image.convert("RGB")


def _encoded(image: PillowImage, name: str) -> bytes:
    modes, mode = PICTURES[name].modes, image.mode
    if mode not in modes and mode.startswith("I;16") and "I;16" in modes:  # the same numbers in another byte order
        import numpy as np

        image = pillow().fromarray(np.array(image).astype(np.uint16))
    what = f"a picture of mode {mode} and size {image.width}x{image.height} cannot be stored as {name}"
    if image.mode not in modes:
        raise ValueError(f"{what}, which has no such pixels; {_advice(mode, name)}")
    buffer = BytesIO()
    try:
        image.save(buffer, name)
    except (OSError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error
    return buffer.getvalue()


def _advice(mode: str, name: str) -> str:
    exact = [f'format="{each}"' for each in ("png", "tiff") if each != name and mode in PICTURES[each].modes]
    converted = f'image.convert("{_INSTEAD.get(mode, "RGB")}")'
    return f"take {' or '.join(exact)}, or give {converted}" if exact else f"give {converted}"
