from __future__ import annotations

import re
import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aimstore.encoding.values import encode_value
from aimstore.errors import CorruptionError, UnsupportedError
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


def test_decoding_the_value_decodes_no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
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


MODES = (
    "1",
    "L",
    "P",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "LA",
    "PA",
    "RGBX",
    "RGBa",
    "La",
    "I;16",
    "I;16B",
)


def picture(mode: str) -> PIL.Image.Image:
    """One of any mode, with pixels that differ."""
    random = np.random.default_rng(0)
    if mode in ("I", "F"):
        return PIL.Image.fromarray(random.integers(-70_000, 70_000, (5, 7)).astype("i4" if mode == "I" else "f4"))
    if mode.startswith("I;16"):
        return PIL.Image.frombytes(mode, (7, 5), random.integers(0, 65_536, (5, 7)).astype("<u2").tobytes())
    if mode in ("P", "PA", "1"):
        return PIL.Image.fromarray(random.integers(0, 256, (5, 7, 3)).astype("u1")).convert("P").convert(mode)
    channels = {"L": 1, "LA": 2, "La": 2}.get(mode, 3 if len(mode) == 3 or mode == "YCbCr" else 4)
    return PIL.Image.frombytes(mode, (7, 5), random.integers(0, 256, 35 * channels).astype("u1").tobytes())


@pytest.mark.parametrize("name", ["png", "tiff", "bmp"])
@pytest.mark.parametrize("mode", MODES)
def test_pixels_of_any_mode_come_back_or_are_refused_with_advice_that_works(mode: str, name: str) -> None:
    image = picture(mode)
    try:
        found = Image(image, format=name).pil()
    except ValueError as error:
        advice = str(error).partition("; ")[2]
        assert advice
        for form in re.findall(r'format="(\w+)"', advice):
            assert Image(image, format=form).pil().tobytes() == image.tobytes()
        for code in re.findall(r"image\.\w+\([^)]*\)", advice):
            Image(eval(code), format="png")
    else:
        assert np.array_equal(np.asarray(found), np.asarray(image))
        if found.mode == image.mode:
            assert found.tobytes() == image.tobytes()


@pytest.mark.parametrize("name", ["jpeg", "webp", "gif"])
@pytest.mark.parametrize("mode", ["I", "F", "I;16", "I;16B"])
def test_numbers_are_not_cut_off_at_255(mode: str, name: str) -> None:
    with pytest.raises(ValueError, match=f"cannot be stored as {name}, which has no such pixels"):
        Image(picture(mode), format=name)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_16_bits_comes_back_in_either_order_of_bytes(order: str) -> None:
    pixels = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1800
    mode = "I;16" if order == "<" else "I;16B"
    data = encoded(PIL.Image.frombytes(mode, (7, 5), pixels.astype(f"{order}u2").tobytes()), "tiff")
    found = Image(data).numpy()
    assert found.dtype == np.uint16
    assert (found == pixels).all()


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "gif", "bmp", "tiff"])
def test_half_a_picture_is_refused(name: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = Image(pixels, format=name).data
    half = data[: len(data) // 2]
    (tmp_path / "half").write_bytes(half)
    for source in (half, tmp_path / "half"):
        with pytest.raises(ValueError, match=r"no picture that Pillow can read: .* damaged or cut short"):
            Image(source)


def large() -> bytes:
    """A PNG of 400 million pixels in 49 kB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(20_000 * 2501), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_a_picture_of_too_many_pixels_is_refused_before_they_are_there() -> None:
    data = large()
    assert len(data) < 60_000
    with pytest.raises(ValueError, match="an image has at most 89,478,485 pixels"):
        Image(data)
    with pytest.raises(ValueError, match="an image has 1 to 89,478,485 pixels, not 20,000x20,000"):
        Image(PIL.Image.new("1", (20_000, 20_000)))
    fields = {"format": "png", "width": 20_000, "height": 20_000, "caption": "", "data": data}
    with pytest.raises(CorruptionError, match="89,478,485 pixels"):
        codec.decode(encode_value(fields))
    image = codec.decode(encode_value(fields | {"width": 20, "height": 20}))
    for show in (image.pil, image.numpy):
        with pytest.raises(CorruptionError, match="at most 89,478,485 pixels"):
            show()


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


def test_only_the_decoder_of_its_format_looks_at_what_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: Any, **__: Any) -> None:
        raise AssertionError("Ghostscript is started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", started)
    with pytest.raises(ValueError, match="no picture that Pillow can read"):
        Image(POSTSCRIPT)
    for name in ("eps", "png", "EPS", "pdf", ""):
        stored = encode_value({"format": name, "width": 9, "height": 9, "caption": "", "data": POSTSCRIPT})
        with pytest.raises(CorruptionError, match="no picture of format"):
            codec.decode(stored)


@pytest.mark.parametrize(
    "change",
    [{"width": True}, {"width": 0}, {"height": -3}, {"width": 2**40}, {"format": '"><script>'}, {"data": b"GIF89a"}],
)
def test_a_stored_field_that_no_image_has_is_corruption(change: dict[str, Any]) -> None:
    image = Image(np.eye(3))
    fields = {name: getattr(image, name) for name in ("format", "width", "height", "caption", "data")}
    assert codec.decode(encode_value(fields)) == image
    with pytest.raises(CorruptionError):
        codec.decode(encode_value(fields | change))


def test_a_stored_picture_that_is_damaged_is_corruption() -> None:
    image = Image(np.eye(3))
    fields = {"format": "png", "width": 3, "height": 3, "caption": ""}
    for data in (image.data[:50], image.data[:20] + b"\xff" * 30, b"\x89PNG\r\n\x1a\n"):
        stored = codec.decode(encode_value(fields | {"data": data}))
        with pytest.raises(CorruptionError, match="a stored image of format png cannot be decoded"):
            stored.pil()
    wider = codec.decode(encode_value(fields | {"data": image.data, "width": 4}))
    with pytest.raises(CorruptionError, match=r"its size is \(3, 3\), not \(4, 3\)"):
        wider.numpy()


def test_masked_pixels_are_not_stored() -> None:
    pixels = np.ma.masked_array(np.ones((2, 2)), [[True, False], [False, False]])
    with pytest.raises(TypeError, match=r"an image: an array with masked elements; fill them: array\.filled\(0\)"):
        Image(pixels)
    assert Image(pixels.filled(0)).numpy().tolist() == [[0, 255], [255, 255]]
    assert Image(np.ma.masked_array(np.ones((2, 2)))).numpy().tolist() == [[255, 255], [255, 255]]


@pytest.mark.parametrize("shape", [(3, 32, 48), (1, 5, 7), (4, 5, 3), (3, 3, 3)])
def test_a_tensor_has_its_channels_first(shape: tuple[int, ...], tensor: Any) -> None:
    pixels = np.random.default_rng(0).random(shape)
    image = Image(tensor(pixels, requires_grad=True))
    assert (image.height, image.width) == shape[1:]
    assert image == Image(pixels.transpose(1, 2, 0))
    assert Image(tensor(np.zeros((32, 48, 3)))).width == 48
    assert Image(tensor(np.zeros((32, 48)))).width == 48


def test_notebooks_show_pictures_of_any_mode() -> None:
    for mode in ("I", "F", "I;16", "CMYK", "PA"):
        shown = Image(picture(mode), format="tiff")._repr_png_()
        assert Image(shown).width == 7
    assert Image(Image(PIL.Image.fromarray(np.full((2, 2), np.nan, "f4")), format="tiff")._repr_png_()).width == 2
