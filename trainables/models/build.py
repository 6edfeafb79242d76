"""Building of a model from its `ModelSpec`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

import normmods
from normmods.errors import WeightFormWarning
from trainables.models.allcnn import build_allcnn
from trainables.models.catalog import complete_model_spec
from trainables.models.custom import build_custom_model
from trainables.models.layers import NormFactory
from trainables.models.nin import build_nin
from trainables.models.resnet_small import SmallResNet
from trainables.spec import ModelSpec, is_custom


def prepare_convolutions(model: nn.Module, shape: Sequence[int]) -> list[str]:
    """Give convolutions the weights that the model's norms ask for (`normmods.prepare`).

    Args:
        model: the model.
        shape: an image's shape, `(C, H, W)`.

    Returns:
        A line for each layer that keeps its weights although a norm asks for others.

    Raises:
        ValueError: as `normmods.prepare`; also whatever the model raises.
    """
    device = next((parameter.device for parameter in model.parameters()), None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        normmods.prepare(model, torch.ones(2, *shape, device=device))
    return [str(each.message) for each in caught if each.category is WeightFormWarning]


def build_model(
    spec: ModelSpec, *, in_channels: int, num_classes: int, norm: NormFactory
) -> nn.Module:
    """Return the spec's model with torch's initial weights: `(B, C, H, W)` to `(B, num_classes)`.

    Raises:
        ValueError: an unknown name, or an option that the model does not have.
    """
    spec = complete_model_spec(spec)
    if is_custom(spec.name):
        return build_custom_model(spec, in_channels=in_channels, num_classes=num_classes, norm=norm)
    given: dict[str, Any] = {"in_channels": in_channels, "num_classes": num_classes, "norm": norm}
    sized = {**given, "width": spec.width}
    plain = {**sized, "norm_on_logits": spec.norm_on_logits}
    match spec.name:
        case "resnet8":
            return SmallResNet(1, **sized)
        case "allcnn":
            return build_allcnn(**plain)
        case "nin":
            return build_nin(
                norm_on_logits=spec.norm_on_logits, dropout=spec.dropout or 0.0, **sized
            )
    # torchvision takes seconds to import, and the small networks do without.
    from trainables.models.resnet import build_resnet

    return build_resnet(spec.name, stem=spec.stem, **given)
