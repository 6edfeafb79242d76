"""Residual networks of three stages for small images (He et al. 2016, section 4.2).

The paper's CIFAR networks with projection shortcuts: a 3x3 convolution, then three stages of
basic blocks with `width`, `2 width` and `4 width` channels at strides 1, 2 and 2. An 8x8 image
is still 2x2 in the last stage.
"""

from __future__ import annotations

from torch import Tensor, nn

from trainables.models.layers import (
    NormFactory,
    build_activation_after,
    build_conv,
    build_norm_without_activation,
)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: `(B, in, H, W)` to `(B, out, H/stride, W/stride)`.

    The activation after the sum stays whatever the norm, because the sum is not normalised. The
    norms before the sum have no activation of their own.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, *, norm: NormFactory
    ) -> None:
        super().__init__()
        self.conv1 = build_conv(in_channels, out_channels, 3, stride=stride)
        self.norm1 = norm(out_channels)
        self.activation1 = build_activation_after(self.norm1)
        self.conv2 = build_conv(out_channels, out_channels, 3)
        self.norm2 = build_norm_without_activation(norm, out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            projection = build_conv(in_channels, out_channels, 1, stride=stride)
            self.shortcut = nn.Sequential(
                projection, build_norm_without_activation(norm, out_channels)
            )
        self.activation2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for `(B, in, H, W)`."""
        y = self.activation1(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return self.activation2(y + self.shortcut(x))  # type: ignore[no-any-return]


class SmallResNet(nn.Module):
    """A residual network of `6 n + 2` weighted layers, from `(B, in_channels, H, W)` to logits.

    Args:
        blocks_per_stage: `n`; 1 is the network called resnet8.
        in_channels: 1 for grey images, 3 for colour.
        num_classes: number of logits.
        width: channels of the first stage.
        norm: builds the layer that follows each convolution.
    """

    def __init__(
        self,
        blocks_per_stage: int,
        *,
        in_channels: int,
        num_classes: int,
        width: int,
        norm: NormFactory,
    ) -> None:
        super().__init__()
        self.conv1 = build_conv(in_channels, width, 3)
        self.norm1 = norm(width)
        self.activation1 = build_activation_after(self.norm1)
        self.stage1 = _build_stage(width, width, 1, blocks=blocks_per_stage, norm=norm)
        self.stage2 = _build_stage(width, 2 * width, 2, blocks=blocks_per_stage, norm=norm)
        self.stage3 = _build_stage(2 * width, 4 * width, 2, blocks=blocks_per_stage, norm=norm)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits `(B, num_classes)`."""
        x = self.activation1(self.norm1(self.conv1(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        return self.fc(self.pool(x).flatten(1))  # type: ignore[no-any-return]


def _build_stage(
    in_channels: int, out_channels: int, stride: int, *, blocks: int, norm: NormFactory
) -> nn.Sequential:
    """Return `blocks` basic blocks, of which the first has the stride."""
    first = BasicBlock(in_channels, out_channels, stride, norm=norm)
    others = (BasicBlock(out_channels, out_channels, 1, norm=norm) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)
