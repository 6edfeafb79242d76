"""torchvision's ResNets with any norm, for small or large images, grey or colour.

torchvision calls one ReLU module at several places of a block and re-initialises every
BatchNorm, GroupNorm and convolution it finds, a norm's own included. So the blocks here give
each norm its own activation, and norms enter only after torchvision is done, into slots. The norms
before the sum of a block have no activation of their own.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor, nn
from torchvision.models import resnet as torchvision_resnet

from trainables.models.layers import (
    NormFactory,
    build_activation_after,
    build_conv,
    build_norm_without_activation,
)

Stem = Literal["cifar", "imagenet"]


class NormSlot(nn.Identity):
    """A placeholder for a norm of `num_channels` until `_fill_norm_slots` replaces it."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.num_channels = num_channels


class BasicBlock(torchvision_resnet.BasicBlock):  # type: ignore[misc]
    """torchvision's basic block with an activation of its own after the first norm."""

    activated_norms = (1,)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for `(B, in, H, W)`."""
        y = self.activation1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + _apply_shortcut(self, x))  # type: ignore[no-any-return]


class Bottleneck(torchvision_resnet.Bottleneck):  # type: ignore[misc]
    """torchvision's bottleneck with a separate activation module after each of its first two norms.

    torchvision calls one ReLU module three times.
    """

    activated_norms = (1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output for `(B, in, H, W)`."""
        y = self.activation1(self.bn1(self.conv1(x)))
        y = self.activation2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + _apply_shortcut(self, x))  # type: ignore[no-any-return]


def _apply_shortcut(block: Any, x: Tensor) -> Tensor:
    """Return the input of the block's sum that bypasses its convolutions."""
    return x if block.downsample is None else block.downsample(x)


LAYERS: dict[str, tuple[type[nn.Module], list[int]]] = {
    "resnet18": (BasicBlock, [2, 2, 2, 2]),
    "resnet34": (BasicBlock, [3, 4, 6, 3]),
    "resnet50": (Bottleneck, [3, 4, 6, 3]),
    "resnet101": (Bottleneck, [3, 4, 23, 3]),
    "resnet152": (Bottleneck, [3, 8, 36, 3]),
}
"""Block class and blocks per stage by model."""


def build_resnet(
    name: str, *, in_channels: int, num_classes: int, stem: Stem, norm: NormFactory
) -> nn.Module:
    """Return a ResNet from `(B, in_channels, H, W)` to logits `(B, num_classes)`.

    `stem`: `imagenet` is torchvision's 7x7 stride-2 convolution and max-pool; `cifar` a 3x3
    stride-1 convolution and no max-pool. Parameter names are torchvision's.
    """
    block, layers = LAYERS[name]
    model = torchvision_resnet.ResNet(block, layers, num_classes, norm_layer=NormSlot)
    if stem == "cifar":
        model.conv1 = build_conv(in_channels, 64, 3)
        model.maxpool = nn.Identity()
    else:
        model.conv1 = build_conv(in_channels, 64, 7, stride=2)
    _fill_norm_slots(model, norm)
    model.relu = build_activation_after(model.bn1)
    for layer in model.modules():
        if isinstance(layer, BasicBlock | Bottleneck):
            layer.relu = nn.ReLU()
            for index in layer.activated_norms:
                activation = build_activation_after(layer.get_submodule(f"bn{index}"))
                layer.add_module(f"activation{index}", activation)
    return model  # type: ignore[no-any-return]


def _fill_norm_slots(model: nn.Module, norm: NormFactory) -> None:
    """Replace every placeholder by a norm, without activation before the sum of a block."""
    slots = {path: layer for path, layer in model.named_modules() if isinstance(layer, NormSlot)}
    before_sum = _slots_before_sum(model)
    for path, slot in slots.items():
        if slot in before_sum:
            model.set_submodule(path, build_norm_without_activation(norm, slot.num_channels))
        else:
            model.set_submodule(path, norm(slot.num_channels))


def _slots_before_sum(model: nn.Module) -> set[nn.Module]:
    """Return the placeholders before the sum of a block: its last norm's and its shortcut's."""
    found: set[nn.Module] = set()
    for block in model.modules():
        if isinstance(block, BasicBlock | Bottleneck):
            found.add(block.get_submodule(f"bn{len(block.activated_norms) + 1}"))
            if block.downsample is not None:
                found.add(block.downsample[1])
    return found
