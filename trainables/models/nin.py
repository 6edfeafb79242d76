"""Network in Network (Lin et al. 2014): three stages of a convolution and two 1x1 ones."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from trainables.models.layers import (
    NormFactory,
    build_conv,
    build_sequential,
    conv_norm_activation,
    conv_pool_logits,
)

WIDTH = 192
"""Channels of the first convolution as tabled; 160 and 96 follow it, then 192 throughout."""


def build_nin(
    *,
    in_channels: int,
    num_classes: int,
    width: int,
    norm: NormFactory,
    norm_on_logits: bool,
    dropout: float,
) -> nn.Sequential:
    """Return Network in Network, from `(B, in_channels, H, W)` to logits `(B, num_classes)`.

    A norm and a ReLU follow every convolution but the ninth, whose maps are averaged to the
    logits; `norm_on_logits` puts a norm before the average. Stages end in a 3x3 pooling of
    stride 2 (the first by the maximum, the second by the mean) and in dropout. A window that
    begins inside a map counts, as in the authors' program: 24 pixels become 12, then 6.
    """
    narrow, narrowest = round(width * 160 / WIDTH), round(width * 96 / WIDTH)

    def parts() -> Iterator[dict[str, nn.Module]]:
        """Yield the layers of each part of the network by name."""
        yield conv_norm_activation(1, build_conv(in_channels, width, 5), norm)
        yield conv_norm_activation(2, build_conv(width, narrow, 1), norm)
        yield conv_norm_activation(3, build_conv(narrow, narrowest, 1), norm)
        yield {"pool1": nn.MaxPool2d(3, 2, ceil_mode=True), "dropout1": nn.Dropout(dropout)}
        yield conv_norm_activation(4, build_conv(narrowest, width, 5), norm)
        yield conv_norm_activation(5, build_conv(width, width, 1), norm)
        yield conv_norm_activation(6, build_conv(width, width, 1), norm)
        yield {"pool2": nn.AvgPool2d(3, 2, ceil_mode=True), "dropout2": nn.Dropout(dropout)}
        yield conv_norm_activation(7, build_conv(width, width, 3), norm)
        yield conv_norm_activation(8, build_conv(width, width, 1), norm)
        yield conv_pool_logits(9, width, num_classes, 1, norm if norm_on_logits else None)

    return build_sequential(parts())
