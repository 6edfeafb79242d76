"""Filter response normalization with its thresholded linear unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normmods.dispatch import dispatch_input
from normmods.norm import BEFORE_SUM, Norm, require_one_of, to_channels


class FilterResponse(Norm):
    """Filter response normalization without TLU (Singh & Krishnan 2020, arXiv 1911.09737).

        nu = mean over (H, W) of x^2, per example and channel
        y  = weight * x / sqrt(nu + eps + |learned_eps|) + bias

    On 1x1 maps x / sqrt(nu) is a sign, so the paper learns eps there: `learn_eps` starts
    |learned_eps| at 1e-4. eps is the paper's 1e-6; timm's `FilterResponseNormTlu2d` has 1e-5 and
    learns none.

    Attributes:
        learned_eps: a scalar, () or None without `learn_eps`.
    """

    def __init__(self, num_channels: int, *, eps: float = 1e-6, learn_eps: bool = False) -> None:
        super().__init__(num_channels, eps=eps)
        initial = nn.Parameter(torch.tensor(1e-4, dtype=torch.float32))
        self.learned_eps = initial if learn_eps else None

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the normalized `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        return self._normalize(x).to(x.dtype)

    def _normalize(self, x: Tensor) -> Tensor:
        """Return the normalized, scaled and shifted `x` in the dtype of the parameters."""
        values = x.to(self.weight.dtype)
        power = values.square().mean((2, 3), keepdim=True) + self.eps
        if self.learned_eps is not None:
            power = power + self._to_networks(self.learned_eps.abs())
        y: Tensor = to_channels(self.weight) * (values * power.rsqrt()) + to_channels(self.bias)
        return y


class FilterResponseNorm(FilterResponse):
    """Filter response normalization and TLU (Singh & Krishnan 2020, arXiv 1911.09737).

        y  = max(weight * x / sqrt(nu + eps + |learned_eps|) + bias, threshold)

    with nu as in `FilterResponse`. The maximum with a learned threshold a channel is the
    activation. On 1x1 maps x / sqrt(nu) is a sign, so the paper learns eps there: `learn_eps`
    starts |learned_eps| at 1e-4.

    Attributes:
        threshold: tau of the TLU, (C,).

    Args:
        num_channels: channels of the input, C.
        eps: added to nu.
        learn_eps: whether a learned value a channel is added to eps.
        before_sum: the layer where no activation follows: `affine`, without TLU, or
            `nonlinear`, the same as everywhere.

    Raises:
        ValueError: an option is out of range; an input is not floating (B, C, H, W).

    Examples:
        >>> layer = FilterResponseNorm(8)
        >>> layer(torch.randn(2, 8, 4, 4)).min().item() >= 0  # the threshold starts at 0
        True
    """

    replaces_activation = True

    def __init__(
        self,
        num_channels: int,
        *,
        eps: float = 1e-6,
        learn_eps: bool = False,
        before_sum: str = "affine",
    ) -> None:
        super().__init__(num_channels, eps=eps, learn_eps=learn_eps)
        self.before_sum = require_one_of("before_sum", before_sum, BEFORE_SUM)
        self.threshold = nn.Parameter(torch.zeros(num_channels, dtype=torch.float32))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return the activated `x`, of the same shape (B, C, H, W) and dtype."""
        self._check(x)
        return torch.maximum(self._normalize(x), to_channels(self.threshold)).to(x.dtype)

    def without_activation(self) -> Norm:
        """Return the layer without TLU; itself with `before_sum: nonlinear`."""
        if self.before_sum == "nonlinear":
            return self
        learns = self.learned_eps is not None
        return FilterResponse(self.num_channels, eps=self.eps, learn_eps=learns)
