"""The layers that every model is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import nn

NormFactory: TypeAlias = Callable[[int], nn.Module]
"""`norm(num_channels)` returns a layer from `(B, C, H, W)` to the same shape."""


def conv(in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> nn.Conv2d:
    """A convolution padded to keep `H` and `W` at stride 1; the norm after it has the bias."""
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)


def activation_after(norm: nn.Module) -> nn.Module:
    """ReLU, or nothing where the norm says `replaces_activation = True`.

    Not in place: a norm may have saved its output for its backward pass.
    """
    return nn.Identity() if getattr(norm, "replaces_activation", False) else nn.ReLU()
