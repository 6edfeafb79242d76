"""A custom layer of the compatibility store: GroupNorm of one group with a fixed scale."""

import torch
from torch import nn


class Scaled(nn.GroupNorm):
    """One group over the channels; the output is multiplied by `scale`."""

    def __init__(self, num_channels: int, scale: float = 0.5) -> None:
        super().__init__(1, num_channels)
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalized and scaled input, (B, C, H, W)."""
        return self.scale * super().forward(x)
