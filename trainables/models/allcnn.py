"""ALL-CNN (Springenberg et al. 2015) as Wang & Wu table it: nine 3x3 convolutions, no pooling."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from trainables.models.layers import NormFactory, chain, conv, normed, pooled_logits

CHANNELS = (1, 1, 1, 2, 2, 2, 2, 2)
"""Of each convolution but the last, as multiples of the width."""

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
    """`(B, in_channels, H, W)` to logits `(B, num_classes)`; tabled with width 96 and 24x24 images.

    A norm and a ReLU follow every convolution but the ninth, whose maps (6x6 of a 24x24 image)
    are averaged to the logits; `norm_on_logits` puts a norm before the average. The activations
    of the paper's Figure 6 are the output of `activation5`.
    """

    def parts() -> Iterator[dict[str, nn.Module]]:
        channels = in_channels
        for number, multiple in enumerate(CHANNELS, start=1):
            stride = 2 if number in STRIDED else 1
            yield normed(number, conv(channels, multiple * width, 3, stride=stride), norm)
            channels = multiple * width
        yield pooled_logits(9, channels, num_classes, 3, norm if norm_on_logits else None)

    return chain(parts())
