"""Dynamic tanh, a layer without statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normmods.dispatch import dispatch_input
from normmods.norm import Norm, to_channels


class DynamicTanh(Norm):
    """Dynamic tanh (Zhu et al. 2025, arXiv 2503.10622): y = weight * tanh(alpha x) + bias.

    As the authors' code (jiachenzhu/DyT, `DynamicTanh` with channels first): one alpha a layer.

    Attributes:
        alpha: one learned number, (1,), starting at `initial_alpha`.

    Args:
        num_channels: channels of the input, C.
        initial_alpha: initial value of `alpha`.

    Raises:
        ValueError: an input is not floating (B, C, H, W).

    Examples:
        >>> layer = DynamicTanh(8)
        >>> layer(torch.zeros(2, 8, 4, 4)).abs().max().item()
        0.0
    """

    def __init__(self, num_channels: int, *, initial_alpha: float = 0.5) -> None:
        super().__init__(num_channels, eps=0.0)
        self.alpha = nn.Parameter(torch.full((1,), initial_alpha, dtype=torch.float32))

    @dispatch_input
    def forward(self, x: Tensor) -> Tensor:
        """Return `weight * tanh(alpha x) + bias`, of the shape (B, C, H, W) and dtype of `x`."""
        self._check(x)
        squashed = torch.tanh(self._to_networks(self.alpha) * x.to(self.alpha.dtype))
        return (to_channels(self.weight) * squashed + to_channels(self.bias)).to(x.dtype)

    def extra_repr(self) -> str:
        """Return the channel count."""
        return f"{self.num_channels}"
