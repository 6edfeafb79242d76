"""Random inputs for the tests: awkward shapes, strides and dtypes."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

Shape = tuple[int, int, int, int]

LAYOUTS = ("contiguous", "channels_last", "strided")


@st.composite
def shapes(draw: st.DrawFn, *, min_values: int = 2) -> Shape:
    """(B, C, H, W) with odd sizes, batch 1 and 1x1 maps; B * H * W >= `min_values`."""
    channels = draw(st.sampled_from([1, 2, 3, 5, 8, 12, 32, 33, 48, 64]))
    batch, height, width = (draw(st.integers(1, 5)) for _ in range(3))
    if batch * height * width < min_values:
        batch = min_values
    return batch, channels, height, width


def random_input(shape: Shape, layout: str = "contiguous", seed: int = 0) -> Tensor:
    """A float64 tensor of mean 0.3 and deviation 2, in one of `LAYOUTS`."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(shape, generator=generator, dtype=torch.float64) * 2 + 0.3
    if layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last)
    if layout == "strided":
        wide = torch.zeros(*shape[:3], shape[3] * 2, dtype=torch.float64)
        wide[..., ::2] = x
        return wide[..., ::2]
    return x


def randomised(layer: nn.Module, seed: int = 1) -> nn.Module:
    """The layer in float64 with every parameter moved off its initial value."""
    generator = torch.Generator().manual_seed(seed)
    layer = layer.double()
    with torch.no_grad():
        for parameter in layer.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(noise * 0.5)
    return layer


def bowl(y: Tensor) -> Tensor:
    """A loss whose gradient differs at every element, so that no sum hides an error."""
    ramp = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
    return (y * ramp).sum() + 0.1 * y.pow(3).sum()
