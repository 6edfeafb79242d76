"""From a `ModelSpec` to a model."""

from __future__ import annotations

from torch import nn

from trainables.models.catalog import model_info
from trainables.models.layers import NormFactory
from trainables.models.resnet_small import SmallResNet
from trainables.spec import ModelSpec


def build_model(
    spec: ModelSpec, *, in_channels: int, num_classes: int, norm: NormFactory
) -> nn.Module:
    """The model, with torch's initial weights, from `(B, C, H, W)` to logits `(B, num_classes)`.

    Raises `ValueError` for an unknown name or an option that the model does not read.
    """
    info = model_info(spec)
    if info.default_width is not None:
        return SmallResNet(
            blocks_per_stage=1,
            in_channels=in_channels,
            num_classes=num_classes,
            width=spec.width or info.default_width,
            norm=norm,
        )
    # torchvision takes seconds to import, and the small networks do without.
    from trainables.models.resnet import build_resnet

    return build_resnet(
        spec.name, in_channels=in_channels, num_classes=num_classes, stem=spec.stem, norm=norm
    )
