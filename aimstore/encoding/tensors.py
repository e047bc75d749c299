"""What arrays, tensors and scalars of any library have in common, told without importing one: shape, `item`, masks, gradients."""

from __future__ import annotations

import sys
from typing import Any, cast

from aimstore.errors import EncodingError

_MASKED = "a masked value; store what stands for it, such as float('nan')"
_DEPTH = 32


def numpy_if_loaded() -> Any:
    """NumPy, or None where nobody imported it, so that nothing is one of its values."""
    return cast(Any, sys.modules.get("numpy"))


def shape_of(value: Any) -> tuple[Any, ...] | None:
    """The shape of an array or tensor; None of anything else, and where it is not known."""
    shape = getattr(value, "shape", None)
    if shape is None or callable(shape):
        return None
    try:
        return tuple(shape)
    except Exception:  # the other library's own: a tensor whose rank is not known yet
        return None


def has_no_dimensions(value: Any) -> bool:
    """Whether `value` has the shape ()."""
    return shape_of(value) == ()


def scalar_of(value: Any) -> Any:
    """The scalar of an array or tensor of shape (): NumPy's of NumPy's, else Python's. None where it is no such array.

    A `longdouble` that a float holds exactly is that float.

    Raises:
        EncodingError: it is masked, or the other library cannot give it.
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
    except Exception as error:  # the other library's own, whatever it is
        raise EncodingError(f"its conversion to a number failed: {error}") from error


def python_scalar(value: Any) -> Any:
    """A scalar of NumPy as Python's; a long double, which Python lacks, as the nearest float or complex."""
    plain = value.item()
    numpy = numpy_if_loaded()
    if numpy is not None and isinstance(plain, numpy.inexact):
        return complex(plain) if isinstance(plain, numpy.complexfloating) else float(plain)
    return plain


def number_of(value: Any) -> bool | int | float | None:
    """The number that `value` is: a scalar of any library, or an array, tensor, list or tuple with one element that is one,
    whatever its shape. NaN where it is masked. None where it is no number, or several.

    Raises:
        EncodingError: the other library cannot give it.
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
    except Exception as error:  # the other library's own, whatever it is
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
    """Whether `value` is an array of NumPy with elements that are masked."""
    numpy = numpy_if_loaded()
    if numpy is None or not isinstance(value, numpy.ndarray):
        return False
    return isinstance(value, numpy.ma.MaskedArray) and b"\1" in numpy.ma.getmaskarray(value).tobytes()


def on_this_side(value: Any) -> Any:
    """A tensor that NumPy can read: apart from its gradient, in the machine's memory, and of a type that NumPy has."""
    if hasattr(value, "detach"):
        value = value.detach()
    if hasattr(value, "cpu"):
        value = value.cpu()
    name = str(getattr(value, "dtype", ""))
    if name.startswith(("torch.bfloat", "torch.float8")):
        value = value.float()
    return value
