"""Scale and shift by channel, without statistics."""

from __future__ import annotations

from torch import Tensor

from normmods.dispatch import dispatch_input
from normmods.norm import Norm, to_channels


class ScaleAndShift(Norm):
    """y = weight * x + bias, channel by channel.

    What the authors' EvoNorm layers are without their non-linearity (Liu et al. 2020, arXiv
    2004.02967): there is no statistic left, since the statistic is part of the non-linearity.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__(num_channels, eps=0.0)

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the scaled and shifted `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        values = x.to(self.weight.dtype)
        return (to_channels(self.weight) * values + to_channels(self.bias)).to(x.dtype)
