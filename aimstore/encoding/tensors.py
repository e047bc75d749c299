"""Common properties of arrays, tensors and scalars (shape, `item`, masks, gradients); imports no library."""

from __future__ import annotations

import sys
from typing import Any, cast

from aimstore.errors import EncodingError

_MASKED = "a masked value; store what stands for it, such as float('nan')"
_DEPTH = 32


def numpy_if_loaded() -> Any:
    """NumPy, or None if it was never imported, so that no value can be a NumPy value."""
    return cast(Any, sys.modules.get("numpy"))


def shape_of(value: Any) -> tuple[Any, ...] | None:
    """The shape of an array or tensor; None for other values, and if the shape is unknown."""
    shape = getattr(value, "shape", None)
    if shape is None or callable(shape):
        return None
    try:
        return tuple(shape)
    except Exception:  # the other library may raise any error: the rank of a tensor may be unknown
        return None


def has_no_dimensions(value: Any) -> bool:
    """Whether `value` has the shape ()."""
    return shape_of(value) == ()


def scalar_of(value: Any) -> Any:
    """The scalar of an array or tensor of shape (): a NumPy scalar for NumPy, else a Python scalar. None for other
    values.

    A `longdouble` that a float holds exactly becomes that float.

    Raises:
        EncodingError: the scalar is masked, or the other library cannot convert it.
    """
    if not has_no_dimensions(value):
        return None
    numpy = numpy_if_loaded()
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            if holds_masked(value):
                raise EncodingError(_MASKED)
            if value.dtype.kind == "O":
                return None
            value = value[()]
        if isinstance(value, numpy.longdouble):
            plain = float(value)
            return plain if plain == value or plain != plain else value
        if isinstance(value, numpy.generic):
            return value
    if not hasattr(value, "item"):
        return None
    try:
        return value.item()
    except Exception as error:  # the other library may raise any error
        raise EncodingError(f"its conversion to a number failed: {error}") from error


def python_scalar(value: Any) -> Any:
    """A NumPy scalar as a Python scalar; a long double, which Python lacks, as the nearest float or complex."""
    plain = value.item()
    numpy = numpy_if_loaded()
    if numpy is not None and isinstance(plain, numpy.inexact):
        return complex(plain) if isinstance(plain, numpy.complexfloating) else float(plain)
    return plain


def number_of(value: Any) -> bool | int | float | None:
    """The number in `value`: a scalar of any library, or an array, tensor, list or tuple of any shape with a single
    element that is a number. NaN if it is masked. None if `value` is not a number, or holds several.

    Raises:
        EncodingError: the other library cannot convert it.
    """
    for _ in range(_DEPTH):
        if type(value) is list or type(value) is tuple:
            if len(value) != 1:
                return None
            value = value[0]
        else:
            break
    if isinstance(value, (bool, int, float)):
        return plain_number(value)
    shape = shape_of(value)
    if shape is None or not hasattr(value, "item") or any(size != 1 for size in shape):
        return None
    if holds_masked(value):
        return float("nan")
    try:
        plain = value.item()
    except Exception as error:  # the other library may raise any error
        raise EncodingError(f"its conversion to a number failed: {error}") from error
    if hasattr(plain, "item"):
        plain = python_scalar(plain)
    return plain_number(plain) if isinstance(plain, (bool, int, float)) else None


def plain_number(value: bool | int | float) -> bool | int | float:
    """The number as exactly a bool, int or float."""
    if type(value) in (bool, int, float):
        return value
    return float(value) if isinstance(value, float) else int(value)


def holds_masked(value: Any) -> bool:
    """Whether `value` is a NumPy array with masked elements."""
    numpy = numpy_if_loaded()
    if numpy is None or not isinstance(value, numpy.ndarray):
        return False
    return isinstance(value, numpy.ma.MaskedArray) and b"\1" in numpy.ma.getmaskarray(value).tobytes()


def on_this_side(value: Any) -> Any:
    """Make a tensor readable for NumPy: detach it, move it to main memory, and convert types that NumPy lacks."""
    if hasattr(value, "detach"):
        value = value.detach()
    if hasattr(value, "cpu"):
        value = value.cpu()
    name = str(getattr(value, "dtype", ""))
    if name.startswith(("torch.bfloat", "torch.float8")):
        value = value.float()
    return value
