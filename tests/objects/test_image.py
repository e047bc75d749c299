from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aimstore.errors import UnsupportedError
from aimstore.objects import Image
from aimstore.objects.image import FORMATS, codec

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from([0, 1, 3, 4])).map(
    lambda shape: shape if shape[2] else shape[:2]
)


def encoded(image: PIL.Image.Image, name: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, name)
    return buffer.getvalue()


@settings(max_examples=30, deadline=None)
@given(pixels=arrays.arrays(np.uint8, SHAPES), name=st.sampled_from(["png", "tiff"]))
def test_pixels_come_back_exactly(pixels: Any, name: str) -> None:
    image = Image(pixels, format=name)
    assert (image.format, image.height, image.width) == (name, *pixels.shape[:2])
    expected = pixels[:, :, 0] if pixels.shape[2:] == (1,) else pixels
    found = image.numpy()
    assert (found.dtype, found.shape) == (np.uint8, expected.shape)
    assert (found == expected).all()


def test_arrays_of_any_layout_are_taken() -> None:
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5).transpose(1, 2, 0)
    assert (Image(pixels).numpy() == pixels).all()
    assert (Image(pixels[::-1, ::2]).numpy() == pixels[::-1, ::2]).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_rounded_to_the_nearest_of_256(dtype: type) -> None:
    pixels = np.linspace(0, 1, 256).reshape(16, 16).astype(dtype)
    assert (Image(pixels).numpy().ravel() == np.arange(256)).all()


def test_bools_are_black_and_white() -> None:
    pixels = np.eye(9, 5, dtype=bool)
    assert Image(pixels).numpy().dtype == bool
    assert (Image(pixels).numpy() == pixels).all()
    assert (Image(np.ones((2, 2, 3), bool)).numpy() == 255).all()


@pytest.mark.parametrize("shape", [(), (3,), (2, 2, 2), (2, 2, 5), (1, 2, 3, 4), (0, 3), (3, 0, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"an image has the shape \(h, w\)"):
        Image(np.zeros(shape, np.uint8))


def test_channels_that_come_first_are_recognized() -> None:
    with pytest.raises(
        ValueError, match=r"not \(3, 32, 32\); its channels seem to come first: array.transpose\(1, 2, 0\)"
    ):
        Image(np.zeros((3, 32, 32)))


@pytest.mark.parametrize("value", [-0.01, 1.01, 255.0, np.nan, np.inf])
def test_floats_outside_0_to_1_are_refused(value: float) -> None:
    pixels = np.zeros((2, 2))
    pixels[0, 0] = value
    with pytest.raises(ValueError, match=r"float pixels lie in 0\.\.1, and these in"):
        Image(pixels)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.complex64, object])
def test_other_dtypes_are_refused(dtype: type) -> None:
    with pytest.raises(TypeError, match="the pixels of an image are uint8, bool, or floats"):
        Image(np.zeros((2, 2), dtype))


@pytest.mark.parametrize("source", [None, 5, [[0, 1]], object(), {"a": 1}])
def test_other_sources_are_refused(source: object) -> None:
    with pytest.raises(TypeError, match="an image is made of a NumPy array, a Pillow image, or the path or bytes"):
        Image(source)


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_can_be_written_and_read(name: str) -> None:
    image = Image(np.full((4, 6, 3), 255, np.uint8), format=name.upper())
    assert (image.format, image.width, image.height) == (name, 6, 4)
    assert image.pil().format == name.upper()
    assert (image.numpy() > 250).all()
    assert image.numpy().shape == (4, 6, 3)


def test_names_of_formats() -> None:
    assert Image(np.eye(2), format="JPG").format == "jpeg"
    for wrong in ("pdf", "", None):
        with pytest.raises(ValueError, match="the format of an image is one of png, jpeg"):
            Image(np.eye(2), format=wrong)  # type: ignore[arg-type]


def test_what_a_format_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mode RGBA and size 2x2 cannot be stored as jpeg"):
        Image(np.zeros((2, 2, 4)), format="jpeg")


def test_a_pillow_image() -> None:
    pillow = PIL.Image.new("RGB", (7, 5), (10, 20, 30))
    image = Image(pillow, caption="c")
    assert (image.width, image.height, image.caption) == (7, 5, "c")
    assert image.pil().tobytes() == pillow.tobytes()
    assert image.pil() is not image.pil()


def test_palettes_and_other_modes_become_colours() -> None:
    palette = PIL.Image.new("RGB", (2, 2), (255, 0, 0)).convert("P")
    assert Image(palette).numpy()[0, 0].tolist() == [255, 0, 0]
    assert Image(PIL.Image.new("LA", (2, 2), (9, 7))).numpy()[0, 0].tolist() == [9, 9, 9, 7]
    assert Image(PIL.Image.new("CMYK", (2, 2)), format="tiff").numpy().shape == (2, 2, 3)


def test_an_encoded_picture_is_kept_as_it_is(tmp_path: Path) -> None:
    data = encoded(PIL.Image.new("RGB", (8, 3)), "jpeg")
    path = tmp_path / "picture.dat"
    path.write_bytes(data)
    for source in (data, bytearray(data), memoryview(data), path, str(path)):
        image = Image(source)
        assert (image.data, image.format, image.width, image.height) == (data, "jpeg", 8, 3)
    image.save(tmp_path / "copy.jpg")
    assert (tmp_path / "copy.jpg").read_bytes() == data


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(ValueError, match=r"no picture that Pillow can read: .*text\.png"):
        Image(tmp_path / "text.png")
    for junk in (b"", b"junk", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(ValueError, match="no picture that Pillow can read: bytes that begin with"):
            Image(junk)


def test_decoding_the_record_decodes_no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode(Image(np.eye(5)))
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    monkeypatch.setitem(sys.modules, "PIL", None)
    image = codec.decode(data)
    assert (image.width, image.format, repr(image)) == (5, "png", f"<Image png 5x5, {len(image.data)} bytes>")
    with pytest.raises(UnsupportedError, match=r"pip install 'aimstore\[images\]'"):
        image.numpy()
    with pytest.raises(UnsupportedError, match=r"pip install 'aimstore\[images\]'"):
        Image(np.eye(5))


def test_equality() -> None:
    assert Image(np.eye(3)) == Image(np.eye(3))
    assert Image(np.eye(3)) != Image(np.eye(4))
    assert Image(np.eye(3), caption="a") != Image(np.eye(3), caption="b")
    assert len({Image(np.eye(3)), Image(np.eye(3))}) == 1


def test_notebooks_show_it() -> None:
    png, jpeg, tiff = (Image(np.eye(3), format=name) for name in ("png", "jpeg", "tiff"))
    assert (png._repr_png_(), png._repr_jpeg_()) == (png.data, None)
    assert (jpeg._repr_png_(), jpeg._repr_jpeg_()) == (None, jpeg.data)
    assert (tiff._repr_png_() or b"").startswith(b"\x89PNG")
