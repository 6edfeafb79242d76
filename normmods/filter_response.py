"""Filter response normalization with its thresholded linear unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normmods.dispatch import entry
from normmods.norm import Norm, to_channels


class FilterResponseNorm(Norm):
    """Filter response normalization and TLU (Singh & Krishnan 2020, arXiv 1911.09737).

        nu = mean over (H, W) of x^2, per example and channel
        y  = max(weight * x / sqrt(nu + eps + |learned_eps|) + bias, threshold)

    The maximum with a learned threshold a channel is the activation. On 1x1 maps x / sqrt(nu)
    is a sign, so the paper learns eps there: `learn_eps` starts |learned_eps| at 1e-4. eps is
    the paper's 1e-6; timm's `FilterResponseNormTlu2d` has 1e-5 and learns none.

    Attributes:
        threshold: tau of the TLU, (C,).
        learned_eps: a scalar, () or None without `learn_eps`.
    """

    replaces_activation = True

    def __init__(self, num_channels: int, *, eps: float = 1e-6, learn_eps: bool = False) -> None:
        super().__init__(num_channels, eps=eps)
        self.threshold = nn.Parameter(torch.zeros(num_channels, dtype=torch.float32))
        initial = nn.Parameter(torch.tensor(1e-4, dtype=torch.float32))
        self.learned_eps = initial if learn_eps else None

    @entry
    def forward(self, x: Tensor) -> Tensor:
        """The activated `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        values = x.to(self.threshold.dtype)
        power = values.square().mean((2, 3), keepdim=True) + self.eps
        if self.learned_eps is not None:
            power = power + self._to_networks(self.learned_eps.abs())
        y = to_channels(self.weight) * (values * power.rsqrt()) + to_channels(self.bias)
        return torch.maximum(y, to_channels(self.threshold)).to(x.dtype)
