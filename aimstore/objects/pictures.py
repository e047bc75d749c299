"""Formats of encoded pictures: recognizes them by their first bytes, and decodes each with its own decoder alone."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aimstore.errors import UnsupportedError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

MAX_PIXELS: Final = 89_478_485
"""Maximum number of pixels of one picture; beyond it, Pillow warns of decompression bombs."""


class PictureFormat(NamedTuple):
    """A picture format.

    Attributes:
        decoder: Pillow's name of the format, and so of the only decoder that may read the data.
        modes: modes of Pillow that can be written without an unrequested change; empty if the format is never written.
        signatures: pairs of offset and bytes; a file of the format begins with one of them.
    """

    decoder: str
    modes: frozenset[str]
    signatures: tuple[tuple[int, bytes], ...]

    def fits(self, data: bytes) -> bool:
        """Whether `data` begins like a file of this format."""
        return any(data[at : at + len(mark)] == mark for at, mark in self.signatures)


def _format(decoder: str, modes: str, *signatures: bytes, at: int = 0) -> PictureFormat:
    return PictureFormat(decoder, frozenset(modes.split()), tuple((at, mark) for mark in signatures))


PICTURES: Final = {
    "png": _format("PNG", "1 L LA P RGB RGBA I;16", b"\x89PNG\r\n\x1a\n"),
    "jpeg": _format("JPEG", "1 L RGB CMYK YCbCr", b"\xff\xd8\xff"),
    "webp": _format("WEBP", "1 L LA P RGB RGBA", b"WEBP", at=8),
    "gif": _format("GIF", "1 L LA P RGB RGBA", b"GIF87a", b"GIF89a"),
    "bmp": _format("BMP", "1 L P RGB", b"BM"),
    "tiff": _format("TIFF", "1 L LA P PA RGB RGBA CMYK LAB I F I;16 I;16B", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "avif": _format("AVIF", "", b"ftypavif", b"ftypavis", at=4),
    "jpeg2000": _format("JPEG2000", "", b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
    "ppm": _format("PPM", "", *(b"P%d" % kind for kind in range(1, 7))),
}
"""A library decodes each of them; none is decoded by a program that Pillow starts, as PostScript would be."""

WRITTEN: Final = tuple(name for name, each in PICTURES.items() if each.modes)


class PictureError(ValueError):
    """Bytes that are not a decodable picture."""


def pillow() -> Any:
    """The module PIL.Image. Raises `UnsupportedError` if it is not installed."""
    try:
        import PIL.Image
    except ImportError as error:
        raise UnsupportedError("images need Pillow: pip install 'aimstore[images]'") from error
    return PIL.Image


def recognized(data: bytes) -> str | None:
    """The name of the format that `data` begins like, or None."""
    return next((name for name, each in PICTURES.items() if each.fits(data)), None)


def check_size(width: int, height: int) -> None:
    """Raise `ValueError` for a picture without pixels or with too many."""
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise ValueError(f"an image has 1 to {MAX_PIXELS:,} pixels, not {width:,}x{height:,}; scale it down")


def decoded(data: bytes, name: str, size: tuple[int, int]) -> PillowImage:
    """The picture, with its pixels decoded.

    Args:
        name: the format, one of `PICTURES`.
        size: width and height.

    Raises:
        PictureError: the picture is damaged, cut short, of another size, or of another format.
        ValueError: the picture has too many pixels.
    """
    image = _opened(data, name)
    if image.size != size:
        raise PictureError(f"its size is {image.size}, not {size}")
    _load(image)
    return image


def size_of(data: bytes, name: str) -> tuple[int, int]:
    """Width and height of a complete picture. Raises the same errors as `decoded`."""
    image = _opened(data, name)
    size = image.size
    image.draft(
        None, (-(-image.width // 8), -(-image.height // 8))
    )  # a JPEG is read completely, but not expanded to its full size
    _load(image)
    return size


def _opened(data: bytes, name: str) -> PillowImage:
    module = pillow()
    try:
        image: PillowImage = module.open(BytesIO(data), formats=[PICTURES[name].decoder])
    except (module.DecompressionBombError, module.DecompressionBombWarning) as error:
        raise ValueError(f"an image has at most {MAX_PIXELS:,} pixels: {error}") from error
    except Exception as error:  # a parser may raise any error
        raise PictureError(str(error)) from error
    check_size(*image.size)
    return image


def _load(image: PillowImage) -> None:
    try:
        image.load()
    except Exception as error:  # a parser may raise any error
        raise PictureError(str(error) or type(error).__name__) from error
