"""ALL-CNN (Springenberg et al. 2015) as Wang & Wu table it: nine 3x3 convolutions, no pooling."""

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

CHANNELS = (1, 1, 1, 2, 2, 2, 2, 2)
"""Output channels of each convolution but the last, as multiples of the width."""

STRIDED = (3, 6)
"""The convolutions, counted from 1, that halve the map."""


def build_allcnn(
    *,
    in_channels: int,
    num_classes: int,
    width: int,
    norm: NormFactory,
    norm_on_logits: bool,
) -> nn.Sequential:
    """Return ALL-CNN, from `(B, in_channels, H, W)` to logits `(B, num_classes)`.

    A norm and a ReLU follow every convolution but the ninth, whose maps (6x6 of a 24x24 image)
    are averaged to the logits; `norm_on_logits` puts a norm before the average. The published
    network has width 96 and 24x24 images. The activations of the paper's Figure 6 are the output of
    `activation5`.
    """

    def parts() -> Iterator[dict[str, nn.Module]]:
        """Yield the layers of each convolution by name."""
        channels = in_channels
        for number, multiple in enumerate(CHANNELS, start=1):
            stride = 2 if number in STRIDED else 1
            yield conv_norm_activation(
                number, build_conv(channels, multiple * width, 3, stride=stride), norm
            )
            channels = multiple * width
        yield conv_pool_logits(9, channels, num_classes, 3, norm if norm_on_logits else None)

    return build_sequential(parts())
