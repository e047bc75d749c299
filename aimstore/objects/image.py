"""`Image`: a picture, kept encoded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aimstore.errors import UnsupportedError
from aimstore.objects.stored import FieldsCodec, StoredObject, checked_text, described, encoded_bytes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image as PillowImage

FORMATS: Final = ("png", "jpeg", "webp", "gif", "bmp", "tiff")
"""What arrays and Pillow images can be stored as."""

_ALIASES: Final = {"jpg": "jpeg", "tif": "tiff"}
_ARRAY_MODES: Final = ("1", "L", "RGB", "RGBA", "I", "I;16", "F")
"""Modes of Pillow images whose array is their pixels; others are converted."""


@dataclass(frozen=True, init=False, repr=False)
class Image(StoredObject):
    """A picture.

        Image(pixels)                        # NumPy array: (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)
        Image(pillow_image, format="jpeg")
        Image("plot.png", caption="…")       # a file, or its bytes, kept as it is

    Attributes:
        format: "png", "jpeg", …
        width, height: in pixels.
        caption: "" where there is none.
        data: the encoded picture, the bytes of a file.
    """

    format: str
    width: int
    height: int
    caption: str
    data: bytes

    def __init__(self, source: Any, *, caption: str = "", format: str = "png") -> None:  # noqa: A002  # what Pillow calls it
        """
        Args:
            source: an array of uint8, of bool, or of floats in 0..1, with 1 (gray), 3 (RGB) or 4 (RGBA) channels last, or
                whatever has `__array__` and gives one; a Pillow image; the path of a picture, or the bytes of one.
            caption: a text that belongs to it.
            format: what to encode an array or Pillow image as, one of `FORMATS`; only "png" and "tiff" keep all pixels as
                they are. A picture that is encoded already keeps its own.

        Raises:
            TypeError: `source` or `caption` is none of these, or the array's dtype is another.
            ValueError: the shape or values of the array are others; the file is no picture; the format is not known, or
                cannot hold such a picture.
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
            data, (width, height) = _encoded(image, name), image.size
        self._set(format=name, width=width, height=height, caption=caption, data=data)

    def pil(self) -> PillowImage:
        """The decoded picture, a new `PIL.Image.Image` at each call.

        Raises:
            OSError: the file that it was made of is damaged.
            UnsupportedError: Pillow is not installed.
        """
        image: PillowImage = _pillow().open(BytesIO(self.data))
        image.load()
        return image

    def numpy(self) -> npt.NDArray[Any]:
        """The pixels, a new array at each call: (h, w) where gray, (h, w, 3) RGB or (h, w, 4) RGBA; uint8, or bool where each is
        one bit. Of an animation the first frame. Errors as `pil`."""
        import numpy as np

        image = self.pil()
        if image.mode not in _ARRAY_MODES:
            clear = image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info
            image = image.convert("RGBA" if clear else "RGB")
        return np.array(image)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file, as it is, whatever the name of the file."""
        Path(path).write_bytes(self.data)

    def _repr_png_(self) -> bytes | None:
        """What a notebook shows."""
        if self.format in ("png", "jpeg"):
            return self.data if self.format == "png" else None
        return _encoded(_as_pillow(self.numpy()), "png")

    def _repr_jpeg_(self) -> bytes | None:
        return self.data if self.format == "jpeg" else None

    def __repr__(self) -> str:
        return described("Image", f"{self.format} {self.width}x{self.height}", self.data, self.caption)


codec = FieldsCodec(Image, format=str, width=int, height=int, caption=str, data=bytes)


def _pillow() -> Any:
    try:
        import PIL.Image
    except ImportError as error:
        raise UnsupportedError("images need Pillow: pip install 'aimstore[images]'") from error
    return PIL.Image


def _looked_at(data: bytes, source: object) -> tuple[str, tuple[int, int]]:
    """Format and size of an encoded picture, from its header."""
    where = f"{source!r:.200}" if isinstance(source, (str, os.PathLike)) else f"bytes that begin with {data[:12]!r}"
    pillow = _pillow()
    try:
        with pillow.open(BytesIO(data)) as image:
            return str(image.format).lower(), image.size
    except (OSError, SyntaxError, ValueError) as error:  # whatever the parser of some format raises
        raise ValueError(f"no picture that Pillow can read: {where}; pixels are given as a NumPy array") from error


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
    pillow = _pillow()
    if isinstance(source, pillow.Image):
        return source  # type: ignore[no-any-return]
    if hasattr(source, "__array__"):
        return pillow.fromarray(_pixels(source))  # type: ignore[no-any-return]
    raise TypeError(
        "an image is made of a NumPy array, a Pillow image, or the path or bytes of a picture, "
        f"not of {source!r:.60} ({type(source).__name__})"
    )


def _pixels(source: Any) -> npt.NDArray[np.uint8 | np.bool_]:
    """An array that Pillow takes: (h, w) of uint8 or bool, (h, w, 3) or (h, w, 4) of uint8."""
    import numpy as np

    array = np.asarray(source)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or 0 in array.shape:
        first = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        hint = "; its channels seem to come first: array.transpose(1, 2, 0) puts them last" if first else ""
        raise ValueError(
            f"an image has the shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4), none of them 0, not {array.shape}{hint}"
        )
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
    if not (array.min() >= 0 and array.max() <= 1):  # NaN is neither
        raise ValueError(
            f"float pixels lie in 0..1, and these in {array.min():.4g}..{array.max():.4g}; scale or clip them, "
            "or give uint8 for 0..255"
        )
    fine = array.astype(np.promote_types(array.dtype, np.float32))  # float16 is too coarse to compute with
    pixels: npt.NDArray[np.uint8] = np.rint(fine * 255).astype(np.uint8)
    return pixels


def _encoded(image: PillowImage, name: str) -> bytes:
    buffer = BytesIO()
    try:
        image.save(buffer, name)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"a picture of mode {image.mode} and size {image.width}x{image.height} cannot be stored as {name} ({error}); "
            'convert it, as in image.convert("RGB"), or take format="png"'
        ) from error
    return buffer.getvalue()
