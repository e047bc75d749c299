"""What the tests of objects share: a tensor as PyTorch has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


class Tensor:
    """What a tensor of PyTorch is to those who convert it, PyTorch being no dependency of these tests."""

    def __init__(
        self, values: Any, *, requires_grad: bool = False, dtype: str = "torch.float32", device: str = "cpu"
    ) -> None:
        self._values = np.asarray(values)
        self.requires_grad = requires_grad
        self.dtype = dtype
        self.device = device

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    def _like(self, **changes: Any) -> Tensor:
        return Tensor(
            self._values,
            **({"requires_grad": self.requires_grad, "dtype": self.dtype, "device": self.device} | changes),
        )

    def detach(self) -> Tensor:
        return self._like(requires_grad=False)

    def cpu(self) -> Tensor:
        return self._like(device="cpu")

    def float(self) -> Tensor:
        return self._like(dtype="torch.float32")

    def permute(self, *axes: int) -> Tensor:
        return Tensor(self._values.transpose(axes))

    def item(self) -> Any:
        return self._values.item()

    def __array__(self, dtype: object = None, copy: object = None) -> Any:
        if self.requires_grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")
        if self.device != "cpu":
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self._values


@pytest.fixture(scope="session")
def tensor() -> type[Tensor]:
    return Tensor
