"""Dynamic tanh: no statistics at all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from normmods.dispatch import entry
from normmods.norm import Norm, to_channels


class DynamicTanh(Norm):
    """Dynamic tanh (Zhu et al. 2025, arXiv 2503.10622): y = weight * tanh(alpha x) + bias.

    As the authors' code (jiachenzhu/DyT, `DynamicTanh` with channels first): one alpha a layer.

    Attributes:
        alpha: one learned number, (1,), starting at `initial_alpha`.
    """

    def __init__(self, num_channels: int, *, initial_alpha: float = 0.5) -> None:
        super().__init__(num_channels, eps=0.0)
        self.alpha = nn.Parameter(torch.full((1,), initial_alpha, dtype=torch.float32))

    @entry
    def forward(self, x: Tensor) -> Tensor:
        """The squashed `x`, of the same shape, (B, C, H, W), and dtype."""
        self._check(x)
        squashed = torch.tanh(self._to_networks(self.alpha) * x.to(self.alpha.dtype))
        return (to_channels(self.weight) * squashed + to_channels(self.bias)).to(x.dtype)

    def extra_repr(self) -> str:
        """The channel count."""
        return f"{self.num_channels}"
